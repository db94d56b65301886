# SPDX-License-Identifier: GPL-2.0-only
"""The loop: pick a kept case, change it, run it, keep what reached something new. One seed and one corpus: always the same."""
from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

import cffi

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.corpus import Corpus
from kemu.rung.c.cover.least import least
from kemu.rung.c.cover.mutate import Mutator, places
from kemu.rung.c.kernel import CELLS, FAIL_MORE, Kernel
from kemu.rung.c.sources import UNDER_TEST
from kemu.rung.protocol import Answer

_NUMBER = re.compile(r"\b(0x)?[0-9a-f]*[0-9][0-9a-f]*\b")
_FRAME = re.compile(r"^  (\S+) at (\S+)$", re.M)
_FAULTS = 400                          # n-th faults of one case that are tried at most
_QUEUED = 4096
_LARGE = 1 << 16                       # of what has a kernel of its own: its calls do not fail one by one


@dataclass
class Entry:
    """A kept case, where something is in it, the first case that it was made of, and what it costs (allocations)."""

    case: Case
    base: Case | None
    written: list[int]
    cost: int = 0


@dataclass
class Crash:
    """What ended the kernel: its title, the place in the C, the report, the flavour that shows it, and the least case."""

    title: str
    function: str
    place: str
    report: str
    flavour: str
    case: Case
    base: Case | None = None
    times: int = 1


@dataclass
class Stats:
    """Figures of a search."""

    executions: int = 0
    seconds: float = 0.0
    cells: int = 0
    kept: int = 0
    faults: int = 0
    crashes: dict[str, Crash] = field(default_factory=dict)


def where(report: str) -> tuple[str, str]:
    """The innermost function under test in a report, and its line; the innermost of all if none is."""
    frames = _FRAME.findall(report)
    own = [f for f in frames if f[1].startswith(UNDER_TEST)]
    function, place = (own or frames or [("?", "?")])[0]
    return function, place


def beyond(report: str) -> list[str]:
    """The functions that the innermost function under test has come to, from the innermost."""
    frames = _FRAME.findall(report)
    return [f[0] for f in takewhile(lambda f: not f[1].startswith(UNDER_TEST), frames)]


def signature(answer: Answer) -> str:
    """What two crashes of one cause have in common: the title and the innermost function; of a hang, which may be anywhere in a
    loop, the outermost.
    """
    return _signature(answer.message or "", answer.console, answer.crash == "hang")


def signature_of(crash: Crash) -> str:
    """The same of a crash that is known."""
    return _signature(crash.title, crash.report, crash.title.startswith("hang"))


def _signature(title: str, report: str, hang: bool) -> str:
    if hang:
        own = [f for f in _FRAME.findall(report) if f[1].startswith(UNDER_TEST)]
        return f"hang in {own[-1][0] if own else '?'}"
    return f"{_NUMBER.sub('N', title)} in {where(report)[0]}"


def meant(case: Case, answer: Answer) -> bool:
    """A panic() because of memory that there is none of, or of a broken archive that is built in: what the kernel means to do at
    boot. BUG() is another thing.
    """
    asked_for = bool(case.fail_nth or (case.kind == "cpio" and case.devices))
    return asked_for and answer.crash == "panic" and not (answer.message or "").endswith("BUG!")


