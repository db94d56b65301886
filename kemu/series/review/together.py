# SPDX-License-Identifier: GPL-2.0-only
"""A review of a series from its kernels to its findings, by several processes. What kills one of them is a finding, if it is not
the base that does.
"""
from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemu.explore.crew import Crew, Ended
from kemu.series.review import part
from kemu.series.review.changed import Changed, not_compiled
from kemu.series.review.part import Part
from kemu.series.review.search import Found
from kemu.series.review.seen import Difference
from kemu.series.review.session import Pair
from kemu.series.review.trial import Trial

MOST = 4                               # processes, if nobody says how many
_AFTER = 6.0                           # seconds of search behind the first finding
_LEFT = 2.0                            # seconds that are worth another process
_DEATHS = 6                            # of processes, that are gone behind
_SHRINKING = 60.0                      # seconds for what was found


@dataclass
class Review:
    """What came of it. ``notes``: what was not reached, or not compiled."""

    found: list[Found] = field(default_factory=list)
    of_base: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    trials: int = 0
    faults: int = 0
    missed: int = 0                    # changed lines with code that never ran
    seconds: float = 0.0
    interrupted: bool = False


def review(pair: Pair, seconds: float, seed: int = 0, told: Callable[[Found, float], None] = lambda found, at: None,
           step: Callable[[int, float], None] = lambda trials, at: None, files: Sequence[Path] = (), workers: int = 0) -> Review:
    """Search for differences. A search that has found one goes on for a few seconds only: what comes behind is seldom new.
    ``step``: told of the trials until then; ``workers``: processes, 0 for as many as there are processors, at most four.
    """
    with Crew() as crew:
        search = _Together(crew, pair, seconds, seed, told, step, files, workers or min(MOST, os.cpu_count() or 1))
        try:
            search.run()
        except KeyboardInterrupt:
            search.out.interrupted = True
    return search.result()


def contained(pair: Pair, trials: Sequence[Trial]) -> Difference | None:
    """What trials show, asked in a process of their own."""
    with Crew() as crew:
        crew.start(0, part.shown, pair, list(trials))
        base = False
        while len(crew):
            for event in crew.events(1.0):
                if isinstance(event, Ended):
                    if event.how.startswith("failed"):
                        raise RuntimeError(event.how)
                    return _killed(event.how) if event.how and base else None
                if event.what[0] == "base":
                    base = True
                else:
                    return event.what[1]               # type: ignore[no-any-return]
    return None


def _killed(how: str) -> Difference:
    return Difference("crash", f"the process that runs the kernel {how}", sign="killed")


