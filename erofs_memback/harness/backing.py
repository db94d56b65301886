# SPDX-License-Identifier: GPL-2.0-only
"""Files of the emulated kernel with given contents: what a file-backed mount reads from. Not a port."""
from __future__ import annotations

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


def _fill(machine: Machine, file: File, region: Region) -> int:
    """Write the region's bytes; runs of zeros stay holes, as cp makes them."""
    pos = Ref(0)
    while pos.v < region.size:
        n = min(CHUNK, region.size - pos.v)
        if pos.v + n < region.size and memchr_inv(region.addr + pos.v, 0, n) == 0:
            pos.v += n
            continue
        written = kernel_write(file, region.addr + pos.v, n, pos)
        if written <= 0:
            return written or -EIO
    return 0


def backing_files(machine: Machine, regions: Sequence[Region]) -> list[str] | int:
    """A ramfs file for each region, with its bytes; their paths, or a negative errno."""
    parts = machine.parts
    if "backing" not in parts:
        if get_fs_type("ramfs") is None:
            register_filesystem(ramfs_fs_type)
        err = init_mkdir(BACKING_DIR, 0o755)
        if err and err != -EEXIST:
            return err
        err = init_mount("ramfs", BACKING_DIR, "ramfs", 0, None)
        if err:
            return err
        parts["backing"] = parts["backing_files"] = 0
    paths = []
    for region in regions:
        path = f"{BACKING_DIR}/{parts['backing']}.erofs"
        parts["backing"] += 1
        parts["backing_files"] += 1
        file = filp_open(path, O_CREAT | O_EXCL | O_WRONLY | O_LARGEFILE, 0o600)
        if IS_ERR(file):
            return PTR_ERR(file)
        err = _fill(machine, file, region)
        filp_close(file, None)
        if err:
            return err
        task_work_run()
        machine.idle()
        paths.append(path)
    return paths


def drop_backing_files(machine: Machine, paths: Sequence[str]) -> None:
    """Remove the files again; the file system under them goes with the last one."""
    for path in paths:
        init_unlink(path)
        machine.parts["backing_files"] -= 1
    if not machine.parts["backing_files"]:
        init_umount(BACKING_DIR, 0)
        init_rmdir(BACKING_DIR)
        del machine.parts["backing"], machine.parts["backing_files"]
    task_work_run()
    machine.idle()
