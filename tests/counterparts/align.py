# SPDX-License-Identifier: GPL-2.0-only
"""Python's statements beside C's: in order, each beside one of C's or a few that follow each other."""
from __future__ import annotations

from collections.abc import Sequence

ENOUGH = 0.6            # of a statement's words have to be in the C that it stands beside
WINDOW = 4              # statements of C that one of Python may be
STEP = 0.04             # what each further one costs: the nearest is taken


def cover(words: frozenset[str], c: Sequence[frozenset[str]], a: int, b: int) -> float:
    """The part of ``words`` that statements a to b of the C have."""
    return len(words & frozenset().union(*c[a:b + 1])) / len(words)


def without(py: Sequence[frozenset[str]], c: Sequence[frozenset[str]]) -> list[int]:
    """The statements of Python that have no counterpart in C.

    The order that covers most is found first; a statement that it leaves over may stand beside one of C's that nobody stands
    beside.
    """
    if not c:
        return list(range(len(py)))
    n, m = len(py), len(c)
    # of the statements before: the most that is covered, ending at or before each of C's
    best = [0.0] * m
    back: list[list[tuple[int, int]]] = []
    for i in range(n):
        now, took = list(best), [(-1, -1)] * m
        for b in range(m):
            for a in range(max(0, b - WINDOW + 1), b + 1):
                v = cover(py[i], c, a, b)
                if v < ENOUGH:
                    continue
                v = best[a] + v - STEP * (b - a)
                if v > now[b]:
                    now[b], took[b] = v, (a, b)
        for b in range(1, m):
            if now[b - 1] > now[b]:
                now[b], took[b] = now[b - 1], took[b - 1]
        back.append(took)
        best = now
    left, used, at = [], set(), m - 1
    for i in range(n - 1, -1, -1):
        a, b = back[i][at]
        if a < 0:
            left.append(i)
            continue
        used.update(range(a, b + 1))
        at = a
    out = []
    for i in reversed(left):
        free = [j for j in range(m) if j not in used and cover(py[i], c, j, j) >= ENOUGH]
        if free:
            used.add(free[0])
        else:
            out.append(i)
    return out
