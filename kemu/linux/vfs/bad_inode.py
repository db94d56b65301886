# SPDX-License-Identifier: GPL-2.0-only
"""Operations of an inode that could not be read: -EIO (fs/bad_inode.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EIO
from kemu.linux.honesty import dup
from kemu.linux.vfs.types import Inode, file_operations, inode_operations


def bad_int(*args: Any) -> int:
    return -EIO


def bad_ptr(*args: Any) -> Any:
    return ERR_PTR(-EIO)


bad_file_ops = file_operations(open=bad_int)
bad_inode_ops = inode_operations(
    create=bad_int, lookup=bad_ptr, link=bad_int, unlink=bad_int, symlink=bad_int, mkdir=bad_ptr, rmdir=bad_int, mknod=bad_int, rename=bad_int,
    readlink=bad_int, permission=bad_int, getattr=bad_int, setattr=bad_int, listxattr=bad_int, get_link=bad_ptr, get_inode_acl=bad_ptr,
    fiemap=bad_int, update_time=bad_int, atomic_open=bad_int, tmpfile=bad_int, set_acl=bad_int)


@dup("fs/bad_inode.c")
def is_bad_inode(inode: Inode) -> bool:
    """``bool is_bad_inode(struct inode *inode)``"""
    return inode.i_op is bad_inode_ops
