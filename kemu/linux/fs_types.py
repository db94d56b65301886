# SPDX-License-Identifier: GPL-2.0-only
"""The name that include/linux/fs_dirent.h had before Linux 7.2."""
from kemu.linux.fs.fs_dirent import fs_ftype_to_dtype, fs_umode_to_dtype, fs_umode_to_ftype  # noqa: F401
from kemu.linux.include.fs_dirent import DT_BLK, DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, DT_SOCK, DT_UNKNOWN  # noqa: F401
