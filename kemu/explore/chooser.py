# SPDX-License-Identifier: GPL-2.0-only
"""The Chooser of a run: task, fault and value from one source.

Faults and preemptions are not asked for one by one. The run draws how far away the next one is (0: there is none), so that a run
without any costs nothing, a token stays short, and a shrinker moves one number to find the first call whose failure matters.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kemu.check.where import port_chain, site
from kemu.explore.source import ListSource, Source
from kemu.machine.current import this

if TYPE_CHECKING:
    from kemu.machine.sched import Task

T = TypeVar("T")


class Choice(NamedTuple):
    """One draw of a run."""

    name: str
    low: int
    high: int
    value: int

    @property
    def offset(self) -> int:
        """How far from the simplest value."""
        return self.value - self.low


class Fault(NamedTuple):
    """A call that was made to fail: the ``number``-th fallible one since faults were armed."""

    number: int
    kind: str
    what: str
    site: str
    via: str = ""           # what the ported function called, if that is not what failed itself

    def __str__(self) -> str:
        via = f", in {self.via}()" if self.via else ""
        return f"fallible call {self.number} fails: {self.kind} in {self.what}{via} called by {self.site}"


class Switch(NamedTuple):
    """A scheduling question that was not answered with the default."""

    number: int
    where: str
    frm: str
    to: str

    def __str__(self) -> str:
        return f"scheduling point {self.number} ({self.where}): {self.to} runs instead of {self.frm}"


Who = Callable[["list[Task]"], int]         # of the tasks that can run, the default first, the number of the one that does


class Choices:
    """Implements :class:`kemu.machine.chooser.Chooser`; records what it chose.

    Nothing fails and nobody is preempted until the run calls :meth:`arm_faults` or :meth:`arm_schedule`. ``who``: answers every
    scheduling question from then on, in place of what is drawn.
    """

    def __init__(self, source: Source, *, expect: list[int] | None = None, who: Who | None = None):
        self.source = source
        self._who = who
        self.draws: list[Choice] = []
        self.faults: list[Fault] = []
        self.switches: list[Switch] = []
        self.fault_points = 0                   # fallible calls met while armed
        self.fault_keys: list[Hashable] = []    # what each of them was, and who called it
        self.task_points: list[int] = []        # number of candidates at each scheduling question met while armed
        self.trace: Callable[[str], None] | None = None
        self.diverged: str = ""
        self._expect = expect                   # what the token remembers about each non-simple choice, see kemu.explore.token
        self._fault_at = 0                      # 0: off, else the number of the fault point that fails
        self._fault_limit = 0
        self._fault_left = 0
        self._fault_kinds: tuple[str, ...] | None = None
        self._faults_on = False
        self._switch_at = 0
        self._switch_limit = 0
        self._switch_left = 0
        self._schedule_on = False
        self._newest = False

    # ------------------------------------------------------------ values

    def value(self, name: str, low: int, high: int) -> int:
        """An int in [low, high]; the simplest is ``low``."""
        if low >= high:
            return low
        v = self.source.draw(name, low, high)
        c = Choice(name, low, high, v)
        self.draws.append(c)
        if self._expect is not None:
            self._compare(len(self.draws) - 1, c)
        if self.trace is not None:
            self.trace(f"choice {len(self.draws)} {name} [{low}, {high}] = {v}")
        return v

    def group(self, fn: Callable[[], T]) -> T:
        """Choices that belong together (see :class:`kemu.forge.pick.Pick`)."""
        return self.source.group(fn)

    def _compare(self, i: int, c: Choice) -> None:
        assert self._expect is not None
        if self.diverged:
            return
        source = self.source
        if isinstance(source, ListSource) and source.cut and source.cut[-1] == i:
            self.diverged = f"choice {i + 1}: {c.name!r} takes {c.low}..{c.high} here, the token has {c.low + source.offsets[i]}"
        elif i < len(self._expect) and self._expect[i] >= 0 and self._expect[i] != shape(c):
            self.diverged = (f"choice {i + 1}: the run asks for {c.name!r} in {c.low}..{c.high}, the token was made where it "
                             f"asked for something else")

    # ------------------------------------------------------------ faults

    def arm_faults(self, limit: int = 1000, most: int = 1, kinds: tuple[str, ...] | None = None) -> None:
        """From here on, up to ``most`` fallible calls fail: the first within the next ``limit``. ``kinds``: only those (failslab,
        ...), or those calls.
        """
        self._faults_on = True
        self._fault_kinds = kinds
        self._fault_limit = limit
        self._fault_left = most
        self.fault_points = 0
        self.fault_keys = []
        self._next_fault()

    def _next_fault(self) -> None:
        self._fault_at = 0
        if self._fault_left > 0:
            self._fault_left -= 1
            gap = self.value("fault", 0, self._fault_limit)
            if gap:
                self._fault_at = self.fault_points + gap

    def disarm_faults(self) -> None:
        """Nothing fails any more."""
        self._faults_on = False

    def fault(self, kind: str, what: str) -> bool:
        """See :class:`kemu.machine.chooser.Chooser`."""
        if (not self._faults_on or (self._fault_kinds is not None and kind not in self._fault_kinds
                                    and what not in self._fault_kinds)):
            return False
        n = self.fault_points = self.fault_points + 1
        self.fault_keys.append((kind, what, port_chain()))
        if n != self._fault_at:
            return False
        s = site()
        f = Fault(n, kind, what, str(s) if s is not None else "?", s.api if s is not None and s.api != what else "")
        self.faults.append(f)
        this.machine.log.emit("\x014FAULT_INJECTION: forcing a failure.\n"
                              f"name {kind}, interval 1, probability 100, space 0, times 1: {what} in {f.site}")
        if self.trace is not None:
            self.trace(str(f))
        self._next_fault()
        return True

    # ------------------------------------------------------------ tasks

    def arm_schedule(self, limit: int = 200, most: int = 2, newest: bool = False) -> None:
        """From here on, up to ``most`` scheduling questions are answered with another task than the default: the first within
        ``limit``.

        ``newest``: where a task sleeps, the default is the one that became runnable last, not first: chains of tasks run through
        at once.
        """
        self._schedule_on = True
        self._newest = newest
        self._switch_limit = limit
        self._switch_left = most
        self.task_points = []
        self._next_switch()

    def _next_switch(self) -> None:
        self._switch_at = 0
        if self._switch_left > 0:
            self._switch_left -= 1
            gap = self.value("preempt", 0, self._switch_limit)
            if gap:
                self._switch_at = len(self.task_points) + gap

    def disarm_schedule(self) -> None:
        """First in, first out again."""
        self._schedule_on = False

    def task(self, runnable: list[Task], current: Task | None, where: str) -> int:
        """See :class:`kemu.machine.chooser.Chooser`."""
        if not self._schedule_on:
            return 0
        self.task_points.append(len(runnable))
        n = len(self.task_points)
        if self._who is not None:
            return self._who(runnable)
        if n != self._switch_at:
            return len(runnable) - 1 if self._newest and current is None else 0
        i = self.value("task", 1, len(runnable) - 1)
        s = Switch(n, where, _task(runnable[0]), _task(runnable[i]))
        self.switches.append(s)
        if self.trace is not None:
            self.trace(str(s))
        self._next_switch()
        return i

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing fails and nobody is preempted meanwhile: somebody looks who is no part of the experiment."""
        armed = self._faults_on, self._schedule_on
        self._faults_on = self._schedule_on = False
        yield
        self._faults_on, self._schedule_on = armed

    def offsets(self) -> list[int]:
        """The run as numbers: what a token holds and :class:`~kemu.explore.source.ListSource` replays."""
        return [c.offset for c in self.draws]


def _task(t: Any) -> str:
    return f"{t.comm}/{t.pid}"


def shape(c: Choice) -> int:
    """Three bits that tell one question from another: FNV-1a of its name and width. Tokens depend on it."""
    h = 0x811C9DC5
    for b in f"{c.name}:{c.high - c.low}".encode():
        h = (h ^ b) * 0x01000193 & 0xFFFFFFFF
    return (h ^ h >> 13 ^ h >> 23) & 7
