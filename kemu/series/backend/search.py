# SPDX-License-Identifier: GPL-2.0-only
"""What a review asks of a series that brings a back end: the base mounts an image from a block device, the series by its own
back end from memory, and both show the same tree. Failing calls are the series' alone: it has others than a block device; what
one of them leads to is no finding if any failing call of the base leads to the same. In between both mount block devices, so
that what a mount from memory leaves behind is seen.
"""
from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.search import signature, where
from kemu.rung.c.kernel import FAIL_MORE, NEVER
from kemu.rung.entries import wrong_entry
from kemu.series.backend.page import Backend
from kemu.series.review.changed import Blocks, Changed
from kemu.series.review.search import Found, Search
from kemu.series.review.seen import Difference, compared, same_sort, tree_difference
from kemu.series.review.trial import Seen, Trial, run
from kemu.series.review.watched import Watched

_REGIONS, _DISKS = 0.8, 0.15           # of the images, and of the kernels' lives
_ANONYMOUS = re.compile(r"\b0:\d+\b")
_PATH = re.compile(r"(ioctl \d+ \d+ )[0-9a-f]+$")  # of look.c: what holds such a number is told by its hash
_SPLAT = re.compile(r"WARNING|BUG|KASAN|UBSAN|INFO:")
_SPOILT, _AGAIN = 4, 0.04              # of a kind of memory in which it always dies of the same, the others are taken
_SEQUENCES, _FIRST = 2, 16             # images, and calls of a mount that fail, one each
_SITES = 2                              # how often a call of one place fails


class RegionSearch(Search):
    """Of one series that brings a back end. ``backend``: its choices."""

    one_fault = False

    def __init__(self, base: Watched, series: Watched, changed: Changed, blocks: Blocks, seed: int = 0,
                 told: Callable[[Found], None] = lambda found: None, backend: Backend | None = None):
        super().__init__(base, series, changed, blocks, seed, told)
        self.backend = backend or Backend("")
        self._places = random.Random(seed)
        self._spoilt: Counter[str] = Counter()         # kinds of memory in which it dies of what is known
        self._disks = False
        self._base_dies: set[str] = set()              # of what the base dies, too, where a call of its own fails
        self._failed_base: dict[Trial, list[tuple[Trial, Seen]]] = {}

    def ask(self, trial: Trial) -> Seen | None:
        """Ask both; most images are placed in memory."""
        case = trial.case
        options = ",".join(o for o in (self.backend.options, case.options) if o)
        asked = case.kind == "erofs" and not self._disks and not trial.region and not trial.faulty and self.backend.takes(options)
        if asked and self._places.random() < _REGIONS:
            memory, at = self._place()
            trial = replace(trial, region=True, case=replace(case, memory=memory, at=at, backend="disk", devices=(),
                                                             options=options))
        return super().ask(trial)

    def afresh(self) -> None:
        """Some lives know block devices only: in them both kernels do the same, and how often and in which order is compared."""
        super().afresh()
        self._disks = self._places.random() < _DISKS

    def run(self, over: Callable[[], bool]) -> None:
        """First what a mount from memory may leave for the next mount, then go on until ``over``."""
        small = sorted((e.trial.case for e in self.entries if e.trial.region and not e.trial.case.options),
                       key=lambda case: len(case.data))
        for case in small[:_SEQUENCES]:
            for trial in sequence(case):
                if over():
                    return
                Search.ask(self, trial)
        super().run(over)

    def _place(self) -> tuple[str, int]:
        memory, at = self.backend.place(self._places)
        for _ in range(4):
            if self._spoilt[memory] < _SPOILT or self._places.random() < _AGAIN:
                break
            memory, at = self.backend.place(self._places)
        return memory, at

    def _differs(self, difference: Difference) -> None:
        if difference.kind == "crash" and difference.key() in self.found and self._history[-1].region:
            self._spoilt[self._history[-1].case.memory] += 1
        super()._differs(difference)

    def both(self, trial: Trial) -> tuple[Seen, Seen]:
        """What both kernels show; where a call of the series fails, the base is whole."""
        if not trial.region or not trial.faulty:
            return super().both(trial)
        self._begin(trial)
        return run(self.base, trial.whole()), run(self.series, trial)

    def fail(self, trial: Trial) -> None:
        """Calls of a trial that can fail will, soon."""
        if not trial.region:
            super().fail(trial)
            return
        counted = replace(trial, case=replace(trial.case, fail_nth=NEVER), look=False)
        _, s = self.both(counted)
        if s.answer.crash:
            self.afresh()
            return
        for n, site in enumerate(s.sites, 1):
            near = n <= len(s.near) and bool(s.near[n - 1])
            if self._once(("region", site), _SITES):
                self._later(replace(trial, case=replace(trial.case, fail_nth=n), look=False), near)
        # functions are not kept from running here: what one owes its caller then (a reference, a count) the base cannot show

    def _fault(self, trial: Trial) -> None:
        super()._fault(trial)
        if trial.region:                               # a mount that has failed has left nothing behind for the next one
            super().ask(replace(trial.whole(), region=False))

    def _differ(self, trial: Trial, b: Seen, s: Seen) -> Difference | None:
        if trial.region and trial.faulty and s.answer.crash and signature(s.answer) in self._base_dies:
            return None
        difference = super()._differ(trial, b, s)
        if difference is None or not trial.region or not trial.faulty or difference.kind not in ("crash", "leak", "tree"):
            return difference
        for failing, seen in self._failing_base(trial):
            if difference.kind == "crash":
                same = bool(seen.answer.crash) and same_sort(seen.answer, s.answer)
            elif difference.kind == "tree":
                same = _what(wrong_entry(b.answer.entries, seen.answer.entries)) == _what(difference.details[0])
            elif caches := _caches(difference.title):
                same = seen.left[0] > 0 and caches <= _caches(
                    self.base.leak(lambda t=failing: run(self.base, t)))    # type: ignore[misc]
            else:
                what = "pages" in difference.title
                same = all(run(self.base, failing).left[what] > 0 for _ in range(3))
            if same:
                self.of_base.setdefault(difference.title, Found(difference, [failing]))
                if s.answer.crash:
                    self._base_dies.add(signature(s.answer))
                self.afresh()
                return None
        return difference

    def _failing_base(self, trial: Trial) -> list[tuple[Trial, Seen]]:
        """What the base shows when each of its calls fails, and as many behind it as in a trial, or none; what is of interest."""
        whole, more = trial.whole(), trial.case.fail_nth // FAIL_MORE
        key = replace(whole, nth=more)
        if key not in self._failed_base:
            self._failed_base = {key: []}
            counted = run(self.base, replace(whole, case=replace(whole.case, fail_nth=NEVER)))
            for nth in range(1, counted.answer.points + 1):
                for behind in sorted({more, 0}, reverse=True):
                    failing = replace(whole, case=replace(whole.case, fail_nth=nth + behind * FAIL_MORE))
                    seen = run(self.base, failing)
                    if seen.answer.crash or max(seen.left) > 0 or wrong_entry(counted.answer.entries, seen.answer.entries):
                        self._failed_base[key].append((failing, seen))
        return self._failed_base[key]

    def _compared(self, trial: Trial, b: Seen, s: Seen) -> Difference | None:
        if not trial.region:
            behind = any(t.region for t in self._history[:-1])
            difference = compared(trial, _plain(b), _plain(s), self.changed, alike=not behind)
            if difference is not None and difference.kind != "log" and behind:
                difference.title += ", in a mount of a block device behind one from memory"
                difference.sign = "left behind for the next mount"
            return difference
        difference = of_regions(trial, b, s, self.changed)
        if difference is not None and difference.kind == "crash":
            function, place = where(s.answer.console)
            if function:
                difference.function, difference.place = function, place
            difference.sign = _crash(difference)
        return difference


