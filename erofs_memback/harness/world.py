# SPDX-License-Identifier: GPL-2.0-only
"""What the experiments do with an image: place it, mount it through a back end, walk it, unmount it.

Everything goes through the emulated VFS as a user's system calls would; results are errnos and manifest entries.
"""
from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

from kemu.linux.brd import ramdisk, ramdisk_remove
from kemu.linux.cred import current_cred
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs import FileSystemType
from kemu.linux.fs_context import fs_context_for_mount, put_fs_context
from kemu.linux.mount import VfsMount
from kemu.linux.path import Path
from kemu.linux.task_work import task_work_run
from kemu.linux.types import this
from kemu.linux.vfs.file_table import __fput_sync
from kemu.linux.vfs.filesystems import get_fs_type, put_filesystem
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.mnt_init import mnt_init
from kemu.linux.vfs.mounts import mntput
from kemu.linux.vfs.namespace import fc_mount, vfs_kern_mount
from kemu.linux.vfs.open import dentry_open
from kemu.machine.region import Region
from kemu.report.manifest import Entry, ordered
from kemu.report.walk import walk as walk_tree

from erofs_memback import memback, memback_rfc, super

__harness__ = True
BACKENDS = ("bdev", "memback", "memback-rfc")
SERIES: dict[str, list[Any]] = {"bdev": [], "memback": [memback.series], "memback-rfc": [memback_rfc.series]}
SB_RDONLY = 1


def errname(err: int) -> str:
    """``EIO`` for -5."""
    return errno.errorcode.get(-err, "ENOTSUPP" if err == -524 else str(-err))


def start() -> None:
    """The kernel is up: a root file system is mounted, and what is made when it is first needed has been needed once."""
    mnt_init()
    __fput_sync(dentry_open(current_fs().root, O_RDONLY, current_cred()))


def boot() -> None:
    """The same with EROFS registered."""
    start()
    err = super.erofs_module_init()
    if err:
        raise AssertionError(f"erofs_module_init: {errname(err)}")


class Source:
    """An image in memory, and what its back end needs besides: a disk or a region object. ``drop()`` takes it down."""

    def __init__(self, backend: str, region: Region, pad: int = 4096):
        self.backend = backend
        self.region = region
        self.disk: Any = None
        self.object: Any = None
        self.released: Callable[[], None] | None = None         # memback: called when the last user is gone
        if backend == "bdev":
            self.disk = ramdisk(self.region, pad=max(pad, this.mem.page_size), completion="sync")
        elif backend == "memback":
            self.region.lend("memback")
            self.object = memback.erofs_memback_region_alloc(self.region.addr, self.region.size, self._released)

    def _released(self, region: Any) -> None:
        self.region.give_back("memback")
        if self.released is not None:
            self.released()

    def mount(self, options: str | None = None) -> VfsMount:
        """The mount, or ERR_PTR."""
        fstype = get_fs_type("erofs")
        mnt = self._mount(fstype, options)
        put_filesystem(fstype)
        if IS_ERR(mnt):
            settle()
        return mnt

    def _mount(self, fstype: FileSystemType, options: str | None) -> VfsMount:
        if self.backend == "bdev":
            return vfs_kern_mount(fstype, SB_RDONLY, "/dev/" + self.disk.disk_name, options)
        if self.backend == "memback-rfc":
            memback_rfc.erofs_memback_set_pending(self.region.addr, self.region.size)
            return vfs_kern_mount(fstype, SB_RDONLY, "none", options)
        fc = fs_context_for_mount(fstype, SB_RDONLY)
        if IS_ERR(fc):
            return ERR_CAST(fc)
        err = memback.erofs_fc_set_memback(fc, self.object)
        mnt = fc_mount(fc) if not err else ERR_PTR(err)
        put_fs_context(fc)
        return mnt

    def drop(self) -> None:
        """Nobody uses it any more."""
        if self.disk is not None:
            ramdisk_remove(self.disk)
        if self.object is not None:
            memback.erofs_memback_region_put(self.object)


def settle() -> None:
    """The task returns to user space, and everybody else does what is left to do."""
    task_work_run()
    this.machine.idle()


def umount(mnt: VfsMount) -> None:
    """The last reference of a mount that nobody sees: the superblock goes with it."""
    mntput(mnt)
    settle()


def walk(mnt: VfsMount, contents: bool = True, most: int = 2000) -> Iterator[Entry]:
    """Manifest entries of a mounted tree, depth first. Only what this task put off is done on the way: other tasks have their own turns."""
    return walk_tree(Path(mnt, mnt.mnt_root), contents=contents, most=most, settle=task_work_run)


def manifest(mnt: VfsMount) -> list[Entry]:
    """The whole tree, sorted by path."""
    return ordered(walk(mnt))
