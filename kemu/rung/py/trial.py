# SPDX-License-Identifier: GPL-2.0-only
"""What experiments do with images: a kernel that is up, images behind a back end, and in the end nothing may be left.

Everything goes through the emulated VFS as a user's system calls would; results are errnos and manifest entries.
"""
from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kemu.explore.run import Run
from kemu.forge.placement import Placement
from kemu.linux.mount import VfsMount
from kemu.linux.path import Path
from kemu.linux.task_work import task_work_run
from kemu.linux.types import this
from kemu.report.manifest import Entry, ordered
from kemu.report.walk import walk as walk_tree
from kemu.rung.py.backend import Backend, Placed, Source, settle
from kemu.rung.py.mount import FileSystem, start

MOST = 2000             # entries of a walk


def errname(err: int) -> str:
    """``EIO`` for -5."""
    return errno.errorcode.get(-err, "ENOTSUPP" if err == -524 else str(-err))


def log_tail() -> list[str]:
    """The last words of the kernel log."""
    return [f"[{t} ns] {text}" for t, level, text in this.machine.log.entries[-3:]]


def walk(mnt: VfsMount, contents: bool = True, most: int = MOST) -> Iterator[Entry]:
    """Manifest entries of a mounted tree, depth first. Only what this task put off is done on the way: other tasks have their own
    turns.
    """
    return walk_tree(Path(mnt, mnt.mnt_root), contents=contents, most=most, settle=task_work_run)


def manifest(mnt: VfsMount) -> list[Entry]:
    """The whole tree, sorted by path."""
    return ordered(walk(mnt))


@contextmanager
def kernel(run: Run, fs: FileSystem, backend: str | Backend | None, *images: bytes, place: Placement = Placement(),
           config: Mapping[str, bool] | None = None,
           completion: str = "") -> Iterator[list[Source]]:
    """A machine that is up, with the file system loaded and the images in memory (the first one at ``place``); gives what to
    mount them from.

    Afterwards the sources are dropped, the file system is unloaded, and nothing may be left.
    """
    backend = fs.backend(backend)
    with run.machine(page_size=place.page_size, series=backend.series(),
                     config={**fs.config, **backend.config, **(config or {})}) as m:
        start()
        if fs.statics is not None:
            fs.statics()
        regions = [m.place(data, place.at if i == 0 else 0, place.memory if i == 0 else "linear", f"image{i}")
                   for i, data in enumerate(images)]
        with run.balanced(m):
            err = fs.init()
            if err:
                run.fail(f"{fs.name} does not load: {errname(err)}")
            sources = [fs.open(backend, Placed(r), completion=completion) for r in regions]
            yield sources
            run.chooser.disarm_faults()
            run.chooser.disarm_schedule()
            settle()
            for s in sources:
                s.drop()
            settle()
            fs.exit()
