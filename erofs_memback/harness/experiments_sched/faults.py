# SPDX-License-Identifier: GPL-2.0-only
"""Allocations of one task fail while another reads the same files: the one may see errors, the other not."""
from __future__ import annotations

import errno
import os
from dataclasses import replace

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import MNT, Program, Step, close, mount, open_, read, umount
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_sched.cache import TWIN, image_for, twin_image
from erofs_memback.harness.experiments_sched.common import GONE, ahead, ends, look, part, place, places, read_pages, source

__role__ = "harness"
CALLS = 60              # that may fail, of a task
SHORT = (-errno.EIO, -errno.ENOMEM, -errno.EFAULT)
FEW = 16                # that may fail and may not wait
SCHEDULES = 768         # of one program: there are many places for a failure


def faults_case(pick: Pick) -> Case:
    """The first task's n-th allocation fails; whatever it sees, who reads beside it sees the whole file. If one fails that may
    wait, as memory that is only short does not make it, that is an error for all who need the same pages.
    """
    image, what = image_for(pick)
    backend = pick.one_of("backend", ("disk", "file"))
    begin, end = places(2), GONE
    here = mount(source(backend), place(0))
    steps = [replace(s, may=(ANY,)) for s in look(pick, 0, image, place(0))]
    if pick.int("mounts, too", 0, 2) == 2:
        steps = [replace(here, may=(ANY,)), *steps, replace(umount(place(0)), may=(ANY,))]
        begin = [*begin, mount(source(backend), place(1))]
        end = [replace(umount(place(0)), may=(ANY,)), *GONE]
    else:
        begin = [*begin, here, mount(source(backend), place(1))]
        end = [umount(place(0)), *GONE]
    steps.insert(0 if pick.int("from the first step on", 0, 1) or len(steps) < 2 else 1,
                 Step(What.FAIL, a=1 + pick.int("call", 0, CALLS - 1)))
    patient = not pick.int("calls that may wait fail, too", 0, 1)
    others = [[s if patient else replace(s, may=(*s.may, *SHORT)) for s in look(pick, i, image, place(1))]
              for i in range(1, 2 + pick.int("another", 0, 1))]
    late = ends(pick, backend)
    return Case(Program(begin, [[*steps, Step(What.FAIL)], *others], [umount(place(1)), *end], late, talks=True), [image],
                backend, patient=patient, told=[what, *["calls that may wait do not fail"] * patient])


def ahead_case(pick: Pick) -> Case:
    """What one task reads ahead fails for want of memory for which it may not wait; another reads a page of its own out of the
    same pclusters, whose own reading ahead has failed before. Of what is read ahead the first pages are there, so that pages have
    to be found for them to be decompressed to.
    """
    size = TWIN
    image = twin_image(pick.one_of("layout", ("full", "compact")), size)
    backend = pick.one_of("backend", ("disk", "file"))
    strategy = pick.one_of("options", ("cache_strategy=disabled", "", "cache_strategy=readahead"))
    first = ahead(0, f"{MNT}/f", *part(pick, size - 4096 * pick.int("last page left out", 0, 1), 4))
    first.insert(1, Step(What.FAIL, a=1 + pick.int("call", 0, FEW - 1)))
    first = [replace(s, may=(ANY,)) for s in first]
    at = (-(-size // 4096) - pick.int("pages from the end", 1, -(-size // 4096))) * 4096
    before = [Step(What.FAIL, a=1 + (6 + pick.int("call before", 0, FEW - 1)) % FEW), *ahead(1, f"{MNT}/g", at, 4096),
              Step(What.FAIL)]
    kept = 4096 * pick.one_of("pages that are kept", (4, 2, 8, 0))
    there = [open_(2, f"{MNT}/f"), read(2, 0, size, 4096),
             Step(What.FADVISE, slot=2, a=kept, b=size, c=os.POSIX_FADV_DONTNEED), close(2)]
    begin = [mount(source(backend), options=strategy), *there, *(replace(s, may=(ANY,)) for s in before)]
    others = [[open_(1, f"{MNT}/g"), read(1, at, 4096), close(1)]]
    if pick.int("another", 0, 1):
        others.append(read_pages(pick, 2, f"{MNT}/f", size))
    program = Program(begin, [[*first, Step(What.FAIL)], *others], GONE, ends(pick, backend), talks=True)
    return Case(program, [image], backend, patient=True,
                told=["two files of the same pclusters", "calls that may wait do not fail"])


@experiment("sched.faults.ahead", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(ahead_case, SCHEDULES, "call"))
def ahead_faults(run: Run) -> None:
    """What is read ahead without memory for it fails nobody who reads in earnest."""
    judge(run, ahead_case(run.pick))


@experiment("sched.faults", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(faults_case, SCHEDULES, "call"))
def faults(run: Run) -> None:
    """Memory that is short for one task: another that reads the same sees no error, and nothing is left."""
    judge(run, faults_case(run.pick))
