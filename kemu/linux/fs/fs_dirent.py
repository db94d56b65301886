# SPDX-License-Identifier: GPL-2.0-only
"""From modes to file types and back (fs/fs_dirent.c)."""
from __future__ import annotations

from kemu.linux.include.fs_dirent import DT_UNKNOWN, FT_MAX, FT_UNKNOWN, S_DT_SHIFT, _dtype_by_ftype, _ftype_by_dtype
from kemu.linux.port.honesty import dup

C = "fs/fs_dirent.c"


@dup(C)
def fs_ftype_to_dtype(filetype: int) -> int:
    """``unsigned char fs_ftype_to_dtype(unsigned int filetype)``: FT_* to DT_*; DT_UNKNOWN if out of range."""
    if filetype >= FT_MAX:
        return DT_UNKNOWN
    return _dtype_by_ftype[filetype]


@dup(C)
def fs_umode_to_ftype(mode: int) -> int:
    """``unsigned char fs_umode_to_ftype(umode_t mode)``: FT_UNKNOWN for a type that does not exist."""
    return _ftype_by_dtype.get((mode & 0o170000) >> S_DT_SHIFT, FT_UNKNOWN)


@dup(C)
def fs_umode_to_dtype(mode: int) -> int:
    """``unsigned char fs_umode_to_dtype(umode_t mode)``"""
    return fs_ftype_to_dtype(fs_umode_to_ftype(mode))
