# SPDX-License-Identifier: GPL-2.0-only
"""Images in files that are read directly: files of another mount, whose requests end when the outer one's bios do, and files
whose reads a worker ends.
"""
from __future__ import annotations

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.erofs.plan import ImagePlan, InodePlan
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import Program, Step, mount, umount
from kemu.rung.uml.sched.wire import What
from kemu.samples import sample

from erofs_memback.harness.experiments_sched.cache import ways
from erofs_memback.harness.experiments_sched.common import DISK, GONE, MOST, bios_end, paths, place, places, small, source

__role__ = "harness"


def within(image: bytes) -> bytes:
    """An image with the file ``i``, which is that image."""
    file = tree.File(data=image + bytes(-len(image) % 4096))
    return build(tree.Dir(entries={b"i": file}), ImagePlan(inodes={id(file): InodePlan(data="plain")})).data


def nested_case(pick: Pick) -> Case:
    """Two or three tasks at a mount that is backed by a file of a mount."""
    image, what = small(pick)
    files = [(path, min(size, MOST)) for path, size in paths(image, "file", place(1))]
    if not files:
        image, what = sample("pair.erofs").read_bytes(), "pair.erofs"
        files = paths(image, "file", place(1))
    late = bios_end(pick)
    options = pick.one_of("options", ("directio", "", "directio,cache_strategy=disabled"))
    begin = [*places(2), mount(DISK, place(0)), mount(f"{place(0)}/i", place(1), options=options)]
    tasks = ways(pick, files)
    if pick.int("drops", 0, 1):
        tasks.append([Step(What.DROP_SLAB)])
    return Case(Program(begin, tasks, [umount(place(1)), umount(place(0)), *GONE], late), [within(image)],
                told=[what, f"in a file, {options}"])


@experiment("sched.nested", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(nested_case))
def nested(run: Run) -> None:
    """Readers of an image within an image: each sees what it sees alone."""
    judge(run, nested_case(run.pick))


def later_case(pick: Pick) -> Case:
    """Two or three tasks at a mount that is backed by a file whose direct reads end in a worker."""
    image, what = small(pick)
    files = [(path, min(size, MOST)) for path, size in paths(image, "file")]
    if not files:
        image, what = sample("pair.erofs").read_bytes(), "pair.erofs"
        files = paths(image, "file")
    options = pick.one_of("options", ("directio", "directio,cache_strategy=disabled"))
    begin = [Step(What.LATE_FILE, source("file")), mount(source("file"), options=options)]
    return Case(Program(begin, ways(pick, files), GONE), [image], "file", told=[what, options])


@experiment("sched.later", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(later_case))
def later(run: Run) -> None:
    """Direct reads of a backing file that end before or after their submitter comes back: each reader sees what it sees alone."""
    judge(run, later_case(run.pick))
