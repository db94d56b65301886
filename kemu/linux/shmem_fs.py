# SPDX-License-Identifier: GPL-2.0-only
"""tmpfs (include/linux/shmem_fs.h)."""
from __future__ import annotations

from kemu.linux.include.fs.types import Inode
from kemu.linux.mm.shmem import shmem_init, shmem_init_fs_context, shmem_inode_info  # noqa: F401
from kemu.linux.port.honesty import dup

P = "include/linux/shmem_fs.h"


@dup(P)
def SHMEM_I(inode: Inode) -> shmem_inode_info:
    """``struct shmem_inode_info *SHMEM_I(struct inode *inode)``: the inode is part of it, here as its base class."""
    assert type(inode) is shmem_inode_info
    return inode