def sequence(case: Case) -> Iterator[Trial]:
    """Mounts from memory that fail before the file system is asked, or in it; a block device behind each."""
    disk = Trial(replace(case, memory="linear", at=0))
    memory = Trial(case, region=True)
    nothing = replace(memory, case=replace(case, data=bytes(len(case.data))))
    for failing in (replace(memory, case=replace(case, options="nonsense")), nothing,
                    *(replace(memory, case=replace(case, fail_nth=n)) for n in range(1, _FIRST + 1)), memory):
        yield failing
        yield disk


def _what(wrong: str) -> str:
    """Path and field, without the values."""
    return wrong.rpartition(": ")[0]


def _caches(report: str) -> set[str]:
    """Slab caches of which something is left."""
    return set(re.findall(r"LEAK (.+ \d+)", report))


def _plain(seen: Seen) -> Seen:
    """Without what differs because the series has mounted without a block device before: numbers of anonymous devices, and lines
    that are said now and then.
    """
    answer = replace(seen.answer, kmsg=[line for line in seen.answer.kmsg if _SPLAT.search(line)])
    answer.facts = _numbered(answer.facts)
    return replace(seen, answer=answer, look=_numbered(seen.look))


def _numbered(lines: Sequence[str]) -> list[str]:
    return [_PATH.sub(r"\1*", _ANONYMOUS.sub("0:*", line)) for line in lines]


def _crash(difference: Difference) -> str:
    """What two of one cause have in common: what kind of error it is, and where; not in which kind of memory."""
    title = difference.title
    kind = next((kind for kind in ("out-of-bounds", "use-after-free", "SIGSEGV", "hang") if kind in title), title)
    return f"{re.sub(r'[0-9a-f]*[0-9][0-9a-f]*', 'N', kind)} in {difference.function or '?'}"


def of_regions(trial: Trial, base: Seen, series: Seen, changed: Changed) -> Difference | None:
    """The first thing in which a mount from memory differs from one of a block device."""
    b, s = base.answer, series.answer
    if s.crash or b.crash:
        return compared(trial, base, series, changed)
    if trial.faulty:
        if s.mount_error or b.mount_error:
            return None                                # which error that is depends on what has failed
        text = wrong_entry(b.entries, s.entries)
        if not text:
            return None
        return Difference("tree", f"with a failing call, {text.partition(': ')[2]}", [text])
    if b.mount_error != s.mount_error:
        said = [f"base: {line}" for line in b.kmsg[-3:]] + [f"series: {line}" for line in s.kmsg[-3:]]
        title = f"mount: {s.mount_error or 'success'} instead of {b.mount_error or 'success'}"
        return _of_errors(Difference("errno", title, said))
    if (b.packed.data if b.packed else None) != (s.packed.data if s.packed else None):
        return _of_errors(tree_difference(base, series))
    return None


def _of_errors(difference: Difference) -> Difference:
    """Of one wrong error at different inodes, one."""
    if difference.kind == "errno":
        got, _, right = difference.title.rpartition(": ")[2].partition(" instead of ")
        difference.sign = f"errno: {got.replace('success', 'None')} instead of {right.replace('success', 'None')}"
    return difference
