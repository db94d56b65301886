# SPDX-License-Identifier: GPL-2.0-only
"""The configuration of a mount before there is one (include/linux/fs_context.h)."""
from kemu.linux.vfs.fs_context import *  # noqa: F403
from kemu.linux.vfs.super import get_tree_keyed, get_tree_nodev, get_tree_single, vfs_get_tree  # noqa: F401
from kemu.linux.vfs.super_bdev import get_tree_bdev, get_tree_bdev_flags, setup_bdev_super  # noqa: F401
