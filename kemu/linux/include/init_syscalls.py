# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/init_syscalls.h: its types, constants and inline functions."""
from __future__ import annotations

from kemu.linux.fs.namei import inode_permission
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import names

UMOUNT_NOFOLLOW = 8


def path_permission(path: Path, mask: int) -> int:
    """``int path_permission(const struct path *path, int mask)``: inode_permission() of a walked path"""
    return inode_permission(path.mnt.mnt_idmap, path.dentry.d_inode, mask)


names("dup", "include/linux/fs.h", "path_permission")
