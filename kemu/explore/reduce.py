# SPDX-License-Identifier: GPL-2.0-only
"""A quick first pass of shrinking: most choices of a failing run can be made simple at once, before Hypothesis works on what is
left.

Zero is the simplest value of every choice. Only the choices that are not zero are worth attempts, so a run of hundreds of choices
is reduced in some dozens of them.
"""
from __future__ import annotations

from collections.abc import Callable

Attempt = Callable[[list[int]], "list[int] | None"]


def reduce(offsets: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    """The smallest list found. ``attempt(list)`` gives the choices that the run then made if it fails in the same way, else None.
    """
    best = _trim(list(offsets))
    changed = True
    while changed and not done():
        before = list(best)
        for step in (_shorten, _zero, _drop, _lower):
            best = step(best, attempt, done)
        changed = best != before
    return best


def _trim(offsets: list[int]) -> list[int]:
    while offsets and not offsets[-1]:
        offsets.pop()
    return offsets


def _size(offsets: list[int]) -> tuple[int, int, list[int]]:
    return sum(1 for v in offsets if v), len(offsets), offsets


def _better(best: list[int], candidate: list[int], attempt: Attempt) -> list[int] | None:
    if _trim(candidate) == best:
        return None
    got = attempt(candidate)
    if got is None or _size(_trim(got)) >= _size(best):
        return None
    return got


def _shorten(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    """The shortest beginning that still fails when the rest is simple."""
    low, high = -1, len(best)
    while high - low > 1 and not done():
        mid = (low + high) // 2
        got = _better(best, best[:mid], attempt)
        if got is None:
            low = mid
        else:
            best = got
            high = min(mid, len(best))
    return best


def _nonzero(best: list[int]) -> list[int]:
    return [i for i, v in enumerate(best) if v]


def _zero(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    """Stretches of choices become simple."""
    length = max(1, len(_nonzero(best)) // 2)
    while True:
        end = len(_nonzero(best))
        while end > 0 and not done():
            at = _nonzero(best)
            part = set(at[max(0, end - length):end])
            got = _better(best, [0 if i in part else v for i, v in enumerate(best)], attempt)
            if got is not None:
                best = got
            end = min(end, len(_nonzero(best)) + length) - length
        if length == 1 or done():
            return best
        length //= 2


def _drop(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    """Choices before one that matters go away, so that it comes earlier."""
    k = len(_nonzero(best)) - 1
    while k >= 0 and not done():
        at = _nonzero(best)
        k = min(k, len(at) - 1)
        if k < 0:
            break
        i = at[k]
        gap = i - (at[k - 1] + 1 if k else 0)
        for n in dict.fromkeys((gap + 1, gap, gap // 2, 5, 3, 2, 1)):
            if 0 < n <= i + 1 and not done():
                start = i - n if n <= gap else i - n + 1
                got = _better(best, best[:max(0, start)] + best[max(0, start) + n:], attempt)
                if got is not None:
                    best = got
                    break
        k -= 1
    return best


def _lower(best: list[int], attempt: Attempt, done: Callable[[], bool]) -> list[int]:
    """Each value is lowered by halves."""
    i = 0
    while i < len(best) and not done():
        low, high = 0, best[i]              # high fails; low, if it is not 0, does not
        if high > 1:
            got = _better(best, best[:i] + [1] + best[i + 1:], attempt)
            if got is None:
                low = 1
            else:
                best, high = got, 1
        while high - low > 1 and i < len(best) and not done():
            mid = (low + high) // 2
            got = _better(best, best[:i] + [mid] + best[i + 1:], attempt)
            if got is None:
                low = mid
            else:
                best, high = got, mid
        i += 1
    return best
