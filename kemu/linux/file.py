# SPDX-License-Identifier: GPL-2.0-only
"""References to open files (include/linux/file.h)."""
from kemu.linux.fs.file_table import __fput_sync, alloc_file_clone, alloc_file_pseudo, flush_delayed_fput, fput  # noqa: F401
from kemu.linux.include.fs.calls import get_file  # noqa: F401
