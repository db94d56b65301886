# SPDX-License-Identifier: GPL-2.0-only
"""The loop: both kernels are asked the same, inputs that come to the changed lines are changed further, and their calls fail."""
from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from errno import EIO, ENOMEM
from itertools import chain, islice, zip_longest
from statistics import median
from typing import TypeVar

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.mutate import Mutator, places
from kemu.rung.c.kernel import FAIL_MORE, NEVER
from kemu.rung.c.watched import gives_errno
from kemu.rung.uml.lines import frames
from kemu.series.review.changed import Blocks, Changed
from kemu.series.review.inputs import variants
from kemu.series.review.operands import met, nearer
from kemu.series.review.seen import UNEMULATED, Difference, beside, compared
from kemu.series.review.solve import fields, high, solved
from kemu.series.review.trial import Seen, Trial, run
from kemu.series.review.watched import TIMEOUT, Watched, calls
from kemu.series.review.wide import roomy, wide

LIFE = 400                             # trials of one kernel's life: what must be asked again to see a difference that needs them
_TIMES = 4                             # a leak is left every time
_BIG = 1 << 17
PATIENCE = 12.0                        # seconds of processor time after which it is a hang indeed
_CALLS = 400                           # calls that are failed one by one where the two kernels have not the same
_MET = 200                             # limits that stand in one input
_WIDE = 60                             # large ones of one input
_SLOW = 3.0                            # times as long as most trials take
_SOLVED = 8                            # inputs whose limits are looked for
_ONCE = 5                              # inputs whose first mount is one of a module that has mounted nothing before


# what is done in turn; what there is none of is passed over
_TURNS = ("count", "fault", "limit", "solve", "fault", "other", "far", "solve", "fault", "solve", "change", "other",
          "solve", "far", "soon", "limit", "apart", "fault", "solve", "other", "solve", "change")
_T = TypeVar("_T")


@dataclass
class Found:
    """A difference, and the trials that show it: the last one, after those before it in the same kernel."""

    difference: Difference
    trials: list[Trial]
    times: int = 1
    of_base: bool = False


@dataclass(eq=False)
class Entry:
    """A trial that came to something new of the series, and how near it came to what is changed."""

    trial: Trial
    near: int
    written: list[int]
    compared: list[tuple[int, int, int]]
    seconds: float = 0.0               # that it took
    read: list[tuple[int, int]] = field(default_factory=list)      # where its fields are, and their bytes
    whole: bool = False                # nothing in it is refused
    used: int = 0


@dataclass
class Stats:
    """Figures of a search."""

    trials: int = 0
    seconds: float = 0.0
    faults: int = 0


def _limits(entry: Entry) -> Iterator[Case]:
    """Of each kind one, in turn."""
    case = roomy(entry.trial.case)
    kinds = islice(wide(case), _WIDE), high(case, entry.read), met(case, entry.compared, _MET)
    yield from (c for some in zip_longest(*kinds) for c in some if c is not None)


def _whole(seen: Seen) -> bool:
    """Whether nothing is refused."""
    a = seen.answer
    return not a.mount_error and not a.message and len(a.entries) > 1 and not any(e["error"] for e in a.entries)


