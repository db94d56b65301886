# SPDX-License-Identifier: GPL-2.0-only
"""A change of a function, made in the form that the port has: logical line by logical line."""
from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from difflib import SequenceMatcher

ALIKE = 0.6                             # how much two lines have in common that are taken for one
_NOISE = re.compile(r"\b(?:u8|u16|u32|u64|s32|s64|ulong|loff_t|size_t|bool)\(|[\s()]|\b\w+_statics\.|\bg\.|\.v\b")


@dataclass
class Unit:
    """A logical line with the comments before it."""

    lines: list[str]
    key: str
    depth: int


def units(text: str) -> list[Unit]:
    """The logical lines of a function."""
    rows = text.split("\n")
    out: list[Unit] = []
    done, first, words = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(text + "\n").readline):
        if token.type == tokenize.NEWLINE:
            lines = rows[done:token.end[0]]
            bare = rows[first - 1] if first else lines[-1]
            out.append(Unit(lines, _NOISE.sub("", words), len(bare) - len(bare.lstrip())))
            done, first, words = token.end[0], 0, ""
        elif token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            first = first or token.start[0]
            words += token.string if not token.string.isidentifier() else f" {token.string} "
    return out


def _aligned(a: list[Unit], b: list[Unit]) -> dict[int, int]:
    out: dict[int, int] = {}
    i0 = j0 = 0
    for i, j, n in SequenceMatcher(None, [u.key for u in a], [u.key for u in b], autojunk=False).get_matching_blocks():
        low = j0
        for k in range(i0, i):
            best = max(((SequenceMatcher(None, a[k].key, b[m].key, autojunk=False).ratio(), -m) for m in range(low, j)),
                       default=(0.0, 0))
            if best[0] >= ALIKE:
                out[k] = -best[1]
                low = -best[1] + 1
        out.update({i + k: j + k for k in range(n)})
        i0, j0 = i + n, j + n
    return out


def _moved(lines: list[str], by: int) -> list[str]:
    return [(" " * by + line if by > 0 else line[min(-by, len(line) - len(line.lstrip())):]) if line.strip() else line
            for line in lines]


def _lead(u: Unit) -> int:
    """How many empty lines and comments stand before a line."""
    return next((i for i, line in enumerate(u.lines) if line.strip() and not line.strip().startswith("#")), 0)


def merge(before: str, port: str, after: str) -> str | None:
    """``port`` with what differs between ``before`` and ``after``; None where the places cannot be told."""
    a, b, c = units(before), units(port), units(after)
    heads = next((i for i, u in enumerate(b) if u.key.startswith("def")), None)
    if heads is None or not a or not c:
        return None
    at = {i: j for i, j in _aligned(a[1:], b[heads + 1:]).items()}
    at = {i + 1: j + heads + 1 for i, j in at.items()} | {0: heads}
    rows = SequenceMatcher(None, [f"{u.depth} {' '.join(x.strip() for x in u.lines)}" for u in a],
                           [f"{u.depth} {' '.join(x.strip() for x in u.lines)}" for u in c], autojunk=False).get_opcodes()
    out: list[str] = []
    done = 0
    for tag, i1, i2, j1, j2 in rows:
        if tag == "equal":
            continue
        if tag == "insert":
            if i1 - 1 in at:
                place, shift = at[i1 - 1] + 1, b[at[i1 - 1]].depth - a[i1 - 1].depth
                if i1 in at and at[i1] != place:
                    return None
            elif i1 in at:
                place, shift = at[i1], b[at[i1]].depth - a[i1].depth
            else:
                return None
            first = last = place
        else:
            if any(i not in at for i in range(i1, i2)) or at[i2 - 1] - at[i1] != i2 - 1 - i1:
                return None
            first, last = at[i1], at[i2 - 1] + 1
            shift = b[first].depth - a[i1].depth
        if first < done:
            return None
        out += [line for u in b[done:first] for line in u.lines]
        if tag == "replace":                            # what stands before it is the port's own
            out += b[first].lines[:_lead(b[first])] if not _lead(c[j1]) else [x for x in b[first].lines[:1] if not x.strip()]
        out += [line for u in c[j1:j2] for line in _moved(u.lines, shift)]
        done = last
    text = "\n".join(out + [line for u in b[done:] for line in u.lines])
    try:
        ast.parse(text)
    except SyntaxError:
        return None
    return text


def free(text: str) -> set[str]:
    """The names that a function reads and does not make."""
    tree = ast.parse(text).body[-1]
    made: set[str] = set()
    read: set[str] = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Name):
            (made if isinstance(n.ctx, ast.Store) else read).add(n.id)
        elif isinstance(n, ast.arg):
            made.add(n.arg)
            read -= {n.arg}
        elif isinstance(n, ast.FunctionDef):
            made.add(n.name)
        elif isinstance(n, ast.Import | ast.ImportFrom):
            made |= {alias.asname or alias.name for alias in n.names}
    return read - made


def hunks(old: str, new: str) -> list[tuple[str, str]]:
    """(old, new) for ``series.edits()``: each old text is in the function once."""
    a, b = old.split("\n"), new.split("\n")
    rows = [r for r in SequenceMatcher(None, a, b, autojunk=False).get_opcodes() if r[0] != "equal"]
    blocks: list[list[int]] = []
    for _, i1, i2, j1, j2 in rows:
        lead, tail = 0, 0
        while True:
            text = "\n".join(a[i1 - lead:i2 + tail]) + "\n"
            if i2 + tail - (i1 - lead) > 0 and (old + "\n").count(text) == 1:
                break
            if lead <= tail and i1 - lead > 0:
                lead += 1
            elif i2 + tail < len(a):
                tail += 1
            elif i1 - lead > 0:
                lead += 1
            else:
                break
        blocks.append([i1 - lead, i2 + tail, j1 - lead, j2 + tail])
    out: list[list[int]] = []
    for block in blocks:
        if out and block[0] <= out[-1][1]:
            out[-1][1], out[-1][3] = max(out[-1][1], block[1]), max(out[-1][3], block[3])
        else:
            out.append(block)
    made = _texts(a, b, out)
    text = old + "\n"
    for before, after in made:                          # they are applied one after the other
        if text.count(before) != 1:
            return _texts(a, b, [[out[0][0], out[-1][1], out[0][2], out[-1][3]]])
        text = text.replace(before, after)
    return made


def _texts(a: list[str], b: list[str], blocks: list[list[int]]) -> list[tuple[str, str]]:
    return [("\n".join(a[i1:i2]) + "\n", "\n".join(b[j1:j2]) + "\n" if j2 > j1 else "") for i1, i2, j1, j2 in blocks]
