# SPDX-License-Identifier: GPL-2.0-only
"""Extents that lie over each other on the disk: no order of their readers ends with one that waits for ever."""
from __future__ import annotations

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import MNT, Program, Step, close, map_, mount, open_, read
from kemu.rung.uml.sched.wire import What

from erofs_memback.harness.experiments_late import overlapped
from erofs_memback.harness.experiments_sched.common import GONE, ahead, ends, part, source

__role__ = "harness"
SIZE = 16 * 4096


def one_reader(pick: Pick, slot: int) -> list[Step]:
    """Pages looked at one by one, some of them thrown out again, or read ahead; the simplest: a page of every extent, one task
    forwards, the other backwards.
    """
    if pick.rare("ahead", 4):
        return ahead(slot, f"{MNT}/f", *part(pick, SIZE))
    first = (slot * 4 + pick.int("first page", 0, 15)) % 16
    step = pick.one_of("step", ((4, 12), (1, 15), (3, 13)))[slot % 2]
    mapped = not pick.int("each", 0, 1)
    at = [(first + i * step) % 16 * 4096 for i in range(2 + pick.int("pages", 0, 7))]
    reads = [map_(slot, a, 1, random=True) if mapped else read(slot, a, 4096) for a in at]
    drop = [Step(What.INVALIDATE, slot=slot, may=(1,))] if pick.int("drop", 0, 1) else []
    return [open_(slot, f"{MNT}/f"), *reads, *drop, *reads[:1], close(slot)]


def overlapping_case(pick: Pick) -> Case:
    """Two or three tasks at a file of such extents."""
    image, _ = overlapped(pick.one_of("content", ("noise", "mixed")), pick.int("pages apart", 1, 3))
    backend = pick.one_of("backend", ("disk", "file"))
    strategy = pick.one_of("options", ("", "cache_strategy=readahead", "cache_strategy=disabled"))
    tasks = [one_reader(pick, i) for i in range(2 + pick.int("a third", 0, 1))]
    return Case(Program([mount(source(backend), options=strategy)], tasks, GONE, ends(pick, backend)), [image], backend,
                told=["extents of four pages, the second over the first"])


@experiment("sched.overlapping", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(overlapping_case))
def overlapping(run: Run) -> None:
    """Readers of extents that lie over each other: each sees what it sees alone, and none waits for ever."""
    judge(run, overlapping_case(run.pick))
