# SPDX-License-Identifier: GPL-2.0-only
"""The booted kernel with every switch chosen: what tasks do beside each other in mounts of EROFS, and what each of them must see.

``kemu fuzz sched --rung sched``. A case is a program and a plan of who is preempted where; each step has to say what it says when
nobody is preempted.
"""
from __future__ import annotations

import errno
import functools
import os
from dataclasses import replace

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.report.manifest import Entry
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import MNT, ROOM, Program, Step, close, map_, mount, open_, read, remount, umount
from kemu.rung.uml.sched.wire import ANY, What
from kemu.samples import sample

from erofs_memback.harness.experiments_tasks import PATHS, sound_image

__role__ = "harness"
DISK = f"{ROOM}/dev/kemu0"

MOST = 1 << 16          # bytes of a file that a task reads
GONE = [umount(), Step(What.SETTLE), Step(What.SUPERS, "erofs")]


@functools.lru_cache(64)
def shown(image: bytes) -> tuple[Entry, ...]:
    """What is in an image."""
    return tuple(asked_sched().kernel().walk(image, 4 * PATHS))


def paths(image: bytes, kind: str) -> list[tuple[str, int]]:
    """(path below the mount, size) of its regular files, or its other inodes of a kind."""
    there = [e for e in shown(image) if e["type"] == kind and not e["error"]][:PATHS]
    return [(MNT + "/" + e["path"].lstrip("/"), int(e["size"] or 0)) for e in there]


def read_pages(pick: Pick, slot: int, path: str, size: int) -> list[Step]:
    """A file read forwards, backwards, from the middle, directly, or through a mapping; the simplest: forwards."""
    size = min(size, MOST)
    how = pick.int("how", 0, 4)
    at = range(0, max(size, 1), 4096)
    if how == 4:
        return [open_(slot, path), map_(slot, 0, max(size, 1)), close(slot)]
    order = {0: list(at), 1: list(reversed(at)), 2: [*at[len(at) // 2:], *at[:len(at) // 2]], 3: list(at)}[how]
    flags = os.O_RDONLY | (os.O_DIRECT if how == 3 else 0)
    return [open_(slot, path, flags), *(read(slot, a, 4096) for a in order[:16]), close(slot)]


def look(pick: Pick, slot: int, image: bytes) -> list[Step]:
    """Something that a task does in a mount; the simplest reads the largest file."""
    files = sorted(paths(image, "file"), key=lambda f: -f[1])
    files = files[slot:] + files[:slot]
    kind = pick.int("what", 0, 5)
    folders = paths(image, "dir")
    links = paths(image, "symlink")
    if kind == 1 and folders:
        path, _ = pick.one_of("folder", folders)
        return [open_(slot, path, os.O_RDONLY | os.O_DIRECTORY), Step(What.READDIR, slot=slot), close(slot)]
    if kind == 2 and links:
        return [Step(What.READLINK, pick.one_of("link", links)[0])]
    if kind == 3:
        with_xattrs = [(e["path"], x) for e in shown(image) for x in (e["xattrs"] or {})][:PATHS]
        if with_xattrs:
            path, name = pick.one_of("xattr", with_xattrs)
            return [Step(What.GETXATTR, MNT + "/" + path.lstrip("/"), name)]
    if kind == 4:
        return [Step(What.STATFS, MNT), *(Step(What.STAT, p) for p, _ in files[:4])]
    if not files:
        return [Step(What.STAT, MNT)]
    path, size = pick.one_of("file", files)
    return read_pages(pick, slot, path, size)


def image_of(pick: Pick) -> tuple[bytes, str]:
    """A sound image that the kernel mounts."""
    data, what = sound_image(pick)
    return (data, what) if data and shown(data) else (b"", what)


def small(pick: Pick) -> tuple[bytes, str]:
    """The bench's own image first: two files of several pclusters that are decompressed by way of the global buffer."""
    if not pick.int("another image", 0, 2):
        return sample("pair.erofs").read_bytes(), "pair.erofs"
    return image_of(pick)


def readers_case(pick: Pick) -> Case:
    """Two or three tasks look at one mount; each step says what it says alone."""
    image, what = small(pick)
    n = 2 + pick.int("a third", 0, 1)
    backend = pick.one_of("backend", ("disk", "file", "loop"))
    tasks = [look(pick, i, image) for i in range(n)] if image else [[Step(What.STAT, MNT)]] * n
    begin = [mount(_source(backend))] if image else []
    late = pick.int("bios end late", 0, 2) if backend == "disk" else 0
    return Case(Program(begin, tasks, GONE if image else [], late), [image] if image else [], backend, told=[what])


def _source(backend: str, n: int = 0) -> str:
    return {"disk": f"{ROOM}/dev/kemu{n}", "loop": f"{ROOM}/dev/loop{n}", "file": f"{ROOM}/files/{n}"}[backend]


@experiment("sched.readers", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(readers_case))
def readers(run: Run) -> None:
    """Whoever is preempted where: tasks that look at one mount see what each sees alone, and nothing is left."""
    judge(run, readers_case(run.pick))


BUSY = -errno.EBUSY
AWAY = (-errno.ENOENT, -errno.EBADF)
WITHOUT = (What.STAT, What.STATFS, What.READDIR, What.SEEK)       # say something where nothing is mounted, too


def umount_case(pick: Pick) -> Case:
    """Tasks look at a mount while another takes it away, and mounts it again."""
    image, what = small(pick)
    seen = [[replace(s, may=(ANY,) if s.what in WITHOUT else AWAY) for s in look(pick, i, image)]
            for i in range(1 + pick.int("another", 0, 1))]
    away = [Step(What.UMOUNT, MNT, a=2 if pick.int("lazily", 0, 1) else 0, may=(ANY,))]
    if pick.int("again", 0, 1):
        away.append(Step(What.MOUNT, DISK, MNT, "erofs\0", a=1, may=(BUSY,)))
    end = [*(Step(What.UMOUNT, MNT, may=(ANY,)) for _ in range(2)), Step(What.SETTLE), Step(What.SUPERS, "erofs")]
    late = pick.int("bios end late", 0, 2)
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
