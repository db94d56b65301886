# SPDX-License-Identifier: GPL-2.0-only
"""overlayfs over EROFS: files that are copied up by one task while others read them, or copy them or their parents up as well."""
from __future__ import annotations

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
from kemu.rung.uml.sched.program import MNT, Program, Step, close, mount, open_, umount
from kemu.rung.uml.sched.wire import ANY, What

from erofs_memback.harness.experiments_sched.common import DISK, GONE

__role__ = "harness"
LOWER, UPPER, MERGED = (f"{MNT}/{name}" for name in ("lower", "upper", "merged"))
FILES = ("d/e/f", "d/e/g", "d/h")
BYTE = "N"                              # what is written


def lower(pick: Pick) -> tuple[bytes, bytes]:
    """An image with three files in two directories, and the contents of each of them."""
    body = content("text", 7, pick.one_of("size", (6000, 100, 0, 16384)))
    layout = pick.one_of("layout", ("plain", "full"))
    plan = ImagePlan()
    files = []
    for _ in FILES:
        file = tree.File(data=body, xattrs={b"user.was": b"here"})
        plan.inodes[id(file)] = InodePlan(data=layout, z=ZPlan(cuts=(16384,), big=3, max_blocks=4) if layout == "full" else None)
        files.append(file)
    inner = tree.Dir(entries={b"f": files[0], b"g": files[1]})
    root = tree.Dir(entries={b"d": tree.Dir(entries={b"e": inner, b"h": files[2]})})
    return build(root, plan).data, body


def facts(path: str) -> Step:
    """stat(2), but for what differs from mount to mount."""
    return Step(What.STAT, path, a=1)


def contents(slot: int, path: str, body: bytes) -> list[Step]:
    """A file read while somebody may write: every byte is the old one, or the new one, or none is there."""
    return [open_(slot, path), Step(What.FOREIGN, body, slot=slot, b=max(len(body), 1), c=ord(BYTE)), close(slot)]


def changes(pick: Pick, task: int, path: str, bytes_: int) -> list[Step]:
    """What copies a file up, and gives the same in whichever order tasks do it; the simplest writes to it, as all that change
    bytes do in one way (``bytes_``).
    """
    match pick.int("change", 0, 5):
        case 0:
            return [[open_(task, path, os.O_RDWR), Step(What.WRITE, BYTE * 5, slot=task, b=5), close(task)],
                    [open_(task, path, os.O_RDWR | os.O_TRUNC), close(task)],
                    [open_(task, path, os.O_WRONLY), Step(What.TRUNCATE, slot=task, a=3), close(task)]][bytes_]
        case 1:
            return [Step(What.CHMOD, path, a=0o600)]
        case 2:
            return [Step(What.SETXATTR, path, f"user.by{task}", "value")]
        case 3:
            return [Step(What.LINK, path, f"{MERGED}/d/link{task}")]
        case 4:
            return [Step(What.CHMOD, f"{MERGED}/d/e", a=0o711)]
        case _:
            return [open_(task, f"{MERGED}/d/e/new{task}", os.O_RDWR | os.O_CREAT), close(task)]


def looks(pick: Pick, task: int, path: str, body: bytes) -> list[Step]:
    """What sees a file before or after."""
    match pick.int("look", 0, 3):
        case 0:
            return contents(task, path, body)
        case 1:
            return [Step(What.GETXATTR, path, "user.was"), *contents(task, path, body)]
        case 2:
            return [open_(task, f"{MERGED}/d/e", os.O_RDONLY | os.O_DIRECTORY), Step(What.READDIR, slot=task, a=1, may=(ANY,)),
                    close(task)]
        case _:
            return [replace(facts(path), may=(ANY,)), *contents(task, path, body)]


def copyup_case(pick: Pick) -> Case:
    """Two or three tasks that change and look at few files; what they may not see is a file that is neither old nor new, and what
    may not be afterwards is another tree than if they had come one after the other.
    """
    image, body = lower(pick)
    n = 2 + pick.int("a third", 0, 1)
    bytes_ = pick.int("written, emptied or cut", 0, 2)
    tasks = []
    for i in range(n):
        path = f"{MERGED}/{pick.one_of('file', FILES)}"
        steps = changes(pick, i, path, bytes_) if i != 1 or not pick.int("looks only", 0, 1) else looks(pick, i, path, body)
        if pick.int("more", 0, 1):
            steps += looks(pick, i, path, body)
        tasks.append(steps)
    options = pick.one_of("options", ("", ",metacopy=on", ",index=on", ",volatile"))
    begin = [mount("tmpfs", MNT, "tmpfs", "mode=0755", read_only=False),
             *(Step(What.MKDIR, p, a=0o755) for p in (LOWER, UPPER, MERGED, f"{UPPER}/u", f"{UPPER}/w")),
             mount(DISK, LOWER),
             mount("overlay", MERGED, "overlay", f"lowerdir={LOWER},upperdir={UPPER}/u,workdir={UPPER}/w{options}",
                   read_only=False)]
    end = []
    for path in (f"{MERGED}/{f}" for f in FILES):
        end += [facts(path), open_(9, path), Step(What.READ, slot=9, b=65536), close(9),
                Step(What.GETXATTR, path, "user.was"), *(Step(What.GETXATTR, path, f"user.by{i}") for i in range(n))]
    for path in (f"{MERGED}/d", f"{MERGED}/d/e", f"{UPPER}/w/work"):
        end += [facts(path), open_(9, path, os.O_RDONLY | os.O_DIRECTORY), Step(What.READDIR, slot=9, a=1), close(9)]
    return Case(Program(begin, tasks, [*end, umount(MERGED), umount(LOWER), *GONE]), [image], told=[f"{len(body)} bytes each"])


@experiment("sched.copyup", series="sched", rungs=("sched",), run_seconds=60.0, feed=Hunt(copyup_case))
def copyup(run: Run) -> None:
    """Copy-up beside readers and beside other copy-ups: a file is old or new, and the tree as if they had come one by one."""
    judge(run, copyup_case(run.pick))
