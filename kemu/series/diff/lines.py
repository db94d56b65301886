# SPDX-License-Identifier: GPL-2.0-only
"""Where the two texts of a function part: the statements that only one of them has, without those that the port writes in
another way than C with the patches and without.
"""
from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher

from kemu.series.emit.hunks import units
from kemu.series.emit.source import Ported

_DECLARES = re.compile(r"(?!return|goto|else|case)(?:\w+ )+\**\w+(?:\[\w*\])?\s*[=,;]")


@dataclass(frozen=True)
class Line:
    """A statement: its line in the function's text, counted from 0, and what it says."""

    number: int
    text: str


def _only(a: str, b: str) -> tuple[list[tuple[str, Line]], list[tuple[str, Line]]]:
    """What only ``a`` has, and only ``b``: (key, line) of each."""
    rows = []
    for text in (a, b):
        some, at = [], 0
        for u in units(text):
            code = [n for n, line in enumerate(u.lines) if line.strip() and not line.strip().startswith(("/*", "*"))]
            first = code[0] if code else 0
            some.append((u.key, Line(at + first, " ".join(line.strip() for line in u.lines[first:]))))
            at += len(u.lines)
        rows.append([row for row in some if row[0]][1:])        # without its head
    left, right = rows
    out: tuple[list[tuple[str, Line]], list[tuple[str, Line]]] = ([], [])
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, [k for k, _ in left], [k for k, _ in right], autojunk=False).get_opcodes():
        if tag != "equal":
            out[0].extend(left[i1:i2])
            out[1].extend(right[j1:j2])
    return out


def _likely(text: str) -> str:
    """Without ``unlikely()``: the ports have none."""
    while (m := re.search(r"\b(?:un)?likely\(", text)) is not None:
        depth, end = 1, m.end()
        while end < len(text) and depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        text = text[:m.start()] + text[m.end():end - 1] + text[end:]
    return text


def _loose(text: str) -> str:
    """A statement without what the ports write where C converts by itself: casts to what is wide, brackets, suffixes."""
    text = re.sub(r"\((?:u64|s64|loff_t|unsigned long|size_t|(?:struct )?\w+ \*+)\)(?=[\w(])", "", text)
    return re.sub(r"(?<=\d)U?L?L\b|[\s(){}]", "", text)


def first(c: str, emitted: str, c_before: str = "", emitted_before: str = "") -> tuple[Line | None, Line | None]:
    """The first statements that only the patch has, and only the port: None where there is none."""
    c, c_before = _likely(c), _likely(c_before)
    known = _only(c_before, emitted_before) if c_before and emitted_before else ([], [])
    hits: list[list[Line]] = []
    for rows, before in zip(_only(c, emitted), known):
        left = Counter(key for key, _ in before)
        hits.append([])
        for key, line in rows:
            if left[key]:
                left[key] -= 1
            else:
                hits[-1].append(line)
    alike = Counter(_loose(h.text) for h in hits[0]) & Counter(_loose(h.text) for h in hits[1])
    return _best(hits[0], alike), _best(hits[1], alike)


def _best(hits: list[Line], alike: Counter[str]) -> Line | None:
    """The first that is more than another way to write the same; a declaration only if there is nothing else."""
    left = Counter(alike)
    others = []
    for line in hits:
        if left[_loose(line.text)]:
            left[_loose(line.text)] -= 1
        else:
            others.append(line)
    return next((line for line in others if not _DECLARES.match(line.text)), None)


def in_python(of: Ported, text: str) -> tuple[int, str]:
    """The statement of the Python that a line of its C is most like: line in its file, and text."""
    best: tuple[float, int, str] = (0.0, of.node.lineno, "")
    want = text.replace("->", ".").replace("&", "").rstrip(";{ ")
    for node in ast.walk(of.node):
        if not isinstance(node, ast.stmt) or node is of.node:
            continue
        said = ast.unparse(node).split("\n")[0]
        ratio = SequenceMatcher(None, said.replace("self.", ""), want, autojunk=False).ratio()
        if ratio > best[0]:
            best = ratio, node.lineno, said
    return best[1], best[2]
