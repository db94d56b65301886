# SPDX-License-Identifier: GPL-2.0-only
"""Mounts as file systems and the boot code see them (include/linux/mount.h, fs/mount.h)."""
from kemu.linux.mnt_idmapping import mnt_idmap, nop_mnt_idmap  # noqa: F401
from kemu.linux.vfs.mnt_init import current_chrooted, mnt_init  # noqa: F401
from kemu.linux.vfs.mount_move import clone_private_mount, path_pivot_root  # noqa: F401
from kemu.linux.vfs.mounts import *  # noqa: F403
from kemu.linux.vfs.namespace import *  # noqa: F403
