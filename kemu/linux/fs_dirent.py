# SPDX-License-Identifier: GPL-2.0-only
"""File types on disk and in getdents (include/linux/fs_dirent.h)."""
from __future__ import annotations

from kemu.linux.honesty import dup

FT_UNKNOWN, FT_REG_FILE, FT_DIR, FT_CHRDEV, FT_BLKDEV, FT_FIFO, FT_SOCK, FT_SYMLINK, FT_MAX = range(9)
DT_UNKNOWN, DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK, DT_WHT = 0, 1, 2, 4, 6, 8, 10, 12, 14
S_DT_SHIFT = 12
S_DT_MASK = 0o170000 >> S_DT_SHIFT
DT_MAX = S_DT_MASK + 1

_dtype_by_ftype = (DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK, DT_LNK)
_ftype_by_dtype = {DT_REG: FT_REG_FILE, DT_DIR: FT_DIR, DT_LNK: FT_SYMLINK, DT_CHR: FT_CHRDEV, DT_BLK: FT_BLKDEV, DT_FIFO: FT_FIFO,
                   DT_SOCK: FT_SOCK}


@dup("include/linux/fs_dirent.h")
def S_DT(mode: int) -> int:
    """``S_DT(mode)``: file type bits as a DT_* value."""
    return (mode & 0o170000) >> S_DT_SHIFT


@dup("fs/fs_dirent.c")
def fs_ftype_to_dtype(filetype: int) -> int:
    """``unsigned char fs_ftype_to_dtype(unsigned int filetype)``: FT_* to DT_*; DT_UNKNOWN if out of range."""
    if filetype >= FT_MAX:
        return DT_UNKNOWN
    return _dtype_by_ftype[filetype]


@dup("fs/fs_dirent.c")
def fs_umode_to_ftype(mode: int) -> int:
    """``unsigned char fs_umode_to_ftype(umode_t mode)``: FT_UNKNOWN for a type that does not exist."""
    return _ftype_by_dtype.get((mode & 0o170000) >> S_DT_SHIFT, FT_UNKNOWN)


@dup("fs/fs_dirent.c")
def fs_umode_to_dtype(mode: int) -> int:
    """``unsigned char fs_umode_to_dtype(umode_t mode)``"""
    return fs_ftype_to_dtype(fs_umode_to_ftype(mode))
