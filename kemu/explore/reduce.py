# SPDX-License-Identifier: GPL-2.0-only
"""A quick first pass of shrinking: long stretches of choices made simple at once, before Hypothesis works on what is left.

Zero is the simplest value of every choice, so most of a failing run can usually be made zero in a few dozen attempts.
"""
from __future__ import annotations

from collections.abc import Callable

Attempt = Callable[[list[int]], "list[int] | None"]


def reduce(offsets: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    """The smallest list found. ``attempt(list)`` gives the choices that the run then made if it fails in the same way, else None."""
    best = list(offsets)
    changed = True
    while changed and not done():
        before = list(best)
        best = _zero(best, attempt, done)
        best = _drop(best, attempt, done)
        best = _lower(best, attempt, done)
        changed = best != before
    return best


def _better(best: list[int], candidate: list[int], attempt: Attempt) -> list[int] | None:
    if candidate == best:
        return None
    got = attempt(candidate)
    if got is None:
        return None
    while got and not got[-1]:
        got.pop()
    return got if _size(got) < _size(best) else None


def _size(offsets: list[int]) -> tuple[int, int, list[int]]:
    return len(offsets), sum(1 for v in offsets if v), offsets


def _zero(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    length = max(1, len(best) // 2)
    while length:
        i = max(0, len(best) - length)
        while not done():
            part = best[i:i + length]
            if any(part):
                got = _better(best, best[:i] + [0] * len(part) + best[i + length:], attempt)
                if got is not None:
                    best = got
            if i == 0:
                break
            i = max(0, min(i, len(best)) - length)
        length //= 2
    return best


def _drop(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    for length in (16, 8, 5, 4, 3, 2, 1):
        i = len(best) - length
        while i >= 0 and not done():
            got = _better(best, best[:i] + best[i + length:], attempt)
            if got is not None:
                best = got
                i = min(i, len(best)) - length
            else:
                i -= max(1, length // 2)
    return best


def _lower(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    i = 0
    while i < len(best) and not done():
        low, high = -1, best[i]             # high fails; above low is not yet known
        for guess in (0, 1):
            if high > guess > low:
                got = _better(best, best[:i] + [guess] + best[i + 1:], attempt)
                if got is None:
                    low = guess
                else:
                    best = got
                    high = guess
                    break
        while high - low > 1 and i < len(best) and not done():
            mid = (low + high) // 2
            got = _better(best, best[:i] + [mid] + best[i + 1:], attempt)
            if got is None:
                low = mid
            else:
                best = got
                high = mid
        i += 1
    return best
