# SPDX-License-Identifier: GPL-2.0-only
"""Finding a function's text in kernel C, and the hash by which a port is pinned to it.

Kernel style makes this simple: a definition starts in column 0, its body's closing brace stands alone in column 0, and a macro
that defines functions is a ``#define``. The hash ignores comments and white space, so only code that changed counts as drift.
"""
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class CFunction:
    """One definition: 1-based first line, and its text from the return type to the closing brace."""

    name: str
    line: int
    text: str


@lru_cache(maxsize=256)
def _blank_comments_and_strings(text: str) -> str:
    """The same text with comments and string contents replaced by spaces, so that offsets stay."""
    def blank(m: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", m.group(0))

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def _match(text: str, i: int, opening: str, closing: str) -> int:
    """Offset behind the bracket that closes the one at ``i``; -1 if there is none."""
    depth = 0
    for k in range(i, len(text)):
        if text[k] == opening:
            depth += 1
        elif text[k] == closing:
            depth -= 1
            if not depth:
                return k + 1
    return -1


def find_function(source: str, name: str) -> CFunction | None:
    """The definition of ``name`` in a C file's text: a function, a ``#define``, or a ``struct``; the longest of several (the
    others are #else branches).
    """
    bare = _blank_comments_and_strings(source)
    best: CFunction | None = None
    for m in re.finditer(rf"\b{re.escape(name)}\s*\(", bare):
        start = bare.rfind("\n", 0, m.start()) + 1
        if bare[start:start + 1] in (" ", "\t", "#", "}", "{", ""):
            continue
        after = _match(bare, m.end() - 1, "(", ")")
        if after < 0:
            continue
        rest = bare[after:]
        gap = re.match(r"(?:\s|__\w+(?:\([^)]*\))?)*\{", rest)
        if gap is None:
            continue
        end = _match(bare, after + gap.end() - 1, "{", "}")
        if end < 0:
            continue
        # the return type may stand on the lines above
        while start > 0:
            prev = bare.rfind("\n", 0, start - 1) + 1
            line = bare[prev:start].strip()
            if not line or (line[-1] in ";}:*/" and line[-1] != "*") or line.startswith("#"):
                break
            start = prev
        fn = CFunction(name, source.count("\n", 0, start) + 1, source[start:end])
        if best is None or (fn.text.count("\n"), len(fn.text)) > (best.text.count("\n"), len(best.text)):
            best = fn
    if best is not None:
        return best
    d = re.search(rf"^#define {re.escape(name)}\b(?:.*\\\n)*.*$", source, flags=re.M)
    if d is not None:
        return CFunction(name, source.count("\n", 0, d.start()) + 1, d.group(0))
    return None


def pin(text: str) -> str:
    """12 hex digits over the code of a definition, comments and white space aside."""
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    return hashlib.sha256(re.sub(r"\s+", " ", bare).strip().encode()).hexdigest()[:12]
