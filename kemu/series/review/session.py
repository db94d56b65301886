# SPDX-License-Identifier: GPL-2.0-only
"""A review of a series from its patches to its findings."""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kemu.rung.c.build import Library, build
from kemu.rung.c.cover.begin import modules
from kemu.rung.c.cover.case import Case
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.cache import cache_dir, is_free
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.tree import Tree
from kemu.series.backend.glue import without_glue
from kemu.series.backend.page import Backend
from kemu.series.backend.search import RegionSearch
from kemu.series.review import inputs
from kemu.series.review.changed import Blocks, Changed, blocks, not_compiled, of_patches
from kemu.series.review.kept import kept
from kemu.series.review.least import smaller
from kemu.series.review.search import Found, Search
from kemu.series.review.trial import Trial, run
from kemu.series.review.watched import Watched

FLAVOUR, SLOT, BELOW = "asan-review", "review", "review-below"
_SLOTS = 2                             # reviews that compile at once: each in its own copy of the tree
_REACHING, _BEGINNING = 0.2, 0.35      # of the time: inputs that are not changed yet, those first that come to what is changed
_AFTER = 6.0                           # seconds of search behind the first finding
_SHRINK = 4.0                          # seconds for each finding


@dataclass
class Pair:
    """Both kernels' libraries, what the series changes, and where that is."""

    base: Library
    series: Library
    changed: Changed
    blocks: Blocks
    backend: Backend | None = None     # the series' own

    @contextmanager
    def kernels(self) -> Iterator[tuple[Watched, Watched]]:
        """Loaded, both."""
        with Watched(self.base) as base, Watched(self.series) as series:
            series.around = self.blocks.ranges[:64]
            yield base, series


def prepare(tree: Tree, patches: Sequence[Patch], config: Sequence[str] = (), say: Say = nothing,
            below: Sequence[Patch] = (), backend: Backend | None = None) -> Pair:
    """Build what is compared: ``patches`` on top of ``below``, which the base has, too. ``patches``: with the glue of
    ``backend``, if there is one. ``PatchError``, ``BuildError``, ``ConfigError``.
    """
    every = (*below, *patches)
    apply_patches(tree, every)                         # what does not apply is told before anybody is waited for
    base = build(Recipe(tree, "fast", tuple(config), tuple(below), BELOW if below else "plain", lenient=True),
                 FLAVOUR, say)                         # without symbols that the series brings
    series = build(Recipe(tree, "fast", tuple(config), every, _slot(tree)), FLAVOUR, say)
    changed = of_patches(without_glue(patches), tree, below)
    return Pair(base, series, changed, blocks(series, changed), backend)


def _slot(tree: Tree) -> str:
    """The first copy that nobody compiles in; the first of all, and it is waited for, if there is none."""
    names = [SLOT, *(f"{SLOT}-{n}" for n in range(2, _SLOTS + 1))]
    return next((name for name in names if is_free(cache_dir() / "work" / f"{tree.slot()}-{name}")), SLOT)


def search_of(pair: Pair, base: Watched, series: Watched, seed: int = 0,
              told: Callable[[Found], None] = lambda found: None) -> Search:
    """The search for differences; of a series that brings a back end, by that, too."""
    if series.instance.has_region:
        return RegionSearch(base, series, pair.changed, pair.blocks, seed, told, pair.backend)
    return Search(base, series, pair.changed, pair.blocks, seed, told)


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
           step: Callable[[Search, float], None] = lambda search, at: None, files: Sequence[Path] = ()) -> Review:
    """Search for differences. A search that has found one goes on for a few seconds only: what comes behind is seldom new."""
    out = Review(warnings=[*pair.series.warnings, *_bare(pair.changed)])
    start = time.monotonic()
    end = start + seconds

    def found(f: Found) -> None:
        nonlocal end
        if search.one_fault:
            end = min(end, time.monotonic() + _AFTER)
        told(f, time.monotonic() - start)

    with pair.kernels() as (base, series):
        search = search_of(pair, base, series, seed, found)

        def over() -> bool:
            step(search, time.monotonic() - start)
            return time.monotonic() >= end

        try:
            early, earlier = start + seconds * _BEGINNING, start + seconds * _REACHING
            search.begin(inputs.reaching(pair.changed.names), lambda: over() or time.monotonic() > earlier)
            search.begin(itertools.chain(_modules(pair, base), inputs.files(files), inputs.first(seed)),
                         lambda: over() or time.monotonic() > early)
            search.run(over)
            out.seconds = time.monotonic() - start
            for f in search.found.values():
                smaller(search, f, _SHRINK)
        except KeyboardInterrupt:
            out.interrupted = True
        out.seconds = out.seconds or time.monotonic() - start
        out.found = list(search.found.values())
        out.of_base = sorted(search.of_base)
        out.trials, out.faults = search.stats.trials, search.stats.faults
        functions, lines = search.unreached()
        absent = sorted(search.unemulated)
    out.missed = len(lines)
    out.notes = _notes(pair, functions, lines)
    if absent:
        out.notes.append(f"trials that nothing is said of, as they came to what this rung has not: {'; '.join(absent[:8])}")
    return out


def _modules(pair: Pair, base: Watched) -> Iterator[Case]:
    """fs/erofs as a module, with an image of each set of algorithms."""
    if any(path.startswith("fs/erofs/") for path in pair.changed.files):
        images = [case for case in kept() if case.kind == "erofs" and not case.devices]
        yield from modules(images, lambda case: run(base, Trial(case)).answer.mount_error is None)


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
