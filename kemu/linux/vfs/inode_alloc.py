# SPDX-License-Identifier: GPL-2.0-only
"""Allocation of inodes, and the hash that finds them (fs/inode.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.errno import ENXIO
from kemu.linux.gfp import GFP_KERNEL, GFP_NOFS
from kemu.linux.honesty import custom, dup
from kemu.linux.mapping import AddressSpace, mapping_set_stable_writes
from kemu.linux.rcupdate import call_rcu, rcu_head
from kemu.linux.slab import SLAB_PANIC, kmem_cache_alloc, kmem_cache_create, kmem_cache_free
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.statics import statics
from kemu.linux.super_types import SB_I_STABLE_WRITES, SuperBlock
from kemu.linux.vfs.constants import (
    FS_MGTIME,
    IOP_MGTIME,
    IOP_XATTR,
)
from kemu.linux.vfs.types import Inode, empty_aops, empty_iops, file_operations
from kemu.machine.current import NULL, this
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function

g = statics(inode_cachep=None, nr_inodes=0, last_ino=0, iunique_counter=0, iunique_lock=lambda: spinlock_t("iunique_lock"), inode_hash_lock=lambda: spinlock_t("inode_hash_lock"))

Test = Callable[[Any, Any], Any]
FAKE_HASH = -1              # inode_fake_hash(): looks hashed, is on no list


def no_open(inode: Inode, file: Any) -> int:
    return -ENXIO


no_open_fops = file_operations(open=no_open)


def _bad(inode: Inode, what: str) -> KernelBug:
    func = caller_function()[0]
    return KernelBug(f"VFS: BUG: {what} in {func}", [repr(inode)], function=func)


# ------------------------------------------------------------------------- allocation

@dup("fs/inode.c")
def inode_init_always_gfp(sb: SuperBlock, inode: Inode, gfp: int) -> int:
    """``int inode_init_always_gfp(struct super_block *sb, struct inode *inode, gfp_t gfp)``: what every allocation initialises.

    Return: 0, or -ENOMEM.
    """
    inode.i_sb = sb
    inode.i_blkbits = sb.s_blocksize_bits
    inode.i_flags = 0
    inode.i_state = 0
    inode.i_count = 1
    inode.i_op = empty_iops
    inode.i_fop = no_open_fops
    inode.i_ino = 0
    inode.i_nlink = 1
    opflags = 0
    if sb.s_xattr:
        opflags = IOP_XATTR
    if sb.s_type.fs_flags & FS_MGTIME:
        opflags |= IOP_MGTIME
    inode.i_opflags = opflags
    inode.i_size = 0
    mapping = inode.i_data = AddressSpace(inode, empty_aops)
    if sb.s_iflags & SB_I_STABLE_WRITES:
        mapping_set_stable_writes(mapping)
    inode.i_mapping = mapping
    g.nr_inodes += 1
    return 0


@dup("include/linux/fs.h")
def inode_init_always(sb: SuperBlock, inode: Inode) -> int:
    """``int inode_init_always(struct super_block *sb, struct inode *inode)``"""
    return inode_init_always_gfp(sb, inode, GFP_NOFS)


@custom("fs/inode.c", "inode_init_once", "the constructor of Inode has done it")
def inode_init_once(inode: Inode) -> None:
    """``void inode_init_once(struct inode *inode)``: for the constructor of an inode slab cache."""


def inode_cachep() -> Any:
    """The slab cache of plain inodes, made on first use."""
    if g.inode_cachep is None:
        g.inode_cachep = kmem_cache_create("inode_cache", Inode, 0, SLAB_PANIC, inode_init_once)
    return g.inode_cachep


@dup("include/linux/fs.h")
def alloc_inode_sb(sb: SuperBlock, cache: Any, gfp: int) -> Any:
    """``void *alloc_inode_sb(sb, cache, gfp)``: an inode of the file system's own cache; None on failure."""
    return kmem_cache_alloc(cache, gfp)


@dup("fs/inode.c")
def free_inode_nonrcu(inode: Inode) -> None:
    """``void free_inode_nonrcu(struct inode *inode)``"""
    kmem_cache_free(inode_cachep(), inode)


def i_callback(head: Any) -> None:
    inode = head.container
    if inode.free_inode is not None:
        inode.free_inode(inode)
    else:
        free_inode_nonrcu(inode)


@dup("fs/inode.c")
def alloc_inode(sb: SuperBlock) -> Inode:
    """``struct inode *alloc_inode(struct super_block *sb)``: not on s_inodes yet; None on failure."""
    ops = sb.s_op
    if ops.alloc_inode is not None:
        inode: Inode | None = ops.alloc_inode(sb)
    else:
        inode = alloc_inode_sb(sb, inode_cachep(), GFP_KERNEL)
    if inode is None:
        return NULL             # type: ignore[no-any-return]
    inode_init_always_gfp(sb, inode, GFP_NOFS)
    return inode