class Search:
    """Of one series against its base, from one seed."""

    one_fault = True                   # whether behind a difference there is seldom another

    def __init__(self, base: Watched, series: Watched, changed: Changed, blocks: Blocks, seed: int = 0,
                 told: Callable[[Found], None] = lambda found: None):
        self.base, self.series = base, series
        self.changed, self.blocks = changed, blocks
        self.rng = random.Random(seed)
        self.mutator = Mutator(self.rng)
        self.told = told
        self.begun: Callable[[Trial | None], None] = lambda trial: None        # of each trial before it is asked; None: afresh
        self.found: dict[str, Found] = {}
        self.of_base: dict[str, Found] = {}
        self.unemulated: set[str] = set()              # what the series' kernel wanted, and this rung has not
        self.reached: set[int] = set()
        self.entries: list[Entry] = []
        self.stats = Stats()
        self._history: list[Trial] = []
        self._patient = False
        self._faults: deque[Trial] = deque()           # that come from what is changed
        self._far: deque[Trial] = deque()              # others
        self._alone: deque[Trial] = deque()            # in kernels of their own
        self._apart_ones: deque[Trial] = deque()       # whose number is another in the base
        self._near = blocks.changed
        self._around = set().union(*blocks.of.values()) if blocks.of else set()
        self._known: set[Trial] = set()
        self._failed: dict[tuple[object, ...], int] = {}
        self._asked: Trial | None = None               # the last one whose calls were failed apart, and what the base showed
        self._came: list[Seen] = []
        self._slow = 1.0                               # seconds
        self._errors = sorted({EIO, ENOMEM, *changed.errnos}, key=lambda e: (e != EIO, e != ENOMEM, e))

    # ---- one trial ----

    def both(self, trial: Trial) -> tuple[Seen, Seen]:
        """What both kernels show."""
        self._begin(trial)
        return run(self.base, trial.whole() if trial.apart else trial), run(self.series, trial)

    def _begin(self, trial: Trial) -> None:
        self.stats.trials += 1
        if len(self._history) >= LIFE:
            self.afresh()
        self._history.append(trial)
        self.begun(trial)

    def afresh(self) -> None:
        """Both kernels begin again."""
        self._history.clear()
        self.begun(None)
        for kernel in (self.base, self.series):
            kernel.close()

    def ask(self, trial: Trial) -> Seen | None:
        """Ask both, and see whether they differ; what the series showed, if they do not."""
        start = time.monotonic()
        b, s = self.both(trial)
        took = time.monotonic() - start
        new = s.ran - self.reached
        self.reached |= s.ran
        difference = self._differ(trial, b, s)
        if difference is not None:
            self._differs(difference)
            return None
        if (s.answer.message or "").startswith(UNEMULATED):
            self.unemulated.add((s.answer.message or "").removeprefix(UNEMULATED).splitlines()[0])
        if b.answer.crash or s.answer.crash:
            if b.answer.crash:
                self.of_base.setdefault(b.answer.message or "", Found(Difference("crash", b.answer.message or ""), [trial]))
            self.afresh()
        near = 2 * len(s.ran & self._near) + len(s.ran & self._around)
        if new and not trial.faulty and len(trial.case.data) <= _BIG:
            close, read = [], []
            if trial.case.kind == "erofs" and not trial.case.at:
                close = fields(trial.case, s.close)
                read = list(dict.fromkeys([*close, *fields(trial.case, s.converted)]))
            written = [at for at, _ in read] * 3 + places(trial.case.data)     # what is read is changed more often
            written += [at for at, _ in close] * (len(written) // max(len(close), 1))  # and as often as all of it what is close
            self.entries.append(Entry(trial, near, written, s.compared, took, read, _whole(s)))
        return s

    def _differ(self, trial: Trial, b: Seen, s: Seen) -> Difference | None:
        if trial.apart:
            return self._apart(trial, s)
        difference = self._compared(trial, b, s)
        if difference is None and b.left != s.left:
            difference = self._leak(trial)
        if difference is not None and s.answer.crash == "hang" and not self._patient:
            difference = self._hangs(trial)            # or is it only a little slower?
        if difference is not None:
            difference.ran = s.ran
            if difference.at and not difference.place:
                library = self.series.library
                for frame in frames(library.path, library.source, [difference.at - 1])[0]:
                    if frame.place.rpartition(":")[0] in self.changed.files:
                        difference.function, difference.place = frame.function, frame.place
        return difference

    def _compared(self, trial: Trial, b: Seen, s: Seen) -> Difference | None:
        return compared(trial, b, s, self.changed)

    def _apart(self, trial: Trial, s: Seen) -> Difference | None:
        """Whether a failing call of the series has an outcome that no failing call of the base has."""
        difference = beside(trial, s, self._outcomes(trial))
        if difference is not None and difference.kind == "leak":      # each time
            for _ in range(_TIMES - 1):
                again = beside(trial, self.both(trial)[1], self._outcomes(trial))
                if again is None or again.kind != "leak":
                    return None
        if difference is not None:
            difference.ran = s.ran
        return difference

    def _outcomes(self, trial: Trial) -> list[Seen]:
        """What the base shows when each of its calls fails, and when none does."""
        whole = trial.whole()
        if self._asked != whole:
            self.both(whole)
            seen = run(self.base, replace(whole, case=replace(whole.case, fail_nth=NEVER)))
            out = [seen]
            for n in range(1, min(seen.answer.points, _CALLS) + 1):
                out.append(run(self.base, replace(whole, case=replace(whole.case, fail_nth=n))))
            if trial.call:
                for name, t in calls(seen.told).items():
                    out += [run(self.base, replace(whole, call=name, nth=n, error=trial.error))
                            for n in range(1, min(t.times, 3) + 1)]
            self._asked, self._came = whole, out
        return self._came

    def _hangs(self, trial: Trial) -> Difference | None:
        """What is seen when there is more time."""
        self.base.timeout, self.series.timeout, self._patient = PATIENCE, PATIENCE, True
        try:
            self.afresh()
            b, s = self.both(trial)
            return self._differ(trial, b, s)
        finally:
            self.base.timeout, self.series.timeout, self._patient = TIMEOUT, TIMEOUT, False

    def _leak(self, trial: Trial) -> Difference | None:
        """What both leave behind, each time."""
        rows = []
        for _ in range(_TIMES):
            b, s = self.both(trial)
            if b.answer.crash or s.answer.crash:
                return self._compared(trial, b, s)
            rows.append((s.left[0] - b.left[0], s.left[1] - b.left[1]))
        for i, what in enumerate(("objects", "pages")):
            least = min(row[i] for row in rows[1:])
            if least > 0:
                report = self._leaked(trial) if i == 0 else []
                return Difference("leak", report[0] if report else f"memory leak: {least} {what} each time", report[1:],
                                  sign=f"leak of {what} {' '.join(report[1:2])}")
            if max(row[i] for row in rows[1:]) < 0:
                return Difference("leak", f"{-max(row[i] for row in rows[1:])} {what} more are freed than before, each time",
                                  sign=f"less {what}")
        return None

    def _leaked(self, trial: Trial) -> list[str]:
        if trial.case.kind == "module":
            return []
        text = self.series.leak(lambda: run(self.series, trial))
        return [f"memory leak: {line}" if i == 0 else line for i, line in enumerate(text.splitlines())]

    def _differs(self, difference: Difference) -> None:
        """Which trials that needs; a finding if it is seen again in kernels that have done nothing else."""
        history = list(self._history)
        key = difference.key()
        if key in self.found:
            self.found[key].times += 1
            self.afresh()
            return
        trials, again = self.again(history, key)
        if again is None:
            self.afresh()
            return
        found = Found(again, trials)
        self.found[again.key()] = found
        self.told(found)
        self.afresh()

    def again(self, history: list[Trial], key: str = "") -> tuple[list[Trial], Difference | None]:
        """The fewest trials at the end of a history that show a difference in kernels that have done nothing else."""
        n = 1
        while True:
            trials = history[-n:]
            seen = self.shows(trials)
            if seen is not None:
                return trials, seen
            if n >= len(history):
                return trials, None
            n = min(len(history), n * 8)

    def shows(self, trials: list[Trial]) -> Difference | None:
        """The difference that the last of these shows, after the others, in fresh kernels."""
        self.afresh()
        for trial in trials[:-1]:
            self.both(trial)
        b, s = self.both(trials[-1])
        return self._differ(trials[-1], b, s)

    # ---- the loop ----

    def begin(self, cases: Iterable[Case], over: Callable[[], bool]) -> None:
        """The first inputs."""
        for case in cases:
            if over():
                return
            self.ask(Trial(replace(case, facts=False, doors=False), look=case.kind == "erofs"))

    def fail(self, trial: Trial) -> None:
        """Calls of a trial that can fail will, soon: first those that come from what is changed, then one of each place. Of one
        that is looked at, calls behind the walk.
        """
        counted = replace(trial, case=replace(trial.case, fail_nth=NEVER))
        b, s = self.both(counted)
        if b.answer.crash or s.answer.crash:
            self.afresh()
            return
        kind = trial.case.kind, trial.look
        if b.answer.points == s.answer.points:
            for n, site in enumerate(s.sites or [n // 4 for n in range(s.answer.points)], 1):
                near = n <= len(s.near) and bool(s.near[n - 1])
                if (near or not trial.look) and self._once(("site", kind, trial.case.options != "", site), 4 if near else 1):
                    self._later(replace(trial, case=replace(trial.case, fail_nth=n)), near)
        elif s.answer.points <= _CALLS and not trial.case.alone and not trial.look:
            for n, site in enumerate(s.sites, 1):
                if n <= len(s.near) and s.near[n - 1] and self._once(("apart", site), 2):
                    self._apart_ones.append(replace(trial, case=replace(trial.case, fail_nth=n), apart=True))
        was, now = calls(b.told), calls(s.told)
        for name in sorted(set(was) & set(now)):
            near = bool(now[name].near)
            if was[name].times == now[name].times:     # by each way from what is changed, with each errno that may matter there
                for stack, number in now[name].sites:
                    for error in self._errors if gives_errno(name) else self._errors[:1]:
                        if self._once(("way", kind, name, stack, error), 2):
                            self._later(replace(trial, call=name, nth=number, error=error), True)
            for n in range(1, min(was[name].times, now[name].times) + 1):
                if n <= 3 and (near or not trial.look) and self._once(("call", kind, name, n), 3 if near else 1):
                    self._later(replace(trial, call=name, nth=n), near)

    def _later(self, trial: Trial, near: bool) -> None:
        (self._alone if trial.case.alone else self._faults if near else self._far).append(trial)

    def _once(self, key: tuple[object, ...], most: int) -> bool:
        self._failed[key] = self._failed.get(key, 0) + 1
        return self._failed[key] <= most

    def run(self, over: Callable[[], bool]) -> None:
        """Go on until ``over``."""
        self._slow = _SLOW * median([e.seconds for e in self.entries] or [1.0])
        near = sorted((e for e in self.entries if e.near),
                      key=lambda e: (e.seconds > self._slow, -e.near, len(e.trial.case.data)))
        cheap = [e for e in near if not e.trial.case.alone]
        whole = [e for e in cheap if e.whole]
        cheap = list(dict.fromkeys(e for e in chain.from_iterable(zip_longest(cheap, whole)) if e is not None))
        share = 0.3 if cheap else 0.7                  # of the time, for what has a kernel of its own
        once = [e.trial for e in cheap if e.trial.case.kind == "erofs" and not e.trial.case.devices]
        fresh = [Trial(replace(t.case, kind="module", options="", backend="disk", at=0)) for t in once[:_ONCE]]
        asked = [replace(e.trial, look=False) for e in cheap[:30]]
        looked = [replace(t, look=True) for t in asked if t.case.kind == "erofs"]
        queue = deque([*asked[:4], *looked[:2], *fresh, *asked[4:8], *looked[2:10], *asked[8:],
                       *(e.trial for e in near if e.trial.case.alone)])
        limits = (Trial(c, look=c.kind == "erofs") for e in cheap[:40] for c in _limits(e))
        soon = deque(replace(e.trial, soon=True, look=look) for look in (False, True) for e in cheap[:60])
        ways_of = [case for e in cheap[:16] for case in variants(e.trial.case)]
        self.rng.shuffle(ways_of)                      # of one input there are dozens
        others = deque(ways_of)
        limited = [e for e in cheap if e.compared and e.near >= cheap[0].near // 4 and e.seconds <= self._slow][:_SOLVED]
        solving = chain.from_iterable(self._solve(e) for e in limited)
        start, spent, turn = time.monotonic(), 0.0, 0
        ways: dict[str, Callable[[], bool]] = {
            "fault": lambda: self._next(self._faults, self._fault), "far": lambda: self._next(self._far, self._fault),
            "count": lambda: self._next(queue, self.fail), "apart": lambda: self._next(self._apart_ones, self.ask),
            "soon": lambda: self._next(soon, self.ask), "solve": lambda: next(solving, False),
            "limit": lambda: self._limit(next(limits, None), turn % 3 == 0),
            "other": lambda: self._next(others, lambda case: self._other(case, turn % 2 == 0)), "change": self._mutate}
        while not over():
            turn += 1
            at = time.monotonic()
            if self._alone and spent < share * (at - start):
                self._fault(self._alone.popleft())
                spent += time.monotonic() - at
                continue
            first = turn % len(_TURNS)
            any(ways[name]() for name in (*_TURNS[first:], *_TURNS[:first]))

    @staticmethod
    def _next(some: deque[_T], what: Callable[[_T], object]) -> bool:
        if not some:
            return False
        what(some.popleft())
        return True

    def _limit(self, trial: Trial | None, look: bool) -> bool:
        if trial is not None:
            self.ask(replace(trial, look=trial.look and look))
        return trial is not None

    def _other(self, case: Case, look: bool) -> None:
        self.ask(Trial(case, look=look and not case.alone and case.kind == "erofs"))

    def _solve(self, entry: Entry) -> Iterator[bool]:
        """Limits of one input, one trial at a time."""
        first, look, found = roomy(entry.trial.case), entry.trial.look, entry.compared
        if look:                                       # where a walk compares the same, that is enough, and faster
            seen = self.ask(Trial(first))
            yield True
            if seen is not None and {at for _, _, at in found} <= {at for _, _, at in seen.compared}:
                look, found = False, seen.compared
        cases = solved(first, found, entry.read)
        case = next(cases, None)
        while case is not None:
            seen = self.ask(Trial(case, look=look))
            yield True
            try:
                case = cases.send(seen.compared if seen is not None and not seen.answer.crash else None)
            except StopIteration:
                return

    def _fault(self, trial: Trial) -> None:
        self.stats.faults += 1
        seen = self.ask(trial)
        if seen is not None and self.rng.random() < 0.25:
            self.ask(trial.whole())                    # and what comes behind it is served as before
        if seen is not None and trial.case.fail_nth and self.rng.random() < 0.05:
            more = trial.case.fail_nth + FAIL_MORE * self.rng.choice((1, 3, 50))
            self.ask(replace(trial, case=replace(trial.case, fail_nth=more)))

    def _mutate(self) -> bool:
        if not self.entries:
            return False
        entry = self._pick()
        entry.used += 1
        if entry.compared and self.rng.random() < 0.4:
            case = nearer(entry.trial.case, entry.compared, entry.written, self.rng)
        else:
            case = self.mutator.mutate(entry.trial.case, entry.written, self.rng.choice(self.entries).trial.case)
        if case.alone and self.rng.random() < 0.8:
            return True
        before = len(self.entries)
        trial = Trial(replace(case, facts=False, doors=False), look=case.kind == "erofs" and self.rng.random() < 0.35)
        if trial.faulty:
            trial = replace(trial, look=False)
        self.ask(trial)
        if len(self.entries) > before and self.entries[-1].near and len(self._faults) < 400:
            self.fail(replace(self.entries[-1].trial, look=False))
        return True

    def _pick(self) -> Entry:
        near = [e for e in self.entries if e.near]
        pool = near if near and self.rng.random() < 0.75 else self.entries
        some = [self.rng.choice(pool) for _ in range(4)]
        return max(some, key=lambda e: (e.near + 1) / (1 + e.used) / (1 + len(e.trial.case.data) / 20000)
                   / (1 + e.seconds / self._slow))

    # ---- what was never reached ----


def timer(seconds: float) -> Callable[[], bool]:
    """Whether so much time has gone by."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
