# SPDX-License-Identifier: GPL-2.0-only
"""File types on disk and in getdents: numbers (include/linux/fs_dirent.h, include/linux/fs_types.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import dup

P = "include/linux/fs_dirent.h"

FT_UNKNOWN, FT_REG_FILE, FT_DIR, FT_CHRDEV, FT_BLKDEV, FT_FIFO, FT_SOCK, FT_SYMLINK, FT_MAX = range(9)
DT_UNKNOWN, DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK, DT_WHT = 0, 1, 2, 4, 6, 8, 10, 12, 14
S_DT_SHIFT = 12
S_DT_MASK = 0o170000 >> S_DT_SHIFT
DT_MAX = S_DT_MASK + 1

_dtype_by_ftype = (DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK, DT_LNK)
_ftype_by_dtype = {DT_REG: FT_REG_FILE, DT_DIR: FT_DIR, DT_LNK: FT_SYMLINK, DT_CHR: FT_CHRDEV, DT_BLK: FT_BLKDEV,
                   DT_FIFO: FT_FIFO,
                   DT_SOCK: FT_SOCK}


@dup(P)
def S_DT(mode: int) -> int:
    """``S_DT(mode)``: file type bits as a DT_* value."""
    return (mode & 0o170000) >> S_DT_SHIFT
