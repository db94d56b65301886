# SPDX-License-Identifier: GPL-2.0-only
"""A series that brings a back end of its own is reviewed by what it mounts from memory: our memback as it is emitted in C is
quiet, and faults that are planted in it are found.
"""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import ListSource
from kemu.rung.c.cover.case import Case
from kemu.rung.c.kernel import FAIL_MORE, NEVER, Kernel
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import Tree
from kemu.series.backend.glue import glue_of
from kemu.series.backend.page import Backend, read_backend
from kemu.series.backend.search import RegionSearch
from kemu.series.emit.report import of_series
from kemu.series.review import replay, session, together
from kemu.series.review.trial import Trial
from tests.conftest import DATA

EXAMPLE = Path(__file__).parents[2] / "examples" / "own-back-end" / "backend.py"
IMAGES = sorted((DATA / "erofs").glob("*.erofs"))[:6]
PLANTED = {
    "the rest of the last page is not there": ("return round_up(region->size, PAGE_SIZE);", "return region->size;", "errno"),
    "a byte too many": ("avail = pos < region->size ? region->size - pos : 0;",
                        "avail = pos < region->size ? region->size - pos + 1 : 0;", "crash"),
    "the object is not freed": ("\t\tkfree(region);", "\t\tregion->owner = NULL;", "leak"),
}


@pytest.fixture(scope="module")
def emitted(tree: Tree, library: object) -> str:
    written = of_series("erofs-memback", tree)
    assert not written.outcome.missing and not written.outcome.errors
    return written.text


def pair_of(tree: Tree, text: str, backend: Backend) -> tuple[session.Pair, list[Patch]]:
    series = [Patch("1", "memback", text.encode())]
    patches = [*series, glue_of(backend, series, tree)]
    return session.prepare(tree, patches, backend=backend), patches


def test_ours_is_quiet(tree: Tree, emitted: str) -> None:
    result = together.review(pair_of(tree, emitted, read_backend(EXAMPLE))[0], 20.0)
    assert not result.found, [(f.difference.title, str(f.trials[-1])) for f in result.found]
    assert result.trials > 100 and not any("erofs_memback_copy()" in note for note in result.notes)


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_found(tree: Tree, emitted: str, what: str) -> None:
    right, wrong, kind = PLANTED[what]
    assert right in emitted
    pair, patches = pair_of(tree, emitted.replace(right, wrong), read_backend(EXAMPLE))
    result = together.review(pair, 90.0)          # it ends soon after the first finding
    found = [f for f in result.found if f.difference.kind == kind]
    assert found and any(t.region for t in found[0].trials), [f.difference.title for f in result.found]
    offsets = replay.offsets_of(replay.Asked(tuple(patches), (), tuple(found[0].trials)))
    assert execute(registry[replay.NAME], ListSource(offsets), rung="c").finding is not None


@pytest.mark.parametrize("memory, at", [("linear", 0), ("linear", 4095), ("vmalloc", 17), ("slab", 1536)])
def test_a_kernel_with_it_mounts_from_memory(tree: Tree, emitted: str, memory: str, at: int) -> None:
    pair, _ = pair_of(tree, emitted, read_backend(EXAMPLE))
    assert IMAGES
    with Kernel(library=pair.series) as kernel:
        for image in IMAGES:
            disk, region = (kernel.erofs(image, at=at, memory=memory, backend=b) for b in ("disk", "region"))
            assert region.mount_error is None and region.entries == disk.entries, image


def test_what_a_failing_call_of_the_base_leads_to_is_no_finding(tree: Tree, emitted: str) -> None:
    """Nodes without entries in sbi->managed_pslots, by which umount never ends: the base has it, at another call."""
    pair, _ = pair_of(tree, emitted, read_backend(EXAMPLE))
    case = Case((DATA / "small-lz4.erofs").read_bytes(), memory="vmalloc", at=17)
    with pair.kernels() as (base, series):
        search = session.search_of(pair, base, series)
        assert isinstance(search, RegionSearch)
        points = series.erofs(case.data, at=case.at, memory=case.memory, backend="region", fail_nth=NEVER).points
        for n in range(1, points + 1):
            search.ask(Trial(replace(case, fail_nth=n + 8 * FAIL_MORE), region=True))
        assert not search.found, [(f.difference.title, str(f.trials[-1])) for f in search.found.values()]
        assert any(title.startswith("hang") for title in search.of_base)


def test_a_kernel_without_it_says_so(library: object, tree: Tree) -> None:
    with Kernel(library=library("plain")) as kernel, pytest.raises(ConfigError, match="kemu_backend_mount"):    # type: ignore[operator]
        kernel.erofs(bytes(4096), backend="region")
