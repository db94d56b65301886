# SPDX-License-Identifier: GPL-2.0-only
"""Setting times (fs/utimes.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EINVAL
from kemu.linux.fs.attr import notify_change
from kemu.linux.fs.namespace import mnt_drop_write, mnt_want_write
from kemu.linux.include.fs.calls import inode_lock, inode_unlock
from kemu.linux.include.fs.constants import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    ATTR_TIMES_SET,
    ATTR_TOUCH,
)
from kemu.linux.include.fs.types import iattr
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import dup
from kemu.linux.time64 import UTIME_NOW, UTIME_OMIT

C = "fs/utimes.c"


@dup(C)
def nsec_valid(nsec: int) -> bool:
    """``static bool nsec_valid(long nsec)``"""
    if nsec == UTIME_OMIT or nsec == UTIME_NOW:
        return True

    return nsec >= 0 and nsec <= 999999999


@dup(C)
def vfs_utimes(path: Path, times: Any) -> int:
    """``int vfs_utimes(const struct path *path, struct timespec64 *times)``: (atime, mtime), or None for now.

    Return: 0, -EINVAL for nanoseconds out of range, -EPERM, -EROFS.
    """
    newattrs = iattr()
    inode = path.dentry.d_inode

    if times:
        if not nsec_valid(times[0].tv_nsec) or not nsec_valid(times[1].tv_nsec):
            return -EINVAL
        if times[0].tv_nsec == UTIME_NOW and times[1].tv_nsec == UTIME_NOW:
            times = None

    error = mnt_want_write(path.mnt)
    if error:
        return error

    newattrs.ia_valid = ATTR_CTIME | ATTR_MTIME | ATTR_ATIME
    if times:
        if times[0].tv_nsec == UTIME_OMIT:
            newattrs.ia_valid &= ~ATTR_ATIME
        elif times[0].tv_nsec != UTIME_NOW:
            newattrs.ia_atime = times[0]
            newattrs.ia_valid |= ATTR_ATIME_SET

        if times[1].tv_nsec == UTIME_OMIT:
            newattrs.ia_valid &= ~ATTR_MTIME
        elif times[1].tv_nsec != UTIME_NOW:
            newattrs.ia_mtime = times[1]
            newattrs.ia_valid |= ATTR_MTIME_SET
        # Tell setattr_prepare(), that this is an explicit time update, even if neither ATTR_ATIME_SET nor ATTR_MTIME_SET were
        # used.
        newattrs.ia_valid |= ATTR_TIMES_SET
    else:
        newattrs.ia_valid |= ATTR_TOUCH
    inode_lock(inode)
    error = notify_change(path.mnt.mnt_idmap, path.dentry, newattrs)
    inode_unlock(inode)

    mnt_drop_write(path.mnt)
    return error
