# SPDX-License-Identifier: GPL-2.0-only
"""Inodes whose reading failed: every operation gives -EIO (fs/bad_inode.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EIO
from kemu.linux.fs.inode import iput, unlock_new_inode
from kemu.linux.include.fs.calls import remove_inode_hash
from kemu.linux.include.fs.constants import IOP_XATTR
from kemu.linux.include.fs.types import Inode, file_operations, inode_operations
from kemu.linux.port.honesty import dup

C = "fs/bad_inode.c"


@dup(C)
def make_bad_inode(inode: Inode) -> None:
    """``void make_bad_inode(struct inode *inode)``: unhash it; every operation on it will give -EIO."""
    remove_inode_hash(inode)
    inode.i_mode = 0o100000
    inode.i_op = bad_inode_ops
    inode.i_opflags &= ~IOP_XATTR
    inode.i_fop = bad_file_ops


def bad_int(*args: Any) -> int:
    return -EIO


def bad_ptr(*args: Any) -> Any:
    return ERR_PTR(-EIO)


bad_file_ops = file_operations(open=bad_int)
bad_inode_ops = inode_operations(
    create=bad_int, lookup=bad_ptr, link=bad_int, unlink=bad_int, symlink=bad_int, mkdir=bad_ptr, rmdir=bad_int, mknod=bad_int,
    rename=bad_int,
    readlink=bad_int, permission=bad_int, getattr=bad_int, setattr=bad_int, listxattr=bad_int, get_link=bad_ptr,
    get_inode_acl=bad_ptr,
    fiemap=bad_int, update_time=bad_int, atomic_open=bad_int, tmpfile=bad_int, set_acl=bad_int)


@dup(C)
def is_bad_inode(inode: Inode) -> bool:
    """``bool is_bad_inode(struct inode *inode)``"""
    return inode.i_op is bad_inode_ops


@dup(C)
def iget_failed(inode: Inode) -> None:
    """``void iget_failed(struct inode *inode)``: mark a new inode dead, so that no one finds it, and drop it."""
    make_bad_inode(inode)
    unlock_new_inode(inode)
    iput(inode)
