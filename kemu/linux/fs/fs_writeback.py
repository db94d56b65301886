# SPDX-License-Identifier: GPL-2.0-only
"""Inodes that were changed, and writing them back (fs/fs-writeback.c): nothing is written later here."""
from __future__ import annotations

from kemu.linux.include.fs.types import Inode
from kemu.linux.port.honesty import custom, stub

C = "fs/fs-writeback.c"


@custom(C, "__mark_inode_dirty", "sets the state bits; there is no writeback")
def __mark_inode_dirty(inode: Inode, flags: int) -> None:
    """``void __mark_inode_dirty(struct inode *inode, int flags)``"""
    if inode.i_sb.s_op.dirty_inode is not None:
        inode.i_sb.s_op.dirty_inode(inode, flags)


@stub(C, "write_inode_now", "there is no writeback")
def write_inode_now(inode: Inode, sync: int) -> int:
    """``int write_inode_now(struct inode *inode, int sync)``"""
    return 0
