# SPDX-License-Identifier: GPL-2.0-only
"""Files of the emulated kernel with given contents: what a file-backed mount reads from. Not a port."""
from __future__ import annotations

import os
from collections.abc import Sequence

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EEXIST, EIO
from kemu.linux.fcntl import O_CREAT, O_EXCL, O_LARGEFILE, O_WRONLY
from kemu.linux.fs import File, filp_close, filp_open, get_fs_type, kernel_write, register_filesystem
from kemu.linux.init_syscalls import init_mkdir, init_mount, init_rmdir, init_umount, init_unlink
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.string import memchr_inv
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.machine.machine import Machine
from kemu.machine.region import Region

BACKING_DIR = "/backing"        # ramfs: its files have a read_folio(), which tmpfs's do not


CHUNK = 1 << 20


def data_of(file: str, size: int) -> list[tuple[int, int]]:
    """Where an image has data: [start, end) of each run; the holes of the ``file`` that it was read from are left out ("": it was
    none).
    """
    if not file:
        return [(0, size)]
    out = []
    fd = os.open(file, os.O_RDONLY)
    try:
        end = 0
        while end < size:
            try:
                start = os.lseek(fd, end, os.SEEK_DATA)
            except OSError:
                break                   # a hole to the end
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
            if start < end:
                out.append((start, end))
    finally:
        os.close(fd)
    return out


def _fill(machine: Machine, file: File, region: Region, data: list[tuple[int, int]]) -> int:
    """Write the region's bytes; runs of zeros stay holes, as cp makes them."""
    pos = Ref(0)
    last = region.size - 1
    for start, end in data:
        pos.v = start
        while pos.v < end:
            n = min(CHUNK, end - pos.v)
            if pos.v + n <= last and memchr_inv(region.addr + pos.v, 0, n) == 0:
                pos.v += n
                continue
            written = kernel_write(file, region.addr + pos.v, n, pos)
            if written <= 0:
                return written or -EIO
    if region.size and (not data or data[-1][1] <= last):
        pos.v = last                    # the file is as long as the image
        written = kernel_write(file, region.addr + last, 1, pos)
        if written <= 0:
            return written or -EIO
    return 0


class _Backing:
    """The ramfs under a machine's backing files: their number, and the next one's name."""

    __slots__ = ("files", "mounted", "next")

    def __init__(self) -> None:
        self.mounted = False
        self.next = 0
        self.files = 0


def backing_files(machine: Machine, regions: Sequence[Region], data: Sequence[list[tuple[int, int]]] = ()) -> list[str] | int:
    """A ramfs file for each region, with its bytes; their paths, or a negative errno. ``data``: where each has any
    (:func:`data_of`).
    """
    backing = machine.part(_Backing)
    if not backing.mounted:
        if get_fs_type("ramfs") is None:
            register_filesystem(ramfs_fs_type)
        err = init_mkdir(BACKING_DIR, 0o755)
        if err and err != -EEXIST:
            return err
        err = init_mount("ramfs", BACKING_DIR, "ramfs", 0, None)
        if err:
            return err
        backing.mounted, backing.next, backing.files = True, 0, 0
    paths = []
    for i, region in enumerate(regions):
        path = f"{BACKING_DIR}/{backing.next}.erofs"
        backing.next += 1
        backing.files += 1
        file = filp_open(path, O_CREAT | O_EXCL | O_WRONLY | O_LARGEFILE, 0o600)
        if IS_ERR(file):
            return PTR_ERR(file)
        err = _fill(machine, file, region, data[i] if data else [(0, region.size)])
        filp_close(file, None)
        if err:
            return err
        task_work_run()
        machine.idle()
        paths.append(path)
    return paths


def drop_backing_files(machine: Machine, paths: Sequence[str]) -> None:
    """Remove the files again; the file system under them goes with the last one."""
    backing = machine.part(_Backing)
    for path in paths:
        init_unlink(path)
        backing.files -= 1
    if not backing.files:
        init_umount(BACKING_DIR, 0)
        init_rmdir(BACKING_DIR)
        backing.mounted = False
    task_work_run()
    machine.idle()
