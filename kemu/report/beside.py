# SPDX-License-Identifier: GPL-2.0-only
"""Two texts side by side: lines that say the same stand beside each other, long ones are folded."""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# words of one language only: they say nothing about what the line does
_NOISE = frozenset("struct static const unsigned int long bool void char size_t if else elif not and or is None NULL return def "
                   "for while in True False".split())


def words(line: str) -> frozenset[str]:
    """The names of a line; of one that has only keywords, those."""
    found = frozenset(w.rstrip("_") for w in re.findall(r"[A-Za-z_]\w*", line))
    return found - _NOISE or found


def alike(a: frozenset[str], b: frozenset[str]) -> float:
    """How much of the longer line the other has: 0.0 to 1.0, and 0.0 for less than half."""
    share = len(a & b) / max(len(a), len(b), 1)
    return share if share >= 0.5 else 0.0


def pairs(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Which lines belong together, in order: (index left, index right), as many and as much alike as can be."""
    a, b = [words(x) for x in left], [words(x) for x in right]
    best = [[0.0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            s = alike(a[i], b[j])
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + s if s else 0.0)
    out = []
    i = j = 0
    while i < len(a) and j < len(b):
        s = alike(a[i], b[j])
        if s and best[i][j] == best[i + 1][j + 1] + s:
            out.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return out


def _fold(line: str, width: int) -> list[str]:
    """At most ``width`` columns each; what goes on is indented two more than the line begins."""
    if len(line) <= width:
        return [line]
    indent = " " * min(len(line) - len(line.lstrip()) + 2, width // 2)
    at = line.rfind(" ", len(indent) + 1, width + 1)
    at = at if at > 0 else width
    return [line[:at], *_fold(indent + line[at:].lstrip(), width)]


def beside(left: Sequence[str], right: Sequence[str], width: int) -> Iterator[str]:
    """Rows of two columns of ``width`` each."""
    i = j = 0
    for a, b in [*pairs(left, right), (len(left), len(right))]:
        between = max(a - i, b - j)
        rows = [(left[i + k] if i + k < a else "", right[j + k] if j + k < b else "") for k in range(between)]
        if a < len(left):
            rows.append((left[a], right[b]))
        for x, y in rows:
            xs, ys = _fold(x, width), _fold(y, width)
            for k in range(max(len(xs), len(ys))):
                yield f"{xs[k] if k < len(xs) else '':<{width}} | {ys[k] if k < len(ys) else ''}".rstrip()
        i, j = a + 1, b + 1
