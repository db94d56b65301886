# SPDX-License-Identifier: GPL-2.0-only
"""A task's root and working directory (include/linux/fs_struct.h)."""
from kemu.linux.vfs.fs_struct import *  # noqa: F403
