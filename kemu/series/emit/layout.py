# SPDX-License-Identifier: GPL-2.0-only
"""Lines of C as the kernel lays them out: tabs, 80 columns, what continues stands below the bracket that is open."""
from __future__ import annotations

import re

WIDTH = 80
_BREAK = re.compile(r"(?:,|&&|\|\||[?:]| [-+*/|&]| =) ")


def columns(text: str) -> int:
    """How far to the right it reaches, with tabs of eight."""
    return len(text.expandtabs(8))


def indent(width: int) -> str:
    """So many columns."""
    return "\t" * (width // 8) + " " * (width % 8)


def lay(depth: int, text: str) -> list[str]:
    """A line at a depth of blocks, broken where it is too long."""
    if depth < 0 or not text:
        return [text]
    if text.startswith(("/*", " *")):
        return ["\t" * depth + text]
    head = "\t" * depth
    out = []
    rest = text
    first = True
    while columns(head + rest) > WIDTH:
        at = _cut(head, rest)
        if at is None:
            break
        out.append((head + rest[:at]).rstrip())
        below = _below(head, rest[:at], depth, first)
        rest = rest[at:].lstrip()
        piece = _BREAK.search(rest)
        if below + columns(rest[:piece.end()].rstrip() if piece else rest) > WIDTH:
            below = 8 * depth + 16              # so deep below a bracket it would not fit
        head = indent(below)
        first = False
    out.append(head + rest)
    return out


def _cut(head: str, text: str) -> int | None:
    """Where to break: the last place of the least depth of brackets that still fits."""
    best: tuple[int, int] | None = None
    depth, quoted = 0, False
    for i, c in enumerate(text):
        if c == '"' and text[i - 1:i] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (c in "([{") - (c in ")]}")
        m = _BREAK.match(text, i)
        fits = columns(head + text[:m.end()].rstrip()) <= WIDTH if m else False
        if m and not fits and best is None and i > 8:
            return m.end()                  # a string that is too long by itself
        if m and fits:
            kind = depth + (1 if text[i:i + 1] == " " else 0)
            if best is None or (kind, -i) <= (best[0], -best[1]) or (kind == best[0] and i > best[1]):
                if best is None or kind <= best[0]:
                    best = (kind, m.end())
    if best is None:
        return None
    # too early a break gains nothing
    return best[1] if best[1] > 8 else None


def _below(head: str, text: str, depth: int, first: bool) -> int:
    """The column of what continues."""
    stack = []
    at = columns(head)
    for i, c in enumerate(text):
        if c in "([":
            stack.append(at + i + 1)
        elif c in ")]" and stack:
            stack.pop()
    if stack and stack[-1] < WIDTH - 20:
        return stack[-1]
    if not first and not stack:
        return columns(head)
    return 8 * depth + 8 if first else columns(head)


def function(head: str, declarations: list[str], lines: list[tuple[int, str]]) -> str:
    """A whole function; ``lines`` are (depth in blocks, text), labels at -1."""
    out = [head.rstrip(), "{"]
    for text in declarations:
        out += lay(1, text)
    if declarations and lines:
        out.append("")
    for depth, text in lines:
        out += lay(depth + 1 if depth >= 0 else -1, text)
    out.append("}")
    return "\n".join(out)