class _Together:
    """The state of one review."""

    def __init__(self, crew: Crew, pair: Pair, seconds: float, seed: int, told: Callable[[Found, float], None],
                 step: Callable[[int, float], None], files: Sequence[Path], workers: int):
        self.crew, self.pair, self.seed, self.told, self.step, self.files = crew, pair, seed, told, step, files
        self.workers = workers
        self.start = time.monotonic()
        self.seconds = seconds
        self.until = multiprocessing.get_context("fork").Value("d", self.start + seconds, lock=False)
        self.out = Review(warnings=[*pair.series.warnings, *_bare(pair.changed)])
        self.parts: list[Part] = []
        self.found: dict[str, Found] = {}
        self.histories: dict[int, list[Trial]] = {}
        self.trials: dict[int, int] = {}
        self.deaths: list[tuple[str, list[Trial]]] = []

    def run(self) -> None:
        """Search, and see what it was that ended processes."""
        for key in range(self.workers):
            self._begin(key, key)
        late = self.until.value + _SHRINKING
        while len(self.crew) and time.monotonic() < late:
            for event in self.crew.events(0.25):
                if isinstance(event, Ended):
                    self._ended(event)
                else:
                    self._heard(event.key, event.what)
            self.step(sum(self.trials.values()), time.monotonic() - self.start)
        self.out.seconds = min(time.monotonic(), self.until.value) - self.start
        for how, history in self.deaths:
            self._again(how, history)

    def _begin(self, key: int, which: int) -> None:
        self.histories[key], self.trials[key] = [], 0
        self.crew.start(key, part.search, self.pair, self.until, self.seed + 1000 * key, (which, self.workers), list(self.files))

    def _heard(self, key: int, what: tuple[object, ...]) -> None:
        if what[0] == "begun":
            assert isinstance(what[1], Trial)
            self.histories[key].append(what[1])
        elif what[0] == "fresh":
            self.histories[key].clear()
        elif what[0] == "trials":
            assert isinstance(what[1], int)
            self.trials[key] = what[1]
        elif what[0] == "found":
            assert isinstance(what[1], Found)
            self._found(what[1], bool(what[2]))
        else:
            assert isinstance(what[1], Part)
            self.parts.append(what[1])
            self.trials[key] = what[1].trials

    def _found(self, found: Found, one_fault: bool) -> None:
        if one_fault:
            self.until.value = min(self.until.value, time.monotonic() + _AFTER)
        if found.difference.key() not in self.found:
            self.found[found.difference.key()] = found
            self.told(found, time.monotonic() - self.start)

    def _ended(self, event: Ended) -> None:
        if not event.how:
            return
        if event.how.startswith("failed"):
            raise RuntimeError(event.how)              # of ours
        self.deaths.append((event.how, self.histories[event.key]))
        left = self.until.value - time.monotonic()
        if left > _LEFT and len(self.deaths) < _DEATHS:
            self._begin(event.key + self.workers, event.key % self.workers)

    def _again(self, how: str, history: Sequence[Trial]) -> None:
        """Whether the series' kernel ends the process, and the base does not; by the last trial alone, or by all of them."""
        for trials in ([history[-1:], history] if len(history) > 1 else [history]):
            difference = contained(self.pair, trials) if trials else None
            if difference is not None:
                self._found(Found(difference, list(trials)), False)
                return
        self.out.notes.append(f"a process that ran the kernels {how}; that it is the series that does it has not been seen")

    def result(self) -> Review:
        """All parts as one."""
        out = self.out
        out.seconds = out.seconds or time.monotonic() - self.start
        for found in (f for p in self.parts for f in p.found):
            known = self.found.get(found.difference.key())
            if known is None or _size(found) < _size(known):
                self.found[found.difference.key()] = found
        out.found = list(self.found.values())
        out.of_base = sorted({title for p in self.parts for title in p.of_base})
        out.trials, out.faults = sum(self.trials.values()), sum(p.faults for p in self.parts)
        reached: set[int] = set().union(*(p.reached for p in self.parts))
        blocks = self.pair.blocks
        functions = [name for name, some in blocks.of.items() if not some & reached]
        lines = sorted(line for line, some in blocks.lines.items() if not some & reached)
        absent = sorted(set().union(*(p.unemulated for p in self.parts)))
        out.missed = len(lines)
        out.notes += _notes(self.pair, functions, lines) if self.parts else []
        if absent:
            out.notes.append(f"trials that nothing is said of, as they came to what this rung has not: {'; '.join(absent[:8])}")
        return out


def _size(found: Found) -> tuple[int, int]:
    return len(found.trials), len(found.trials[-1].case.data)


def _bare(changed: Changed) -> list[str]:
    return [f"{path}:{number}: a conversion is gone, and a cast has come: {text}" for path, number, text in changed.bare]


def _notes(pair: Pair, functions: list[str], lines: list[tuple[str, int]]) -> list[str]:
    notes = [f"{path} is not compiled in this configuration, or not linked: nothing of it was run"
             for path in not_compiled(pair.series, pair.changed)]
    if functions:
        notes.append(f"no trial came to {', '.join(f'{name}()' for name in functions)}")
    if lines:
        places = ", ".join(f"{path}:{number}" for path, number in lines[:12])
        notes.append(f"changed lines that never ran: {places}{f' and {len(lines) - 12} more' if len(lines) > 12 else ''}")
    return notes
