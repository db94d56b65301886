# SPDX-License-Identifier: GPL-2.0-only
"""The name that include/linux/fs_dirent.h had before Linux 7.2."""
from kemu.linux.fs_dirent import (  # noqa: F401
    DT_BLK,
    DT_CHR,
    DT_DIR,
    DT_FIFO,
    DT_LNK,
    DT_REG,
    DT_SOCK,
    DT_UNKNOWN,
    fs_ftype_to_dtype,
    fs_umode_to_dtype,
    fs_umode_to_ftype,
)
