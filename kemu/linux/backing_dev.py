# SPDX-License-Identifier: GPL-2.0-only
"""Backing device infos (include/linux/backing-dev.h, mm/backing-dev.c): how much to read ahead."""
from kemu.linux.include.backing_dev import BackingDevInfo, bdi_get, blk_cgroup_congested, noop_backing_dev_info  # noqa: F401
from kemu.linux.mm.backing_dev import bdi_alloc, bdi_put, bdi_register, bdi_unregister, inode_to_bdi  # noqa: F401
