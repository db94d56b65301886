# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that look at one mount: beside each other, while it goes away, and while memory is taken back."""
from __future__ import annotations

import errno
from dataclasses import replace

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import LATE, LATE_RCU, MNT, SLOW, Program, Step, close, mount, open_, remount
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_sched.common import DISK, GONE, ahead, bios_end, ends, look, paths, small, source

__role__ = "harness"


def readers_case(pick: Pick) -> Case:
    """Two or three tasks look at one mount; each step says what it says alone. What they read first is one file, or each has
    another one.
    """
    image, what = small(pick)
    n = 2 + pick.int("a third", 0, 1)
    apart = pick.int("files apart", 0, 1)
    backend = pick.one_of("backend", ("disk", "file", "loop"))
    tasks = [look(pick, i, image, first=i * apart) for i in range(n)] if image else [[Step(What.STAT, MNT)]] * n
    begin = [mount(source(backend))] if image else []
    late = ends(pick, backend)
    return Case(Program(begin, tasks, GONE if image else [], late), [image] if image else [], backend, told=[what])


@experiment("sched.readers", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(readers_case, each="files apart"))
def readers(run: Run) -> None:
    """Whoever is preempted where: tasks that look at one mount see what each sees alone, and nothing is left."""
    judge(run, readers_case(run.pick))


AWAY = (-errno.ENOENT, -errno.EBADF)
WITHOUT = (What.STAT, What.STATFS, What.READDIR, What.SEEK)       # say something where nothing is mounted, too


def umount_case(pick: Pick) -> Case:
    """Tasks look at a mount while another takes it away, and mounts it again; the simplest: what was read ahead is under way."""
    image, what = small(pick)
    files = sorted(paths(image, "file"), key=lambda f: -f[1])
    seen = []
    for i in range(1 + pick.int("another", 0, 1)):
        steps = ahead(i, files[0][0], 0, files[0][1]) if files and not pick.int("look", 0, 1) else look(pick, i, image)
        seen.append([replace(s, may=(ANY,) if s.what in WITHOUT else AWAY) for s in steps])
    away = [Step(What.UMOUNT, MNT, a=2 if pick.int("lazily", 0, 1) else 0, may=(ANY,))]
    if pick.int("again", 0, 1):
        away.append(Step(What.MOUNT, DISK, MNT, "erofs\0", a=1, may=(ANY,)))
    end = [*(Step(What.UMOUNT, MNT, may=(ANY,)) for _ in range(2)), Step(What.SETTLE), Step(What.SUPERS, "erofs")]
    late = bios_end(pick, (LATE_RCU | SLOW, 0, LATE))
    return Case(Program([mount(DISK)], [*seen, away], end, late, talks=True), [image], told=[what])


@experiment("sched.umount", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(umount_case))
def unmounting(run: Run) -> None:
    """A mount that goes away under tasks that look at it: they see it whole, or not at all, and nothing is left."""
    judge(run, umount_case(run.pick))


def pressure_case(pick: Pick) -> Case:
    """Tasks read while memory is taken back: page cache, slab caches, remounts."""
    image, what = small(pick)
    files = paths(image, "file")
    tasks = [look(pick, i, image) for i in range(1 + pick.int("another", 0, 1))]

    kinds = [Step(What.DROP_SLAB), Step(What.INVALIDATE, slot=8, may=(ANY,)), remount(), Step(What.SETTLE)]

    def squeeze() -> Step:
        return pick.one_of("squeeze", kinds)

    squeezes = pick.several("squeezes", 1, 4, squeeze)
    begin = [mount(DISK)]
    if files:
        begin.append(open_(8, max(files, key=lambda f: f[1])[0]))
    return Case(Program(begin, [*tasks, squeezes], [*([close(8)] if files else []), *GONE]), [image], told=[what])


@experiment("sched.pressure", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(pressure_case))
def pressure(run: Run) -> None:
    """Whatever of memory is taken back under readers, and whenever: each sees what it sees alone, and nothing is left."""
    judge(run, pressure_case(run.pick))
