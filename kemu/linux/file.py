# SPDX-License-Identifier: GPL-2.0-only
"""References to open files (include/linux/file.h)."""
from kemu.linux.vfs.file_table import (  # noqa: F401
    __fput_sync,
    alloc_file_clone,
    alloc_file_pseudo,
    flush_delayed_fput,
    fput,
    get_file,
)
