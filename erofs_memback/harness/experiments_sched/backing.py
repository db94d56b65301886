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
from kemu.rung.uml.sched.program import MNT, ROOM, Program, Step, close, mount, open_
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_sched.common import GONE, look

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


def page(slot: int, body: bytes, n: int) -> Step:
    """The n-th page is read: it may fail, but has no foreign bytes."""
    right = body[n * 4096:(n + 1) * 4096]
    return Step(What.FOREIGN, right, slot=slot, a=n * 4096, b=len(right), c=BYTE, may=FAILS)


def change(pick: Pick, size: int, first: int) -> Step:
    """A change of the backing file, which is open in slot 8; the simplest: its last pages go."""
    pages = size // 4096
    at = pick.int("page", min(first, pages - 1), pages - 1) * 4096
    match pick.int("change", 0, 4):
        case 0:
            return Step(What.TRUNCATE, slot=8, a=at)
        case 1:
            return Step(What.WRITE, bytes([BYTE]) * 4096, slot=8, a=at, b=4096)
        case 2:
            return Step(What.WRITE, bytes(4096), slot=8, a=at, b=4096)
        case 3:
            return Step(What.TRUNCATE, slot=8, a=at + 100)
        case _:
            return Step(What.TRUNCATE, slot=8, a=size)


def backing_case(pick: Pick) -> Case:
    """Readers, and a task that changes what is behind them. Of what is not compressed each byte is the old one, the new one, or
    zero; of what is there may be anything, or an error.
    """
    compressed = bool(pick.int("compressed", 0, 1))
    layout = pick.one_of("layout", ("full", "compact") if compressed else ("plain", "chunk", "inline"))
    image, body = one_file(layout, pick.int("short by", 0, 300))
    data = 1 if compressed else image.find(body[:4096]) // 4096
    tasks = []
    for i in range(1 + pick.int("another", 0, 1)):
        if compressed:
            tasks.append([replace(s, may=(ANY,)) for s in look(pick, i, image)])
            continue
        order = list(range(PAGES))[::1 if not pick.int("backwards", 0, 1) else -1]
        tasks.append([replace(open_(i, f"{MNT}/f"), may=(ANY,)), *(page(i, body, p) for p in order),
                      replace(close(i), may=(ANY,))])
    first = 0 if pick.int("metadata, too", 0, 3) == 3 else max(data, 1)
    if not first:                       # then names, sizes and maps may be anything
        tasks = [[replace(s, may=(ANY,)) for s in t] for t in tasks]
    tasks.append([replace(s, may=(ANY,)) for s in pick.several("changes", 1, 3, lambda: change(pick, len(image), first))])
    begin = [open_(8, IMAGE, os.O_RDWR | os.O_CREAT | os.O_TRUNC), Step(What.WRITE, image, slot=8, b=len(image)),
             mount(IMAGE, options=pick.one_of("options", ("", "directio")))]
    return Case(Program(begin, tasks, [close(8), *GONE], talks=True),
                told=[f"{len(body)} bytes, {layout}"])


@experiment("sched.backing", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(backing_case))
def backing(run: Run) -> None:
    """A backing file that changes under readers: they get errors, old bytes or new ones, and nothing else happens."""
    judge(run, backing_case(run.pick))
