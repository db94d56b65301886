# SPDX-License-Identifier: GPL-2.0-only
"""File systems for the kernel's own use (include/linux/pseudo_fs.h)."""
from kemu.linux.fs.libfs import init_pseudo  # noqa: F401
from kemu.linux.include.pseudo_fs import pseudo_fs_context  # noqa: F401
