# SPDX-License-Identifier: GPL-2.0-only
"""remount, sync and statfs beside a mount that goes away."""
from __future__ import annotations

import errno
from dataclasses import replace

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import MNT, Program, Step, close, mount, open_, read, remount
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_sched.common import ends, look, paths, small, source

__role__ = "harness"
REMOUNTS = ("", "cache_strategy=disabled", "noacl,nouser_xattr", "cache_strategy=readahead,acl")


def remounts_case(pick: Pick) -> Case:
    """A task remounts, syncs and asks; another takes the mount away, and mounts it again."""
    image, what = small(pick)
    backend = pick.one_of("backend", ("disk", "file", "loop"))

    def asked() -> Step:
        kind = pick.int("ask", 0, 3)
        if kind == 3:
            return Step(What.STATFS, MNT, may=(ANY,))
        if kind == 2:
            return Step(What.SYNC)
        if kind == 0:
            return Step(What.DROP_SLAB)
        return replace(remount(options=pick.one_of("options", REMOUNTS)), may=(ANY,))

    tasks = [pick.several("asked", 1, 4, asked)]
    away = [Step(What.UMOUNT, MNT, a=2 if pick.int("lazily", 0, 1) else 0, may=(ANY,))]
    if pick.int("again", 0, 1):
        away.append(replace(mount(source(backend)), may=(ANY,)))
    tasks.append(away)
    late = ends(pick, backend)
    if backend == "disk" and not late and pick.int("a reader", 0, 1):
        # first, and it does not sleep: alone it sees the mount
        tasks.insert(0, [replace(s, may=(ANY,) if s.what in WITHOUT else (-errno.ENOENT, -errno.EBADF))
                         for s in look(pick, 1, image)])
    end = [*(Step(What.UMOUNT, MNT, may=(ANY,)) for _ in range(2)), Step(What.SETTLE), Step(What.SUPERS, "erofs")]
    begin = [mount(source(backend))]
    if files := paths(image, "file"):                   # so that there is something in the caches
        begin += [open_(8, max(files, key=lambda f: f[1])[0]), read(8, 8192, 4096), close(8)]
    return Case(Program(begin, tasks, end, late, talks=True), [image], backend, told=[what])


WITHOUT = (What.STAT, What.STATFS, What.READDIR, What.SEEK, What.GETXATTR)       # say something else without the mount


@experiment("sched.remounts", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(remounts_case))
def remounts(run: Run) -> None:
    """remount, sync and statfs while the mount goes away: they come first or find nothing, and nothing is left."""
    judge(run, remounts_case(run.pick))