@dup("fs/inode.c")
def __destroy_inode(inode: Inode) -> None:
    """``void __destroy_inode(struct inode *inode)``"""
    if not inode.i_nlink:
        WARN_ON(inode.i_sb.s_remove_count == 0)
        inode.i_sb.s_remove_count -= 1
    for acl in (inode.i_acl, inode.i_default_acl):
        if acl is not None and type(acl) is not int:
            from kemu.linux.posix_acl import posix_acl_release

            posix_acl_release(acl)
    g.nr_inodes -= 1


def destroy_inode(inode: Inode) -> None:
    ops = inode.i_sb.s_op

    if inode.i_lru:
        raise _bad(inode, "inode on the LRU destroyed")
    __destroy_inode(inode)
    if ops.destroy_inode is not None:
        ops.destroy_inode(inode)
        if ops.free_inode is None:
            return
    inode.free_inode = ops.free_inode
    call_rcu(rcu_head(inode), i_callback)


@dup("fs/inode.c")
def get_next_ino() -> int:
    """``unsigned int get_next_ino(void)``: never 0."""
    g.last_ino = (g.last_ino + 1) & 0xFFFF_FFFF or 1
    return int(g.last_ino)


@dup("fs/inode.c")
def new_inode(sb: SuperBlock) -> Inode:
    """``struct inode *new_inode(struct super_block *sb)``: unhashed, without I_NEW, on the superblock's list; None on failure."""
    inode = alloc_inode(sb)
    if inode is not None:
        inode_sb_list_add(inode)
        if this.watch is not None:
            this.watch.ref("inode", inode, 1)
    return inode


@dup("fs/inode.c")
def inode_sb_list_add(inode: Inode) -> None:
    """``void inode_sb_list_add(struct inode *inode)``"""
    sb = inode.i_sb

    spin_lock(sb.s_inode_list_lock)
    sb.s_inodes[inode] = None
    spin_unlock(sb.s_inode_list_lock)


def inode_sb_list_del(inode: Inode) -> None:
    sb = inode.i_sb

    if inode in sb.s_inodes:
        spin_lock(sb.s_inode_list_lock)
        sb.s_inodes.pop(inode, None)
        spin_unlock(sb.s_inode_list_lock)


# ------------------------------------------------------------------------- waiting

def _wait(inode: Inode, what: str) -> None:
    wq = inode.waiters
    if wq is None:
        wq = inode.waiters = WaitQueue(f"{what} of inode {inode.i_ino} ({inode.i_sb.s_id})")
    this.sched.block(wq)


def inode_wake_up_bit(inode: Inode) -> None:
    """Wake those who wait for I_NEW to clear or for a dying inode to leave the hash."""
    if inode.waiters is not None:
        inode.waiters.wake()




# ------------------------------------------------------------------------- hash

def _hash_add(inode: Inode, hashval: int) -> None:
    inode.i_hash = hashval
    table = inode.i_sb.s_inode_hash
    chain = table.get(hashval)
    if chain is None:
        table[hashval] = [inode]
    else:
        chain.insert(0, inode)


@dup("fs/inode.c")
def __insert_inode_hash(inode: Inode, hashval: int) -> None:
    """``void __insert_inode_hash(struct inode *inode, u64 hashval)``"""
    spin_lock(g.inode_hash_lock)
    spin_lock(inode.i_lock)
    _hash_add(inode, hashval)
    spin_unlock(inode.i_lock)
    spin_unlock(g.inode_hash_lock)


@dup("include/linux/fs.h")
def insert_inode_hash(inode: Inode) -> None:
    """``void insert_inode_hash(struct inode *inode)``: under its inode number."""
    __insert_inode_hash(inode, inode.i_ino)


@dup("fs/inode.c")
def __remove_inode_hash(inode: Inode) -> None:
    """``void __remove_inode_hash(struct inode *inode)``"""
    spin_lock(g.inode_hash_lock)
    spin_lock(inode.i_lock)
    _hash_del(inode)
    spin_unlock(inode.i_lock)
    spin_unlock(g.inode_hash_lock)


@dup("include/linux/fs.h")
def remove_inode_hash(inode: Inode) -> None:
    """``void remove_inode_hash(struct inode *inode)``"""
    if inode.i_hash is not None and inode.i_hash != FAKE_HASH:
        __remove_inode_hash(inode)


def _hash_del(inode: Inode) -> None:
    hashval = inode.i_hash
    if hashval is None:
        return
    table = inode.i_sb.s_inode_hash
    chain = table[hashval]
    if len(chain) == 1:
        del table[hashval]
    else:
        chain.remove(inode)
    inode.i_hash = None


@dup("include/linux/fs.h")
def inode_unhashed(inode: Inode) -> bool:
    """``int inode_unhashed(struct inode *inode)``"""
    return inode.i_hash is None


@dup("include/linux/fs.h")
def inode_fake_hash(inode: Inode) -> None:
    """``void inode_fake_hash(struct inode *inode)``: looks hashed but cannot be found."""
    inode.i_hash = FAKE_HASH
