# SPDX-License-Identifier: GPL-2.0-only
"""One process' part of a review: kernels of its own, and of the inputs to begin with every n-th. What it asks it says before it
asks, for whoever has to tell what ended it.
"""
from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from kemu.explore.crew import Send
from kemu.rung.c.cover.begin import modules
from kemu.rung.c.cover.case import Case
from kemu.series.review import inputs
from kemu.series.review.kept import kept
from kemu.series.review.least import smaller
from kemu.series.review.search import Found
from kemu.series.review.session import Pair, search_of
from kemu.series.review.trial import Trial, run
from kemu.series.review.watched import Watched

REACHING, BEGINNING = 0.2, 0.35        # of the time: inputs that are not changed yet, those first that come to what is changed
SHRINK = 4.0                           # seconds for each finding
_SAYS = 0.25                           # seconds between two figures


class Until(Protocol):
    """A time that all parts see; somebody may bring it forward."""

    value: float


@dataclass
class Part:
    """What one process has seen."""

    found: list[Found] = field(default_factory=list)
    of_base: list[str] = field(default_factory=list)
    reached: set[int] = field(default_factory=set)
    unemulated: set[str] = field(default_factory=set)
    trials: int = 0
    faults: int = 0


def search(send: Send, pair: Pair, until: Until, seed: int, share: tuple[int, int], files: Sequence[Path]) -> None:
    """Search until then. ``share``: which of how many. Sends ("begun", trial), ("fresh",), ("found", Found, one fault),
    ("trials", n) and in the end ("part", Part).
    """
    said = start = time.monotonic()
    seconds = until.value - start

    def over() -> bool:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SAYS:
            said = now
            send("trials", mine.stats.trials)
        return now >= until.value

    with pair.kernels() as (base, series):
        mine = search_of(pair, base, series, seed, lambda f: send("found", f, mine.one_fault))
        mine.begun = lambda trial: send("fresh") if trial is None else send("begun", trial)
        early, earlier = start + seconds * BEGINNING, start + seconds * REACHING
        mine.begin(_of(inputs.reaching(pair.changed.names), share), lambda: over() or time.monotonic() > earlier)
        mine.begin(_of(chain(_modules(pair, base), inputs.files(files), inputs.first(seed)), share),
                     lambda: over() or time.monotonic() > early)
        mine.run(over)
        for f in mine.found.values():
            smaller(mine, f, SHRINK)
        send("part", Part(list(mine.found.values()), sorted(mine.of_base), mine.reached, mine.unemulated,
                          mine.stats.trials, mine.stats.faults))


def shown(send: Send, pair: Pair, trials: Sequence[Trial]) -> None:
    """What these show in kernels that have done nothing else: ("base",) when the base has done them all, ("difference", ...)."""
    with pair.kernels() as (base, series):
        search = search_of(pair, base, series)
        for trial in trials:
            run(base, trial.whole() if trial.apart or trial.region else trial)
        send("base")
        send("difference", search.shows(list(trials)))


def _of(cases: Iterable[Case], share: tuple[int, int]) -> Iterator[Case]:
    return islice(cases, share[0], None, share[1])


def _modules(pair: Pair, base: Watched) -> Iterator[Case]:
    """fs/erofs as a module, with an image of each set of algorithms."""
    if any(path.startswith("fs/erofs/") for path in pair.changed.files):
        images = [case for case in kept() if case.kind == "erofs" and not case.devices]
        yield from modules(images, lambda case: run(base, Trial(case)).answer.mount_error is None)
