# SPDX-License-Identifier: GPL-2.0-only
"""File systems for the kernel's own use (include/linux/pseudo_fs.h)."""
from kemu.linux.vfs.libfs import init_pseudo, pseudo_fs_context

__all__ = ["init_pseudo", "pseudo_fs_context"]
