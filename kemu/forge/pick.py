# SPDX-License-Identifier: GPL-2.0-only
"""Where a forged input comes from: every choice is one call of ``value(name, low, high)``.

The same generator runs on a seed (``kemu forge``), under Hypothesis (which shrinks it) and under any chooser of ``kemu.explore``:
they all offer ``value``. Low values are the simple ones, so that shrinking towards ``low`` shrinks towards the plain input.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


class Values(Protocol):
    """The part of a chooser that a generator needs (see ``kemu.machine.chooser.Chooser``)."""

    def value(self, name: str, low: int, high: int) -> int:
        """An int in [low, high]."""


def splitmix64(state: int) -> tuple[int, int]:
    """One step of splitmix64: ``(next state, output)``. Fixed for ever: seeds and tokens depend on it."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return state, z ^ (z >> 31)


class SeedValues:
    """Choices from a seed: the same in every process, on every platform and under every PYTHONHASHSEED."""

    def __init__(self, seed: int) -> None:
        self.state = seed & _MASK

    def value(self, name: str, low: int, high: int) -> int:
        """An int in [low, high], uniform to within 2**-40 or better for the small ranges that are used here."""
        if low == high:
            return low
        self.state, z = splitmix64(self.state)
        return low + z % (high - low + 1)

    def group(self, fn: Callable[[], Any]) -> Any:
        """``fn()``: what it draws belongs together."""
        return fn()


class Pick:
    """Small words on top of ``value``: what generators are written in."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.int = values.value
        self._group = getattr(values, "group", None)

    def rare(self, name: str, n: int) -> bool:
        """True once in ``n`` times; the simplest choice is False."""
        return self.int(name, 0, n - 1) == n - 1

    def one_of(self, name: str, options: Sequence[T]) -> T:
        """One of ``options``; the first is the simplest."""
        return options[self.int(name, 0, len(options) - 1)]

    def group(self, fn: Callable[[], T]) -> T:
        """Run ``fn`` as one unit: what a shrinker may drop or move as a whole."""
        return self._group(fn) if self._group else fn()  # type: ignore[no-any-return]

    def several(self, name: str, low: int, high: int, fn: Callable[[], T]) -> list[T]:
        """Between ``low`` and ``high`` results of ``fn``, each its own unit, with a "one more?" before each optional one."""
        return list(self._several(name, low, high, fn))

    def _several(self, name: str, low: int, high: int, fn: Callable[[], T]) -> Iterator[T]:
        for done in range(high):
            one = self.group(lambda: (fn(),) if done < low or self.int(name, 0, 3) else None)  # noqa: B023 - called at once
            if one is None:
                return
            yield one[0]

    def shuffled(self, name: str, n: int) -> list[int]:
        """A permutation of range(n) from a single choice; 0 is the identity."""
        state = self.int(name, 0, (1 << 32) - 1)
        order = list(range(n))
        if state:
            for i in range(n - 1, 0, -1):
                state, z = splitmix64(state)
                j = z % (i + 1)
                order[i], order[j] = order[j], order[i]
        return order
