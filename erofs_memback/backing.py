# SPDX-License-Identifier: GPL-2.0-only
"""Files of the emulated kernel with given contents: what a file-backed mount reads from. Not a port."""
from __future__ import annotations

from collections.abc import Sequence

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EEXIST, EIO
from kemu.linux.fcntl import O_CREAT, O_EXCL, O_LARGEFILE, O_WRONLY
from kemu.linux.fs import filp_close, filp_open, get_fs_type, kernel_write, register_filesystem
from kemu.linux.init_syscalls import init_mkdir, init_mount
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.types import Ref
from kemu.machine.machine import Machine
from kemu.machine.region import Region

BACKING_DIR = "/backing"        # ramfs: its files have a read_folio(), which tmpfs's do not


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
        parts["backing"] = 0
    paths = []
    for region in regions:
        path = f"{BACKING_DIR}/{parts['backing']}.erofs"
        parts["backing"] += 1
        file = filp_open(path, O_CREAT | O_EXCL | O_WRONLY | O_LARGEFILE, 0o600)
        if IS_ERR(file):
            return PTR_ERR(file)
        pos = Ref(0)
        while pos.v < region.size:
            n = kernel_write(file, region.addr + pos.v, region.size - pos.v, pos)
            if n <= 0:
                filp_close(file, None)
                return n or -EIO
        filp_close(file, None)
        machine.idle()
        paths.append(path)
    return paths
