# SPDX-License-Identifier: GPL-2.0-only
"""The file behind a file-backed mount or a loop device is cut, written or punched while tasks read."""
from __future__ import annotations

import errno
import os
from dataclasses import replace

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.content import content
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import Case, judge
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import MNT, ROOM, Program, Step, close, loop, mount, open_, punch, umount
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_sched.common import GONE, look, places

__role__ = "harness"
PAGES = 4
BYTE = 0x4E
FAILS = (-errno.EIO, -errno.EUCLEAN, -errno.ENOMEM, -errno.EBADF)
IMAGE = f"{ROOM}/files/image"            # where the agent keeps files that can be mounted


def one_file(layout: str, short: int = 0) -> tuple[bytes, bytes]:
    """An image with a file of some pages, and the file's contents."""
    body = content("text", 5, PAGES * 4096 - short)
    file = tree.File(data=body)
    z = ZPlan(cuts=(8192,), big=3, max_blocks=2) if layout in ("full", "compact") else None
    return build(tree.Dir(entries={b"f": file}), ImagePlan(inodes={id(file): InodePlan(data=layout, z=z)})).data, body


def page(slot: int, body: bytes, n: int, mapped: bool = False) -> Step:
    """The n-th page is read, or mapped: it may fail, but has no foreign bytes."""
    right = body[n * 4096:(n + 1) * 4096]
    return Step(What.FOREIGN, right, "mapped" * mapped, slot=slot, a=n * 4096, b=len(right), c=BYTE,
                may=(-errno.EFAULT, -errno.ENOMEM, -errno.EBADF) if mapped else FAILS)


def change(pick: Pick, size: int, first: int, holes: bool) -> Step:
    """A change of the backing file, which is open in slot 8; the simplest: its last pages go, or a page becomes a hole. A loop
    device's file is cut at sectors: what Linux makes of it elsewhere is known (findings-about-linux.md).
    """
    pages = size // 4096
    n = pick.int("page", min(first, pages - 1), pages - 1)
    at = n * 4096
    if holes and not pick.int("no hole", 0, 2):
        most = 4096 * (pages - n)
        return punch(8, *pick.one_of("hole", ((at, 4096), (at, most), (at + 100, 5000), (at + 100, 200), (at, most + 4096))))
    match pick.int("change", 0, 4):
        case 0:
            return Step(What.TRUNCATE, slot=8, a=at)
        case 1:
            return Step(What.WRITE, bytes([BYTE]) * 4096, slot=8, a=at, b=4096)
        case 2:
            return Step(What.WRITE, bytes(4096), slot=8, a=at, b=4096)
        case 3:
            return Step(What.TRUNCATE, slot=8, a=at + (512 if holes else 100))
        case _:
            return Step(What.TRUNCATE, slot=8, a=size)


def readers(pick: Pick, compressed: bool, image: bytes, body: bytes, place: str) -> list[list[Step]]:
    """One or two who read: what is compressed may say anything."""
    tasks = []
    for i in range(1 + pick.int("another", 0, 1)):
        if compressed:
            tasks.append([replace(s, may=(ANY,)) for s in look(pick, i, image, place)])
            continue
        order = list(range(PAGES))[::1 if not pick.int("backwards", 0, 1) else -1]
        mapped = bool(pick.int("mapped", 0, 1))
        tasks.append([replace(open_(i, f"{place}/f"), may=(ANY,)), *(page(i, body, p, mapped) for p in order),
                      replace(close(i), may=(ANY,))])
    return tasks


def changed_case(pick: Pick, holes: bool) -> tuple[str, list[list[Step]], bytes, list[str]]:
    """Readers, and a task that changes what is behind them. Of what is not compressed each byte is the old one, the new one, or
    zero; of what is there may be anything, or an error. Where it is mounted, the tasks, the image, and what it is.
    """
    place = f"{MNT}/0" if holes else MNT
    compressed = bool(pick.int("compressed", 0, 1))
    layout = pick.one_of("layout", ("full", "compact") if compressed else ("plain", "chunk", "inline"))
    image, body = one_file(layout, pick.int("short by", 0, 300))
    data = 1 if compressed else image.find(body[:4096]) // 4096
    tasks = readers(pick, compressed, image, body, place)
    first = 0 if pick.int("metadata, too", 0, 3) == 3 else max(data, 1)
    if not first:                       # then names, sizes and maps may be anything
        tasks = [[replace(s, may=(ANY,)) for s in t] for t in tasks]
    tasks.append([replace(s, may=(ANY,)) for s in pick.several("changes", 1, 3, lambda: change(pick, len(image), first, holes))])
    return place, tasks, image, [f"{len(body)} bytes, {layout}"]


def backing_case(pick: Pick) -> Case:
    """A file-backed mount of a file of a ramfs, which is cut or written."""
    place, tasks, image, told = changed_case(pick, False)
    begin = [open_(8, IMAGE, os.O_RDWR | os.O_CREAT | os.O_TRUNC), Step(What.WRITE, image, slot=8, b=len(image)),
             mount(IMAGE, place, options=pick.one_of("options", ("", "directio")))]
    return Case(Program(begin, tasks, [close(8), *GONE], talks=True), told=told)


def holes_case(pick: Pick) -> Case:
    """A file of a tmpfs below a loop device: fs/erofs takes none for a mount of its own (it has no read_folio()), and none of
    those that it takes can have holes here.
    """
    place, tasks, image, told = changed_case(pick, True)
    device = f"{ROOM}/dev/loop7"
    data = image + bytes(-len(image) % 4096)
    begin = [*places(1), open_(8, f"{MNT}/image", os.O_RDWR | os.O_CREAT | os.O_TRUNC),
             Step(What.WRITE, data, slot=8, b=len(data)), loop(device, 8), mount(device, place)]
    return Case(Program(begin, tasks, [umount(place), loop(device, clear=True), close(8), *GONE], talks=True), told=told)


@experiment("sched.backing", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(backing_case))
def backing(run: Run) -> None:
    """A backing file that changes under readers: they get errors, old bytes or new ones, and nothing else happens."""
    judge(run, backing_case(run.pick))


@experiment("sched.holes", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(holes_case))
def holes(run: Run) -> None:
    """Holes are punched into what is behind a loop device under readers: they get errors, old bytes, zeros or new ones."""
    judge(run, holes_case(run.pick))