class Search:
    """One search over one kernel of flavour cov; ``second``: a kernel of another flavour that sees every kept case, too."""

    def __init__(self, kernel: Kernel, corpus: Corpus, seed: int = 0, second: Kernel | None = None, guided: bool = True,
                 crashed: Callable[[Crash], None] = lambda crash: None):
        self.kernel = kernel
        self.second = second
        self.corpus = corpus
        self.rng = random.Random(seed)
        self.mutator = Mutator(self.rng)
        self.guided = guided
        self.crashed = crashed
        self.entries: list[Entry] = []
        self.begun: list[Case] = []                    # the first cases, all that did not crash
        self._pool: list[Entry] = []                   # those of them that are cheap enough to be changed
        self.stats = Stats()
        self.ran: dict[str, int] = {}      # of each kind of case
        self.seen: Any = cffi.FFI().new("unsigned char[]", CELLS)
        self._faults: deque[tuple[Case, int]] = deque()
        self._known: set[str] = set()
        self._cost = 0

    # ---- one case ----

    def ask(self, case: Case) -> tuple[Answer, int, int]:
        """Run a case: the answer, what is new of what it reached, and how many cells."""
        self.stats.executions += 1
        self.ran[case.kind] = self.ran.get(case.kind, 0) + 1
        self.kernel.instance.forget_coverage()
        before = self.kernel.instance.counters()["allocations"]
        answer = case.run(self.kernel)
        assert self.kernel.last is not None
        self._cost = self.kernel.last.counters()["allocations"] - before
        new, cells = self.kernel.last.coverage(self.seen)
        self.stats.cells += cells
        return answer, new, cells

    def take(self, case: Case, base: Case | None) -> None:
        """Run a case, and keep it if it reached something new."""
        answer, new, cells = self.ask(case)
        if answer.crash and not meant(case, answer):
            self._crash(self.kernel, case, base, answer)
            return
        if base is None:
            self.begun.append(case)
        if new:
            self._keep(case, base, bool(cells), case.alone or bool(answer.crash))

    def _keep(self, case: Case, base: Case | None, cells: bool, alone: bool) -> None:
        key = case.key()
        if key in self._known:
            return
        self._known.add(key)
        self.entries.append(Entry(case, base, places(case.data), self._cost))
        if not alone:
            self._pool.append(self.entries[-1])
        self.corpus.add(case)
        self.stats.kept += 1
        if not case.fail_nth and cells and len(self._faults) < _QUEUED and not (alone and len(case.data) > _LARGE):
            self._faults.append((case, 1))
        if self.second is not None:
            answer = case.run(self.second)
            if answer.crash:
                self._crash(self.second, case, base, answer)

    # ---- the loop ----

    def begin(self, cases: Iterable[Case]) -> None:
        """The first cases: each that reaches something new is kept; if there is none of them at all, nothing can be changed."""
        for case in cases:
            self.take(case, None)
        if not self._pool:
            raise ValueError("no case to begin with")

    def run(self, seconds: float = 0.0, examples: int = 0, told: Callable[[Stats], None] = lambda stats: None,
            stop: Callable[[], bool] = lambda: False) -> Stats:
        """Search for so long, or so many executions (those of ``begin`` count)."""
        start = time.monotonic()
        while not stop():
            self.stats.seconds = time.monotonic() - start
            if (examples and self.stats.executions >= examples) or (seconds and self.stats.seconds >= seconds):
                break
            if self._faults and self.guided and self.rng.random() < 0.3:
                self._fault()
            else:
                entry = self._pick()
                base = entry.base or entry.case
                new = self.mutator.mutate(entry.case, entry.written, self.rng.choice(self._pool).case)
                if self.guided:
                    self.take(new, base)
                else:
                    answer, _, _ = self.ask(new)
                    if answer.crash:
                        self._crash(self.kernel, new, base, answer)
            told(self.stats)
        self.stats.seconds = time.monotonic() - start
        return self.stats

    def _pick(self) -> Entry:
        """Mostly what is new, and of two rather the cheaper."""
        recent = self._pool[-24:] if self.guided and self.rng.random() < 0.4 else self._pool
        a, b = self.rng.choice(recent), self.rng.choice(recent)
        return a if (a.cost <= b.cost) == (self.rng.random() < 0.8) else b

    def _fault(self) -> None:
        """The next n of a kept case: its n-th call that can fail does."""
        case, nth = self._faults.popleft()
        new = replace(case, fail_nth=nth + (FAIL_MORE if self.rng.random() < 0.2 else 0))
        answer, found, _ = self.ask(new)
        self.stats.faults += 1
        if answer.crash and not meant(new, answer):
            self._crash(self.kernel, new, case, answer)
        elif found:
            self._keep(new, case, False, new.alone or bool(answer.crash))
        if (answer.fired or answer.crash) and nth < _FAULTS:
            self._faults.appendleft((case, nth + 1))

    def _crash(self, kernel: Kernel, case: Case, base: Case | None, answer: Answer) -> None:
        if meant(case, answer):
            return
        if self.second is not None and answer.message and answer.message.startswith("LEAK") and kernel is self.kernel:
            again = case.run(self.second)              # which knows who allocated it
            if again.crash:
                kernel, answer = self.second, again
        sign = signature(answer)
        known = self.stats.crashes.get(sign)
        if known is not None:
            known.times += 1
            return
        function, place = where(answer.console)
        crash = Crash(answer.message or "", function, place, answer.console, kernel.library.flavour, case, base)
        self.stats.crashes[sign] = crash
        self.crashed(crash)

    def shrink(self, told: Callable[[Crash], None] = lambda crash: None, stop: Callable[[], bool] = lambda: False) -> None:
        """Make the case of each crash as small as a hundred questions allow; each yes is another kernel to be loaded. ``told`` of
        each when that is done.
        """
        for sign, crash in self.stats.crashes.items():
            if stop():
                return
            kernel = self.kernel if self.second is None or crash.flavour == self.kernel.library.flavour else self.second

            def shows(new: Case, kernel: Kernel = kernel, sign: str = sign) -> bool:
                again = new.run(kernel)
                return bool(again.crash) and signature(again) == sign

            crash.case = least(crash.case, crash.base, shows, 8 if crash.title.startswith("hang") else 100)
            again = crash.case.run(kernel)
            if again.crash:
                crash.report, crash.title = again.console, again.message or crash.title
                crash.function, crash.place = where(again.console)
            told(crash)
