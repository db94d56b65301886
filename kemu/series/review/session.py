# SPDX-License-Identifier: GPL-2.0-only
"""What a review compares: the kernel without a series and the one with it."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kemu.rung.c.build import Library, build
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.cache import cache_dir, is_free
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.tree import Tree
from kemu.series.backend.glue import without_glue
from kemu.series.backend.page import Backend
from kemu.series.backend.search import RegionSearch
from kemu.series.review.changed import Blocks, Changed, blocks, of_patches
from kemu.series.review.search import Found, Search
from kemu.series.review.watched import Watched

FLAVOUR, SLOT, BELOW = "asan-review", "review", "review-below"
_SLOTS = 2                             # reviews that compile at once: each in its own copy of the tree


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
