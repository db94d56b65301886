# SPDX-License-Identifier: GPL-2.0-only
"""File modes (include/uapi/linux/stat.h)."""
from __future__ import annotations

from kemu.linux.honesty import dup

S_IFMT, S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO = (
    0o170000, 0o140000, 0o120000, 0o100000, 0o060000, 0o040000, 0o020000, 0o010000)
S_ISUID, S_ISGID, S_ISVTX = 0o4000, 0o2000, 0o1000
S_IRWXUGO, S_IALLUGO, S_IRUGO, S_IWUGO, S_IXUGO = 0o777, 0o7777, 0o444, 0o222, 0o111
S_IRUSR, S_IWUSR, S_IXUSR = 0o400, 0o200, 0o100
STATX_DIOALIGN, STATX_BASIC_STATS = 0x2000, 0x7FF
STATX_ATTR_COMPRESSED, STATX_ATTR_IMMUTABLE = 0x4, 0x10
P = "include/uapi/linux/stat.h"


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
