# SPDX-License-Identifier: GPL-2.0-only
"""Initcalls of the small file systems that the emulated kernel has built in."""
from __future__ import annotations

from kemu.linux.honesty import custom, dup
from kemu.linux.init import fs_initcall
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.shmem import shmem_fs_type
from kemu.linux.vfs.filesystems import register_filesystem


@fs_initcall
@dup("fs/ramfs/inode.c")
def init_ramfs_fs() -> int:
    """``static int __init init_ramfs_fs(void)``"""
    return register_filesystem(ramfs_fs_type)


@custom("mm/shmem.c", "shmem_init", "registers the file system; there is no internal mount")
def shmem_init() -> None:
    """``void __init shmem_init(void)``: called by mnt_init()."""
    if IS_ENABLED("CONFIG_TMPFS"):
        register_filesystem(shmem_fs_type)
