# SPDX-License-Identifier: GPL-2.0-only
"""Setting times (fs/utimes.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EINVAL
from kemu.linux.fs.namespace import mnt_drop_write, mnt_want_write
from kemu.linux.fs.open import _locked_change
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

C = "fs/utimes.c"


@dup(C)
def vfs_utimes(path: Path, times: Any) -> int:
    """``int vfs_utimes(const struct path *path, struct timespec64 *times)``: (atime, mtime), or None for now.

    Return: 0, -EINVAL for nanoseconds out of range, -EPERM, -EROFS.
    """
    error = mnt_want_write(path.mnt)
    if error:
        return error
    attr = iattr(ia_valid=ATTR_CTIME | ATTR_MTIME | ATTR_ATIME)
    if times is not None:
        if any(not 0 <= t.tv_nsec < 1_000_000_000 for t in times):
            mnt_drop_write(path.mnt)
            return -EINVAL
        attr.ia_atime, attr.ia_mtime = times
        attr.ia_valid |= ATTR_ATIME_SET | ATTR_MTIME_SET | ATTR_TIMES_SET
    else:
        attr.ia_valid |= ATTR_TOUCH
    error = _locked_change(path, attr)
    mnt_drop_write(path.mnt)
    return error
