# SPDX-License-Identifier: GPL-2.0-only
"""What several tasks do at once in one mounted file system (runtime/errands.c), in whichever order is chosen.

    with_tasks(kernel, image, [[Errand(READ, "/mnt/a")], [Errand(READ, "/mnt/a"), Errand(MEMORY)]], late=True)
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.entries import errno_name
from kemu.rung.protocol import Answer

if TYPE_CHECKING:
    Choose = Callable[[int, int], int]

READ, LIST, XATTRS, DROP, MEMORY, MOUNTED = range(6)    # KEMU_*
NAMES = ("read", "list", "xattrs of", "drop the pages of", "memory is short", "mount and read")
MOST = 4                                                # KEMU_TASKS
ROOT = "/mnt"


class Errand(NamedTuple):
    """One thing that a task does, with a path of the image."""

    what: int
    path: str = "/"

    def __str__(self) -> str:
        return NAMES[self.what] + (f" {self.path}" if self.what != MEMORY else "")


class Done(NamedTuple):
    """What came of it: bytes or -errno, and a hash of what was read."""

    result: int
    hash: int


def run(k: Instance, tasks: Sequence[Sequence[Errand]], late: bool = False, choose: Choose | None = None) -> list[list[Done]]:
    """Run the errands of each task in a task of its own, on what is mounted at /mnt. ``late``: what is read of a disk comes when
    somebody sleeps, not at once. ``Trap``.
    """
    flat = [(i, e) for i, errands in enumerate(tasks) for e in errands]
    room, kept = k.ffi.new("struct kemu_errand[]", max(1, len(flat))), []

    def text(s: str) -> Any:
        kept.append(k.ffi.new("char[]", os.fsencode(s)))
        return kept[-1]

    for row, (i, e) in zip(room, flat):
        row.what = e.what
        row.path = text(e.path if e.what == MOUNTED else ROOT + e.path)
        row.device, row.folder = text("/dev/kemu0"), text(f"/task{i}")
    k.lib.kemu_delay(int(late))
    if choose is not None:
        k.choose(choose)
    try:
        k.check(k.lib.kemu_errands(room, [len(errands) for errands in tasks], len(tasks)))
    finally:
        if not k.dead:
            k.lib.kemu_delay(0)
            k.choose(None)
    done = iter([Done(row.result, row.hash) for row in room])
    return [[next(done) for _ in errands] for errands in tasks]


def with_tasks(kernel: Kernel, image: bytes, tasks: Sequence[Sequence[Errand]], late: bool = False,
               choose: Choose | None = None) -> tuple[Answer, list[list[Done]]]:
    """The same of an image that is mounted, and in whose caches nothing is yet; nothing of an image that is refused."""
    got: list[list[Done]] = []

    def there(k: Instance) -> Answer:
        kernel.place(k, 0, image, 0, 0, 0)
        error = k.check(k.lib.kemu_mount(b"/dev/kemu0", ROOT.encode(), b"erofs", os.ST_RDONLY, b""))
        if not error:
            for i in range(len(tasks)):
                k.check(k.lib.kemu_mkdir(f"/task{i}".encode(), 0o755))
            got.extend(run(k, tasks, late, choose))
        kernel.take_down(k, 1, 0, not error)
        return Answer(mount_error=errno_name(-error))

    return kernel.case(there), got
