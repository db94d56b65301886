# SPDX-License-Identifier: GPL-2.0-only
"""Mounts of one image and of several that come and go beside each other, with page caches of their own and with a shared one."""
from __future__ import annotations

import os
from dataclasses import replace

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.content import content
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import Program, Step, close, mount, open_, read, umount
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_file import shared_image
from erofs_memback.harness.experiments_sched.common import GONE, ends, image_of, look, place, places, read_pages, small, source

__role__ = "harness"
OPTIONS = ("", "cache_strategy=disabled", "cache_strategy=readahead", "noacl")


def mounts_case(pick: Pick) -> Case:
    """Two or three tasks, each of which mounts an image at a place of its own, looks, and takes it away; mounts of one image
    share a superblock, or wait until the one that goes is gone.
    """
    n = 2 + pick.int("a third", 0, 1)
    images = [small(pick)]
    if pick.int("another image", 0, 1):
        images.append(image_of(pick))
    images = [i for i in images if i[0]] or [small(pick)]
    backend = pick.one_of("backend", ("disk", "file", "loop"))
    same = pick.one_of("options", OPTIONS)
    tasks = []
    for i in range(n):
        which = pick.int("image", 0, len(images) - 1)
        image = images[which][0]
        steps: list[Step] = []
        for _ in range(1 + pick.int("again", 0, 1)):
            steps += [mount(source(backend, which), place(i), options=same), *(look(pick, i, image, place(i))),
                      umount(place(i), bool(pick.int("lazily", 0, 1)))]
        tasks.append(steps)
    late = ends(pick, backend)
    return Case(Program(places(n), tasks, GONE, late, talks=True), [i for i, _ in images], backend, told=[w for _, w in images])


@experiment("sched.mounts", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(mounts_case))
def mounting(run: Run) -> None:
    """Mounts of the same images that come and go: each is whole for who made it, and none is left."""
    judge(run, mounts_case(run.pick))


SHARED = "domain_id=d,inode_share"


def shared_images(pick: Pick) -> list[bytes]:
    """Images with files of equal contents, and so of equal fingerprints; each stores them in its own way."""
    body = [content("text", tag, (1 + pick.int("pages", 0, 5)) * 4096 - 100 * tag) for tag in (1, 2)]
    layouts = ("plain", "full", "compact", "chunk")
    first = pick.one_of("layout", layouts)
    second = first if not pick.int("another layout", 0, 2) else pick.one_of("layout", layouts)
    return [shared_image({b"f": (body[0], layout), b"g": (body[pick.int("body", 0, 1)], layout)}) for layout in (first, second)]


def sharers(pick: Pick, leaving: bool) -> Case:
    """Two or three tasks that each read a file in a mount of their own; the contents are the same, and so is the page cache.
    ``leaving``: mounts go away when their tasks have read; else inodes alone may.
    """
    images = shared_images(pick)
    backend = pick.one_of("backend", ("disk", "file", "loop"))
    n = 2 + pick.int("a third", 0, 1)
    begin, end, tasks = places(n), list(GONE), []
    for i in range(n):
        there = mount(source(backend, i % 2), place(i), options=SHARED)
        path, size = f"{place(i)}/{pick.one_of('file', ('f', 'g'))}", 5 * 4096
        # a file is shared with those that are stored as it is: which do depends on who comes first, and so does O_DIRECT
        steps = [replace(s, a=os.O_RDONLY) if s.what is What.OPEN else s for s in read_pages(pick, i, path, size)]
        if i == 1 and not pick.int("reads", 0, 1):      # else it waits for the pages of who reads
            steps = [Step(What.STAT, path)]
        if pick.int("mounts", 0, 3) == 3:
            steps.insert(0, there)
        else:
            begin.append(there)
            if not pick.int("unknown", 0, 1):
                begin += [open_(8, path), close(8)]
        if not pick.int("keeps", 0, 1):             # what was used a moment ago goes at the third attempt
            steps += [Step(What.DROP_SLAB)] * 3
        if pick.int("again", 0, 1):
            steps += [open_(i, path), read(i, 0, size), Step(What.INVALIDATE, slot=i, may=(ANY,)), close(i)]
        if leaving and (i or pick.int("all", 0, 1)):
            steps.append(umount(place(i)))
        else:
            end.insert(0, umount(place(i)))
        tasks.append(steps)
    late = ends(pick, backend)
    return Case(Program(begin, tasks, end, late, talks=True), images, backend, told=["files of equal fingerprints"])


def ishare_case(pick: Pick) -> Case:
    """The mounts stay."""
    return sharers(pick, False)


def leaving_case(pick: Pick) -> Case:
    """The mounts go away, one or all of them."""
    return sharers(pick, True)


@experiment("sched.ishare", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(ishare_case))
def ishare(run: Run) -> None:
    """Mounts that share their files' page cache, and inodes that come and go: who reads through whichever sees the file whole."""
    judge(run, ishare_case(run.pick))


@experiment("sched.ishare.umount", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(leaving_case))
def leaving(run: Run) -> None:
    """Mounts that share their files' page cache and go away: who reads through another sees the file whole."""
    judge(run, leaving_case(run.pick))
