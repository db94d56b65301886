# SPDX-License-Identifier: GPL-2.0-only
"""File types on disk and in getdents (include/linux/fs_dirent.h)."""
from kemu.linux.fs.fs_dirent import fs_ftype_to_dtype, fs_umode_to_dtype, fs_umode_to_ftype  # noqa: F401
from kemu.linux.include.fs_dirent import (  # noqa: F401
    DT_BLK,
    DT_CHR,
    DT_DIR,
    DT_FIFO,
    DT_LNK,
    DT_MAX,
    DT_REG,
    DT_SOCK,
    DT_UNKNOWN,
    DT_WHT,
    FT_BLKDEV,
    FT_CHRDEV,
    FT_DIR,
    FT_FIFO,
    FT_MAX,
    FT_REG_FILE,
    FT_SOCK,
    FT_SYMLINK,
    FT_UNKNOWN,
    S_DT,
    S_DT_MASK,
    S_DT_SHIFT,
)
