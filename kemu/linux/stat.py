# SPDX-License-Identifier: GPL-2.0-only
"""File modes (include/uapi/linux/stat.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup

P = "include/uapi/linux/stat.h"

S_IFMT, S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO = (
    0o170000, 0o140000, 0o120000, 0o100000, 0o060000, 0o040000, 0o020000, 0o010000)
S_ISUID, S_ISGID, S_ISVTX = 0o4000, 0o2000, 0o1000
S_IRWXUGO, S_IALLUGO, S_IRUGO, S_IWUGO, S_IXUGO = 0o777, 0o7777, 0o444, 0o222, 0o111
S_IRUSR, S_IWUSR, S_IXUSR, S_IXGRP, S_IWOTH = 0o400, 0o200, 0o100, 0o010, 0o002
STATX_DIOALIGN, STATX_BASIC_STATS = 0x2000, 0x7FF
STATX_ATTR_COMPRESSED, STATX_ATTR_IMMUTABLE = 0x4, 0x10


@dup(P)
def S_ISLNK(m: int) -> bool:
    """``S_ISLNK(m)``"""
    return m & 0o170000 == 0o120000


@dup(P)
def S_ISREG(m: int) -> bool:
    """``S_ISREG(m)``"""
    return m & 0o170000 == 0o100000


@dup(P)
def S_ISDIR(m: int) -> bool:
    """``S_ISDIR(m)``"""
    return m & 0o170000 == 0o040000


@dup(P)
def S_ISCHR(m: int) -> bool:
    """``S_ISCHR(m)``"""
    return m & 0o170000 == 0o020000


@dup(P)
def S_ISBLK(m: int) -> bool:
    """``S_ISBLK(m)``"""
    return m & 0o170000 == 0o060000


@dup(P)
def S_ISFIFO(m: int) -> bool:
    """``S_ISFIFO(m)``"""
    return m & 0o170000 == 0o010000


@dup(P)
def S_ISSOCK(m: int) -> bool:
    """``S_ISSOCK(m)``"""
    return m & 0o170000 == 0o140000


STATX_ATIME, STATX_BTIME = 0x20, 0x800

STATX_ATTR_APPEND, STATX_ATTR_AUTOMOUNT, STATX_ATTR_MOUNT_ROOT, STATX_ATTR_DAX = 0x20, 0x1000, 0x2000, 0x200000


@dup("include/linux/stat.h")
class Kstat:
    """``struct kstat``; times are timespec64. In C nothing is in it before vfs_getattr() or memset(); here it reads as zeros."""

    __slots__ = ("atime", "attributes", "attributes_mask", "blksize", "blocks", "btime", "change_cookie", "ctime", "dev",
                 "dio_mem_align", "dio_offset_align", "dio_read_offset_align", "gid", "ino", "mnt_id", "mode", "mtime", "nlink",
                 "rdev", "result_mask", "size", "subvol", "uid")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """``memset(stat, 0, sizeof(*stat))``"""
        self.result_mask = self.mode = self.nlink = self.blksize = self.attributes = self.attributes_mask = 0
        self.ino = self.dev = self.rdev = self.uid = self.gid = self.size = self.blocks = self.mnt_id = 0
        self.change_cookie = self.subvol = self.dio_mem_align = self.dio_offset_align = self.dio_read_offset_align = 0
        self.atime: Any = None
        self.mtime: Any = None
        self.ctime: Any = None
        self.btime: Any = None
