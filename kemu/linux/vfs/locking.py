# SPDX-License-Identifier: GPL-2.0-only
"""The inode's lock (include/linux/fs.h): ``i_rwsem`` is made when it is first taken."""
from __future__ import annotations

from typing import Any

from kemu.linux.honesty import dup
from kemu.linux.rwsem import down_read, down_read_trylock, down_write, down_write_trylock, rw_semaphore, up_read, up_write
from kemu.linux.vfs.types import Inode

I_MUTEX_NORMAL, I_MUTEX_PARENT, I_MUTEX_CHILD, I_MUTEX_XATTR, I_MUTEX_NONDIR2, I_MUTEX_PARENT2 = range(6)


def _sem(inode: Inode) -> Any:
    sem = inode.i_rwsem
    if sem is None:
        sem = inode.i_rwsem = rw_semaphore(f"i_rwsem of inode {inode.i_ino} ({inode.i_sb.s_id})")
    return sem


@dup("include/linux/fs.h")
def inode_lock(inode: Inode) -> None:
    """``void inode_lock(struct inode *inode)``. Context: may sleep."""
    down_write(_sem(inode))


@dup("include/linux/fs.h")
def inode_unlock(inode: Inode) -> None:
    """``void inode_unlock(struct inode *inode)``"""
    up_write(inode.i_rwsem)


@dup("include/linux/fs.h")
def inode_lock_shared(inode: Inode) -> None:
    """``void inode_lock_shared(struct inode *inode)``. Context: may sleep."""
    down_read(_sem(inode))


@dup("include/linux/fs.h")
def inode_unlock_shared(inode: Inode) -> None:
    """``void inode_unlock_shared(struct inode *inode)``"""
    up_read(inode.i_rwsem)


@dup("include/linux/fs.h")
def inode_trylock(inode: Inode) -> bool:
    """``int inode_trylock(struct inode *inode)``"""
    return down_write_trylock(_sem(inode))


@dup("include/linux/fs.h")
def inode_trylock_shared(inode: Inode) -> bool:
    """``int inode_trylock_shared(struct inode *inode)``"""
    return down_read_trylock(_sem(inode))


@dup("include/linux/fs.h")
def inode_is_locked(inode: Inode) -> bool:
    """``int inode_is_locked(struct inode *inode)``"""
    sem = inode.i_rwsem
    return sem is not None and (sem.writer is not None or sem.readers > 0)


@dup("include/linux/fs.h")
def inode_lock_nested(inode: Inode, subclass: int) -> None:
    """``void inode_lock_nested(struct inode *inode, unsigned subclass)``"""
    inode_lock(inode)


__all__ = ["I_MUTEX_CHILD", "I_MUTEX_NONDIR2", "I_MUTEX_NORMAL", "I_MUTEX_PARENT", "I_MUTEX_PARENT2", "I_MUTEX_XATTR",
           "inode_is_locked", "inode_lock", "inode_lock_nested", "inode_lock_shared", "inode_trylock", "inode_trylock_shared",
           "inode_unlock", "inode_unlock_shared"]
