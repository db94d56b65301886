# SPDX-License-Identifier: GPL-2.0-only
"""Where choices come from: a seed, a recorded run, or Hypothesis. A source knows ranges, not what is chosen.

The lowest value of a range is the simplest choice, everywhere: a generated image shrinks towards the plain one, a schedule
towards the one without a preemption, a fault plan towards no fault.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from kemu.forge.pick import splitmix64

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Source(Protocol):
    """Gives the next choice of a run."""

    def draw(self, name: str, low: int, high: int) -> int:
        """An int in [low, high]; ``low < high``."""

    def group(self, fn: Callable[[], T]) -> T:
        """Run ``fn``, whose draws belong together: what a shrinker may drop as a whole."""


class SeedSource:
    """Choices from a number. Wide ranges favour their ends and powers of two, where the mistakes live.

    The generator and the bias are fixed for ever: seed tokens depend on them.
    """

    def __init__(self, seed: int):
        self.state = seed & _MASK

    def _next(self) -> int:
        self.state, z = splitmix64(self.state)
        return z

    def draw(self, name: str, low: int, high: int) -> int:
        """An int in [low, high]: ends, small ones and powers of two more often than the rest."""
        width = high - low + 1
        z = self._next()
        if width <= 24:
            return low + z % width
        form, z = z & 15, z >> 4
        if form < 8:
            return low + z % width
        if form == 8:
            return low
        if form == 9:
            return high
        bits = (z & 0xFF) % width.bit_length()
        z >>= 8
        if form < 13:                       # as likely small as large
            return low + min(z & ((1 << (bits + 1)) - 1), width - 1)
        if form == 13:                      # near the end
            return high - min(z & ((1 << min(bits + 1, 6)) - 1), width - 1)
        near = (1 << bits) + (z & 3) - 1    # around a power of two
        return low + min(max(near, 0), width - 1)

    def group(self, fn: Callable[[], T]) -> T:
        """``fn()``: what it draws belongs together."""
        return fn()


class SparseSource:
    """Choices from a number, most of them the simplest: what differs from the simplest run in a few things only."""

    def __init__(self, seed: int, share: int = 4):
        self._rare = SeedSource(seed)
        self._coin = SeedSource(~seed)
        self._share = share

    def draw(self, name: str, low: int, high: int) -> int:
        """The simplest, but for one in ``share``."""
        return low if self._coin.draw(name, 0, self._share - 1) else self._rare.draw(name, low, high)

    def group(self, fn: Callable[[], T]) -> T:
        """``fn()``: what it draws belongs together."""
        return fn()


class SweepSource:
    """The simplest choices, but for those of one name: the ``n``-th."""

    def __init__(self, name: str, n: int):
        self._name = name
        self._n = n
        self.over = False                   # there are not so many

    def draw(self, name: str, low: int, high: int) -> int:
        """The simplest, or the one that is asked for."""
        if name != self._name:
            return low
        self.over |= low + self._n > high
        return min(low + self._n, high)

    def group(self, fn: Callable[[], T]) -> T:
        """``fn()``: what it draws belongs together."""
        return fn()


class ListSource:
    """Recorded choices, relative to the low end of their ranges; what is missing at the end is the simplest choice.

    Goes on where the recording does not fit: a value that is out of range is cut to it. :class:`~kemu.explore.chooser.Choices`
    says where that happened.
    """

    def __init__(self, offsets: Sequence[int]):
        self.offsets = offsets
        self.at = 0
        self.cut: list[int] = []            # numbers of the draws whose recorded value did not fit

    def draw(self, name: str, low: int, high: int) -> int:
        """The next of the listed offsets from ``low``; ``low`` behind their end."""
        i = self.at
        self.at = i + 1
        if i >= len(self.offsets):
            return low
        v = low + self.offsets[i]
        if v > high:
            self.cut.append(i)
            return high
        return v

    def group(self, fn: Callable[[], T]) -> T:
        """``fn()``: what it draws belongs together."""
        return fn()


class PlanSource:
    """Another source's values with exact faults and preemptions: what the sweeps vary.

    ``faults``: numbers of the fallible calls that fail, rising. ``switches``: (number of the scheduling question, index of the
    task), rising.
    """

    def __init__(self, base: Source, faults: Sequence[int] = (), switches: Sequence[tuple[int, int]] = ()):
        self.base = base
        steps = [0, *faults]
        self._gaps = [b - a for a, b in zip(steps, faults)]
        steps = [0, *(n for n, _ in switches)]
        self._preempts = [b - a for a, b in zip(steps, [n for n, _ in switches])]
        self._tasks = [i for _, i in switches]
        self._task = 0

    def draw(self, name: str, low: int, high: int) -> int:
        """As planned for faults and preemptions, as the base has it otherwise."""
        if name == "fault":
            return min(self._gaps.pop(0), high) if self._gaps else low
        if name == "preempt":
            if not self._preempts:
                return low
            self._task = self._tasks.pop(0)
            return min(self._preempts.pop(0), high)
        if name == "task":
            return min(max(self._task, low), high)
        return self.base.draw(name, low, high)

    def group(self, fn: Callable[[], T]) -> T:
        """``fn()``: what it draws belongs together."""
        return self.base.group(fn)


class HypothesisSource:
    """Choices drawn through a Hypothesis data object (or a composite strategy's ``draw``), so that its shrinker sees every one of
    them.
    """

    def __init__(self, draw: Callable[[Any], Any]):
        self._draw = draw

    def draw(self, name: str, low: int, high: int) -> int:
        """An int in [low, high], drawn by Hypothesis."""
        return low + int(self._draw(_integers(high - low)))

    def group(self, fn: Callable[[], T]) -> T:
        """``fn()``: what it draws belongs together."""
        from hypothesis import strategies as st  # noqa: PLC0415  (start-up)

        return self._draw(st.builds(fn))     # type: ignore[no-any-return]


_strategies: dict[int, Any] = {}


def _integers(width: int) -> Any:
    s = _strategies.get(width)
    if s is None:
        from hypothesis import strategies as st  # noqa: PLC0415  (start-up)

        s = _strategies[width] = st.integers(0, width)
    return s
