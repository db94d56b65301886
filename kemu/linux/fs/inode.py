# SPDX-License-Identifier: GPL-2.0-only
"""Inodes: allocation, the inode hash, references, eviction, times and owners (fs/inode.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bug import BUG_ON, WARN, WARN_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EAGAIN, EBUSY, EINVAL, ENXIO, ESTALE
from kemu.linux.fs.char_dev import def_chr_fops
from kemu.linux.fs.fs_writeback import __mark_inode_dirty, write_inode_now
from kemu.linux.fs.pipe import pipefifo_fops
from kemu.linux.include.cred import CAP_FOWNER, CAP_FSETID, capable, current_cred, current_fsuid, in_group_p
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.calls import (
    HAS_UNMAPPED_ID,
    IS_NOSEC,
    __iget,
    alloc_inode_sb,
    file_dentry,
    file_inode,
    file_mnt_idmap,
    inode_generic_drop,
    inode_get_atime,
    inode_get_ctime,
    inode_get_mtime,
    inode_has_no_xattr,
    inode_lock,
    inode_set_atime_to_ts,
    inode_wake_up_bit,
    remove_inode_hash,
)
from kemu.linux.include.fs.constants import (
    ATTR_FORCE,
    ATTR_KILL_PRIV,
    FS_MGTIME,
    FS_UPD_ATIME,
    I_CLEAR,
    I_CREATING,
    I_DIRTY_ALL,
    I_DIRTY_SYNC,
    I_DONTCACHE,
    I_FREEING,
    I_LINKABLE,
    I_LRU_ISOLATING,
    I_NEW,
    I_REFERENCED,
    I_SYNC,
    I_WILL_FREE,
    IOCB_NOWAIT,
    IOP_MGTIME,
    IOP_XATTR,
    S_NOATIME,
)
from kemu.linux.include.fs.types import AddressSpace, File, Inode, empty_aops, empty_iops, file_operations, iattr
from kemu.linux.include.gfp import GFP_KERNEL, GFP_NOFS, GFP_USER
from kemu.linux.include.pagemap import mapping_set_stable_writes, mapping_shrinkable
from kemu.linux.include.path import Path
from kemu.linux.include.posix_acl import posix_acl_release
from kemu.linux.include.rcupdate import call_rcu, rcu_head, rcu_read_lock, rcu_read_unlock
from kemu.linux.include.security import security_inode_need_killpriv
from kemu.linux.include.slab import SLAB_PANIC, KmemCache, kmem_cache_create
from kemu.linux.kernel.capability import capable_wrt_inode_uidgid
from kemu.linux.mm.slub import kmem_cache_free
from kemu.linux.mm.truncate import invalidate_mapping_pages, truncate_inode_pages_final
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_ISCHR, S_ISDIR, S_ISGID, S_ISREG
from kemu.linux.super_types import (
    SB_ACTIVE,
    SB_I_STABLE_WRITES,
    SB_NOATIME,
    SB_NODIRATIME,
    SB_RDONLY,
    SuperBlock,
    sb_end_write,
    sb_start_write_trylock,
)
from kemu.linux.time64 import NSEC_PER_SEC, _coarse, ktime_get_coarse_real_ts64, timespec64
from kemu.linux.types import Ref, u32
from kemu.machine.current import NULL, this
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function
from kemu.machine.statics import per_machine, statics

C = "fs/inode.c"

@statics
class g:
    inode_cachep: KmemCache = NULL
    nr_inodes = 0
    last_ino = 0
    iunique_counter = 0
    iunique_lock = per_machine(lambda: spinlock_t("iunique_lock"))
    inode_hash_lock = per_machine(lambda: spinlock_t("inode_hash_lock"))

Test = Callable[[Any, Any], Any]
FAKE_HASH = -1              # inode_fake_hash(): looks hashed, is on no list



def no_open(inode: Inode, file: Any) -> int:
    return -ENXIO


no_open_fops = file_operations(open=no_open)


def _bad(inode: Inode, what: str) -> KernelBug:
    func = caller_function()[0]
    return KernelBug(f"VFS: BUG: {what} in {func}", [repr(inode)], function=func)


@dup(C)
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


def inode_cachep() -> Any:
    """The slab cache of plain inodes, made on first use."""
    if g.inode_cachep is None:
        g.inode_cachep = kmem_cache_create("inode_cache", Inode, 0, SLAB_PANIC, inode_init_once)
    return g.inode_cachep


@dup(C)
def free_inode_nonrcu(inode: Inode) -> None:
    """``void free_inode_nonrcu(struct inode *inode)``"""
    kmem_cache_free(inode_cachep(), inode)


def i_callback(head: Any) -> None:
    inode = head.container
    if inode.free_inode is not None:
        inode.free_inode(inode)
    else:
        free_inode_nonrcu(inode)


@dup(C)
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


@dup(C)
def __destroy_inode(inode: Inode) -> None:
    """``void __destroy_inode(struct inode *inode)``"""
    if not inode.i_nlink:
        WARN_ON(inode.i_sb.s_remove_count == 0)
        inode.i_sb.s_remove_count -= 1
    for acl in (inode.i_acl, inode.i_default_acl):
        if acl is not None and type(acl) is not int:
            posix_acl_release(acl)
    g.nr_inodes -= 1


@dup(C)
def drop_nlink(inode: Inode) -> None:
    """``void drop_nlink(struct inode *inode)``"""
    WARN_ON(inode.i_nlink == 0)
    inode.i_nlink = (inode.i_nlink - 1) & 0xFFFF_FFFF
    if not inode.i_nlink:
        inode.i_sb.s_remove_count += 1


@dup(C)
def clear_nlink(inode: Inode) -> None:
    """``void clear_nlink(struct inode *inode)``"""
    if inode.i_nlink:
        inode.i_nlink = 0
        inode.i_sb.s_remove_count += 1


@dup(C)
def set_nlink(inode: Inode, nlink: int) -> None:
    """``void set_nlink(struct inode *inode, unsigned int nlink)``"""
    if not nlink:
        clear_nlink(inode)
    else:
        if inode.i_nlink == 0:
            inode.i_sb.s_remove_count -= 1
        inode.i_nlink = nlink


@dup(C)
def inc_nlink(inode: Inode) -> None:
    """``void inc_nlink(struct inode *inode)``"""
    if inode.i_nlink == 0:
        WARN_ON(not inode.i_state & I_LINKABLE)
        inode.i_sb.s_remove_count -= 1
    inode.i_nlink += 1


@custom(C, "inode_init_once", "the constructor of Inode has done it")
def inode_init_once(inode: Inode) -> None:
    """``void inode_init_once(struct inode *inode)``: for the constructor of an inode slab cache."""


@dup(C)
def wait_on_new_inode(inode: Inode) -> None:
    """``void wait_on_new_inode(struct inode *inode)``: until I_NEW is clear. Context: may sleep."""
    spin_lock(inode.i_lock)
    if not inode.i_state & I_NEW:
        spin_unlock(inode.i_lock)
        return
    while inode.i_state & I_NEW:
        spin_unlock(inode.i_lock)
        _wait(inode, "I_NEW")
        spin_lock(inode.i_lock)
    WARN_ON(inode.i_state & I_NEW)
    spin_unlock(inode.i_lock)


def _put(inode: Inode) -> None:
    inode.i_count -= 1
    if this.watch is not None:
        this.watch.ref("inode", inode, -1)


@dup(C)
def inode_lru_list_add(inode: Inode) -> None:
    """``void inode_lru_list_add(struct inode *inode)``: if it is unused, memory pressure may take it from now on."""
    if not inode.i_count:
        __inode_lru_list_add(inode, False)


@dup(C)
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


def _wait(inode: Inode, what: str) -> None:
    wq = inode.waiters
    if wq is None:
        wq = inode.waiters = WaitQueue(f"{what} of inode {inode.i_ino} ({inode.i_sb.s_id})")
    this.sched.block(wq)


def _hash_add(inode: Inode, hashval: int) -> None:
    inode.i_hash = hashval
    table = inode.i_sb.s_inode_hash
    chain = table.get(hashval)
    if chain is None:
        table[hashval] = [inode]
    else:
        chain.insert(0, inode)


@dup(C)
def __insert_inode_hash(inode: Inode, hashval: int) -> None:
    """``void __insert_inode_hash(struct inode *inode, u64 hashval)``"""
    spin_lock(g.inode_hash_lock)
    spin_lock(inode.i_lock)
    _hash_add(inode, hashval)
    spin_unlock(inode.i_lock)
    spin_unlock(g.inode_hash_lock)


@dup(C)
def __remove_inode_hash(inode: Inode) -> None:
    """``void __remove_inode_hash(struct inode *inode)``"""
    spin_lock(g.inode_hash_lock)
    spin_lock(inode.i_lock)
    _hash_del(inode)
    spin_unlock(inode.i_lock)
    spin_unlock(g.inode_hash_lock)


def __inode_lru_list_add(inode: Inode, rotate: bool) -> None:
    if inode.i_state & (I_DIRTY_ALL | I_SYNC | I_FREEING | I_WILL_FREE) or inode.i_count:
        return
    if not inode.i_sb.s_flags & SB_ACTIVE or not mapping_shrinkable(inode.i_data):
        return
    if not inode.i_lru:
        inode.i_lru = True
        inode.i_sb.s_inode_lru[inode] = None
    elif rotate:
        inode.i_state |= I_REFERENCED


def inode_lru_list_del(inode: Inode) -> None:
    if inode.i_lru:
        inode.i_lru = False
        del inode.i_sb.s_inode_lru[inode]


@dup(C)
def clear_inode(inode: Inode) -> None:
    """``void clear_inode(struct inode *inode)``: the last thing ->evict_inode does; the page cache must be empty."""
    if inode.i_data.nrpages:
        raise _bad(inode, f"clear_inode() with {inode.i_data.nrpages} pages cached")
    BUG_ON(not inode.i_state & I_FREEING)
    BUG_ON(inode.i_state & I_CLEAR)
    inode.i_state = I_FREEING | I_CLEAR


def evict(inode: Inode) -> None:
    op = inode.i_sb.s_op

    BUG_ON(not inode.i_state & I_FREEING)
    if inode.i_lru:
        raise _bad(inode, "evict() of an inode on the LRU")
    inode_sb_list_del(inode)

    spin_lock(inode.i_lock)
    while inode.i_state & I_LRU_ISOLATING:      # inode_wait_for_lru_isolating()
        spin_unlock(inode.i_lock)
        _wait(inode, "LRU isolation")
        spin_lock(inode.i_lock)
    spin_unlock(inode.i_lock)
    if op.evict_inode is not None:
        op.evict_inode(inode)
    else:
        truncate_inode_pages_final(inode.i_data)
        clear_inode(inode)
    if S_ISCHR(inode.i_mode) and inode.i_cdev is not None:
        inode.i_cdev = None                 # cd_forget()
    remove_inode_hash(inode)
    inode_wake_up_bit(inode)
    BUG_ON(inode.i_state != I_FREEING | I_CLEAR)
    destroy_inode(inode)


@dup(C)
def evict_inodes(sb: SuperBlock) -> None:
    """``void evict_inodes(struct super_block *sb)``: evict every inode without references; the others stay on s_inodes."""
    dispose = []
    spin_lock(sb.s_inode_list_lock)
    for inode in list(sb.s_inodes):         # the C builds the list backwards, twice
        if inode.i_count:
            continue
        spin_lock(inode.i_lock)
        if inode.i_count:
            spin_unlock(inode.i_lock)
            continue
        if inode.i_state & (I_NEW | I_FREEING | I_WILL_FREE):
            spin_unlock(inode.i_lock)
            continue
        inode.i_state |= I_FREEING
        inode_lru_list_del(inode)
        spin_unlock(inode.i_lock)
        dispose.append(inode)
    spin_unlock(sb.s_inode_list_lock)
    for inode in dispose:
        evict(inode)


@custom(C, "prune_icache_sb", "takes the number of inodes to scan")
def prune_icache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """``long prune_icache_sb(struct super_block *sb, struct shrink_control *sc)``: evict unused inodes, oldest first; returns how
    many.
    """
    freeable = []
    lru = sb.s_inode_lru
    for inode in list(lru)[:nr_to_scan]:
        while inode in lru:                     # else another took it while this one slept
            if inode.i_count or inode.i_state & ~I_REFERENCED or not mapping_shrinkable(inode.i_data):
                inode_lru_list_del(inode)
            elif inode.i_state & I_REFERENCED:
                inode.i_state &= ~I_REFERENCED
                del lru[inode]
                lru[inode] = None               # LRU_ROTATE
            elif inode.i_data.nrpages:
                inode.i_state |= I_LRU_ISOLATING
                reap = invalidate_mapping_pages(inode.i_data, 0, -1)
                inode.i_state &= ~I_LRU_ISOLATING
                inode_wake_up_bit(inode)
                if reap:
                    continue                    # LRU_RETRY
            else:
                inode.i_state |= I_FREEING
                inode_lru_list_del(inode)
                freeable.append(inode)
            break
    for inode in freeable:
        evict(inode)
    return len(freeable)


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


@dup(C)
def get_next_ino() -> int:
    """``unsigned int get_next_ino(void)``: never 0."""
    g.last_ino = (g.last_ino + 1) & 0xFFFF_FFFF or 1
    return int(g.last_ino)


@dup(C)
def new_inode(sb: SuperBlock) -> Inode:
    """``struct inode *new_inode(struct super_block *sb)``: unhashed, without I_NEW, on the superblock's list; None on failure."""
    inode = alloc_inode(sb)
    if inode is not None:
        inode_sb_list_add(inode)
        if this.watch is not None:
            this.watch.ref("inode", inode, 1)
    return inode


@dup(C)
def unlock_new_inode(inode: Inode) -> None:
    """``void unlock_new_inode(struct inode *inode)``: the new inode is complete; wakes who waits for it."""
    spin_lock(inode.i_lock)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~(I_NEW | I_CREATING)
    inode_wake_up_bit(inode)
    spin_unlock(inode.i_lock)


@dup(C)
def discard_new_inode(inode: Inode) -> None:
    """``void discard_new_inode(struct inode *inode)``: give up a new inode that others may be waiting for."""
    spin_lock(inode.i_lock)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~I_NEW
    inode_wake_up_bit(inode)
    spin_unlock(inode.i_lock)
    iput(inode)


def lock_two_nondirectories(a: Inode | None, b: Inode | None) -> None:
    first = [i for i in (a, b) if i is not None]
    for inode in sorted(first, key=lambda i: i.i_ino) if len(first) == 2 and a is not b else first[:1]:
        inode_lock(inode)


@dup(C)
def inode_insert5(inode: Inode, hashval: int, test: Test | None, set: Test | None, data: Any) -> Inode:
    """``struct inode *inode_insert5(inode, hashval, test, set, data)``: ``inode`` itself with I_NEW, or the one that was there
    first.

    Return: None if ``set`` refuses or the other one is being created.
    """
    isnew = Ref(False)
    while True:
        spin_lock(g.inode_hash_lock)
        old = find_inode(inode.i_sb, hashval, test, data, True, isnew)
        if old is None:
            break
        # somebody else created the same inode under us: use that one
        spin_unlock(g.inode_hash_lock)
        if IS_ERR(old):
            return NULL             # type: ignore[no-any-return]
        if isnew.v:
            wait_on_new_inode(old)
        if old.i_hash is None:
            iput(old)
            continue
        return old                                  # type: ignore[no-any-return]
    if set is not None and set(inode, data):
        spin_unlock(g.inode_hash_lock)
        return NULL             # type: ignore[no-any-return]
    spin_lock(inode.i_lock)
    inode.i_state |= I_NEW
    _hash_add(inode, hashval)
    spin_unlock(inode.i_lock)

    spin_unlock(g.inode_hash_lock)
    if inode not in inode.i_sb.s_inodes:
        inode_sb_list_add(inode)
    return inode


@dup(C)
def iget5_locked(sb: SuperBlock, hashval: int, test: Test, set: Test, data: Any) -> Inode:
    """``struct inode *iget5_locked(struct super_block *sb, u64 hashval, int (*test)(), int (*set)(), void *data)``

    A cached inode for which ``test(inode, data)`` is true, or a new one with I_NEW after ``set(inode, data)``, to be completed by
    unlock_new_inode() or given up by iget_failed(). Context: may sleep; ``test`` and ``set`` must not. Return: None if memory is
    short.
    """
    inode = ilookup5(sb, hashval, test, data)
    if inode is None:
        new = alloc_inode(sb)
        if new is not None:
            inode = inode_insert5(new, hashval, test, set, data)
            if inode is not new:
                destroy_inode(new)
            elif this.watch is not None:
                this.watch.ref("inode", new, 1)
    return inode


@dup(C)
def iget5_locked_rcu(sb: SuperBlock, hashval: int, test: Test, set: Test, data: Any) -> Inode:
    """``struct inode *iget5_locked_rcu(sb, hashval, test, set, data)``: as iget5_locked(); ``test`` runs without the hash's lock.
    """
    isnew = Ref(False)
    while True:
        inode = find_inode(sb, hashval, test, data, False, isnew)
        if inode is None:
            break
        if IS_ERR(inode):
            return NULL             # type: ignore[no-any-return]
        if isnew.v:
            wait_on_new_inode(inode)
        if inode.i_hash is None:
            iput(inode)
            continue
        return inode                                # type: ignore[no-any-return]
    new = alloc_inode(sb)
    if new is not None:
        inode = inode_insert5(new, hashval, test, set, data)
        if inode is not new:
            destroy_inode(new)
        elif this.watch is not None:
            this.watch.ref("inode", new, 1)
    return inode                                    # type: ignore[no-any-return]


@dup(C)
def iget_locked(sb: SuperBlock, ino: int) -> Inode | None:
    """``struct inode *iget_locked(struct super_block *sb, u64 ino)``: as iget5_locked(), where the inode number says which."""
    isnew = Ref(False)
    while True:
        inode = find_inode(sb, ino, None, None, False, isnew)
        if inode is not None:
            if IS_ERR(inode):
                return None
            if isnew.v:
                wait_on_new_inode(inode)
            if inode.i_hash is None:
                iput(inode)
                continue
            return inode                            # type: ignore[no-any-return]

        new = alloc_inode(sb)
        if new is None:
            return None
        spin_lock(g.inode_hash_lock)
        # we released the lock, so..
        old = find_inode(sb, ino, None, None, True, isnew)
        if old is None:
            new.i_ino = ino
            spin_lock(new.i_lock)
            new.i_state = I_NEW
            _hash_add(new, ino)
            spin_unlock(new.i_lock)
            spin_unlock(g.inode_hash_lock)
            inode_sb_list_add(new)
            if this.watch is not None:
                this.watch.ref("inode", new, 1)
            return new
        # somebody else created the same inode under us: use that one
        spin_unlock(g.inode_hash_lock)
        destroy_inode(new)
        if IS_ERR(old):
            return None
        if isnew.v:
            wait_on_new_inode(old)
        if old.i_hash is None:
            iput(old)
            continue
        return old                                  # type: ignore[no-any-return]


@dup(C)
def iunique(sb: SuperBlock, max_reserved: int) -> int:
    """``ino_t iunique(struct super_block *sb, ino_t max_reserved)``: an inode number that is not in use."""
    rcu_read_lock()
    spin_lock(g.iunique_lock)
    while True:
        if g.iunique_counter <= max_reserved:
            g.iunique_counter = u32(max_reserved + 1)
        res = int(g.iunique_counter)
        g.iunique_counter = u32(g.iunique_counter + 1)
        if not any(i.i_ino == res for i in sb.s_inode_hash.get(res, ())):       # test_inode_iunique()
            break
    spin_unlock(g.iunique_lock)
    rcu_read_unlock()

    return res


@dup(C)
def ihold(inode: Inode) -> None:
    """``void ihold(struct inode *inode)``: one more reference; the caller has one."""
    if inode.i_count < 1:
        raise _bad(inode, "ihold() of an inode without references")
    inode.i_count += 1
    WARN_ON(inode.i_count < 2)
    if this.watch is not None:
        this.watch.ref("inode", inode, 1)


@dup(C)
def igrab(inode: Inode) -> Inode:
    """``struct inode *igrab(struct inode *inode)``: a reference, or None if the inode is being freed."""
    if inode.i_count:                           # atomic_add_unless(&inode->i_count, 1, 0)
        __iget(inode)
        return inode

    spin_lock(inode.i_lock)
    if not inode.i_state & (I_FREEING | I_WILL_FREE):
        __iget(inode)
        spin_unlock(inode.i_lock)
        return inode
    spin_unlock(inode.i_lock)
    return NULL             # type: ignore[no-any-return]


def __wait_on_freeing_inode(inode: Inode, hash_locked: bool, rcu_locked: bool) -> None:
    if inode.i_hash is None:
        WARN_ON(hash_locked)
        spin_unlock(inode.i_lock)
        return
    spin_unlock(inode.i_lock)
    if rcu_locked:
        rcu_read_unlock()
    if hash_locked:
        spin_unlock(g.inode_hash_lock)
    _wait(inode, "eviction")
    if hash_locked:
        spin_lock(g.inode_hash_lock)
    if rcu_locked:
        rcu_read_lock()


def igrab_from_hash(inode: Inode) -> bool:
    if inode.i_state & (I_NEW | I_CREATING | I_FREEING | I_WILL_FREE):
        return False
    if inode.i_count:                           # atomic_add_unless(&inode->i_count, 1, 0)
        __iget(inode)
        return True
    return False


def find_inode(sb: SuperBlock, hashval: int, test: Test | None, data: Any, hash_locked: bool, isnew: Any) -> Any:
    """find_inode() and, without ``test``, find_inode_fast(): a referenced inode, None, or ERR_PTR(-ESTALE) for one that is being
    created.
    """
    rcu_read_lock()
    repeat = True
    while repeat:
        repeat = False
        for inode in sb.s_inode_hash.get(hashval, ()):
            if (inode.i_ino != hashval) if test is None else not test(inode, data):
                continue
            if igrab_from_hash(inode):
                rcu_read_unlock()
                isnew.v = False
                return inode
            spin_lock(inode.i_lock)
            if inode.i_state & (I_FREEING | I_WILL_FREE):
                __wait_on_freeing_inode(inode, hash_locked, True)
                repeat = True
                break
            if inode.i_state & I_CREATING:
                spin_unlock(inode.i_lock)
                rcu_read_unlock()
                return ERR_PTR(-ESTALE)
            __iget(inode)
            isnew.v = bool(inode.i_state & I_NEW)
            spin_unlock(inode.i_lock)
            rcu_read_unlock()
            return inode
    rcu_read_unlock()
    return None


@dup(C)
def ilookup5_nowait(sb: SuperBlock, hashval: int, test: Test, data: Any, isnew: Any) -> Inode:
    """``struct inode *ilookup5_nowait(sb, hashval, test, data, bool *isnew)``: does not wait for I_NEW. ``test`` must not sleep;
    ``isnew`` is a Ref.
    """
    spin_lock(g.inode_hash_lock)
    inode = find_inode(sb, hashval, test, data, True, isnew)
    spin_unlock(g.inode_hash_lock)

    return NULL if IS_ERR(inode) else inode             # type: ignore[no-any-return]


@dup(C)
def ilookup5(sb: SuperBlock, hashval: int, test: Test, data: Any) -> Inode:
    """``struct inode *ilookup5(sb, hashval, test, data)``: a cached inode, referenced and complete, or None."""
    isnew = Ref(False)
    while True:
        inode = ilookup5_nowait(sb, hashval, test, data, isnew)
        if inode is not None:
            if isnew.v:
                wait_on_new_inode(inode)
            if inode.i_hash is None:
                iput(inode)
                continue
        return inode


@dup(C)
def ilookup(sb: SuperBlock, ino: int) -> Inode | None:
    """``struct inode *ilookup(struct super_block *sb, u64 ino)``"""
    isnew = Ref(False)
    while True:
        inode = find_inode(sb, ino, None, None, False, isnew)
        if inode is not None:
            if IS_ERR(inode):
                return None
            if isnew.v:
                wait_on_new_inode(inode)
            if inode.i_hash is None:
                iput(inode)
                continue
        return inode                                # type: ignore[no-any-return]


@dup(C)
def insert_inode_locked(inode: Inode) -> int:
    """``int insert_inode_locked(struct inode *inode)``: hash a new inode with I_NEW.

    Return: 0, or -EBUSY if the number is taken.
    """
    sb = inode.i_sb
    ino = inode.i_ino

    while True:
        spin_lock(g.inode_hash_lock)
        while True:
            old: Any = next((i for i in sb.s_inode_hash.get(ino, ()) if i.i_ino == ino), None)
            if old is None:
                spin_lock(inode.i_lock)
                inode.i_state |= I_NEW | I_CREATING
                _hash_add(inode, ino)
                spin_unlock(inode.i_lock)
                spin_unlock(g.inode_hash_lock)
                return 0
            spin_lock(old.i_lock)
            if not old.i_state & (I_FREEING | I_WILL_FREE):
                break
            __wait_on_freeing_inode(old, True, False)
        if old.i_state & I_CREATING:
            spin_unlock(old.i_lock)
            spin_unlock(g.inode_hash_lock)
            return -EBUSY
        __iget(old)
        isnew = bool(old.i_state & I_NEW)
        spin_unlock(old.i_lock)
        spin_unlock(g.inode_hash_lock)
        if isnew:
            wait_on_new_inode(old)
        if old.i_hash is not None:
            iput(old)
            return -EBUSY
        iput(old)


@dup(C)
def inode_just_drop(inode: Inode) -> int:
    """``int inode_just_drop(struct inode *inode)``: for ->drop_inode: never keep it."""
    return 1


def iput_final(inode: Inode) -> None:
    sb = inode.i_sb
    op = sb.s_op

    WARN_ON(inode.i_state & I_NEW)
    if op.drop_inode is not None:
        drop = op.drop_inode(inode)
    else:
        drop = inode_generic_drop(inode)
    if not drop and not inode.i_state & I_DONTCACHE and sb.s_flags & SB_ACTIVE:
        __inode_lru_list_add(inode, True)
        spin_unlock(inode.i_lock)
        return
    if inode.i_count:
        raise _bad(inode, "->drop_inode took a reference")
    if drop:
        inode.i_state |= I_FREEING
    else:
        inode.i_state |= I_WILL_FREE
        spin_unlock(inode.i_lock)

        write_inode_now(inode, 1)

        spin_lock(inode.i_lock)
        WARN_ON(inode.i_state & I_NEW)
        inode.i_state = inode.i_state & ~I_WILL_FREE | I_FREEING
    inode_lru_list_del(inode)
    spin_unlock(inode.i_lock)

    evict(inode)


@dup(C)
def iput(inode: Inode | None) -> None:
    """``void iput(struct inode *inode)``: drop a reference. The last one keeps the inode cached, or evicts it.

    Context: may sleep. NULL is fine.
    """
    if inode is None:
        return
    if inode.i_state & (I_FREEING | I_CLEAR) or inode.i_count < 1:
        raise _bad(inode,
                   "iput() of an inode that is being freed" if inode.i_count >= 1 else "iput() of an inode without references")
    if inode.i_count != 1:                      # atomic_add_unless(&inode->i_count, -1, 1)
        _put(inode)
        return

    spin_lock(inode.i_lock)
    _put(inode)
    if inode.i_count:
        spin_unlock(inode.i_lock)
        return
    iput_final(inode)                           # drops i_lock


@dup(C)
def bmap(inode: Inode, block: Any) -> int:
    """``int bmap(struct inode *inode, sector_t *block)``: ``block`` is a Ref. Return: 0, or -EINVAL without ->bmap."""
    if inode.i_mapping.a_ops.bmap is None:
        return -EINVAL
    block.v = inode.i_mapping.a_ops.bmap(inode.i_mapping, block.v)
    return 0


@dup(C)
def atime_needs_update(path: Path, inode: Inode) -> bool:
    """``bool atime_needs_update(const struct path *path, struct inode *inode)``: also with relatime's rules."""
    if inode.i_flags & S_NOATIME or HAS_UNMAPPED_ID(None, inode):
        return False
    sb_flags = inode.i_sb.s_flags
    if sb_flags & (SB_RDONLY | SB_NOATIME):
        return False
    if sb_flags & SB_NODIRATIME and S_ISDIR(inode.i_mode):
        return False
    mnt_flags = path.mnt.mnt_flags
    if mnt_flags & 0x08:                        # MNT_NOATIME
        return False
    if mnt_flags & 0x10 and S_ISDIR(inode.i_mode):      # MNT_NODIRATIME
        return False
    now = current_time(inode)
    atime = inode_get_atime(inode)
    if mnt_flags & 0x20:                        # MNT_RELATIME: relatime_need_update()
        if inode_get_mtime(inode) < atime and inode_get_ctime(inode) < atime and now.tv_sec - atime.tv_sec < 24 * 60 * 60:
            return False
    return atime != now


@dup(C)
def touch_atime(path: Path) -> None:
    """``void touch_atime(const struct path *path)``: the inode has been read."""
    from kemu.linux.fs.namespace import mnt_get_write_access  # noqa: PLC0415  (circle: fs/namespace.c needs this)

    inode = path.dentry.d_inode
    if not atime_needs_update(path, inode):
        return
    if not sb_start_write_trylock(inode.i_sb):
        return
    if mnt_get_write_access(path.mnt) == 0:
        from kemu.linux.fs.namespace import mnt_put_write_access  # noqa: PLC0415  (circle: fs/namespace.c needs this)

        if inode.i_op.update_time is not None:
            inode.i_op.update_time(inode, FS_UPD_ATIME, 0)
        else:
            inode_set_atime_to_ts(inode, current_time(inode))
            __mark_inode_dirty(inode, I_DIRTY_SYNC)
        mnt_put_write_access(path.mnt)
    sb_end_write(inode.i_sb)


@dup(C)
def dentry_needs_remove_privs(idmap: Any, dentry: Dentry) -> int:
    """``int dentry_needs_remove_privs(struct mnt_idmap *idmap, struct dentry *dentry)``

    Return: the ATTR_KILL_* that a write or a truncation comes to, 0, or an error: it is denied.
    """
    from kemu.linux.fs.attr import setattr_should_drop_suidgid  # noqa: PLC0415  (circle: fs/attr.c needs this)

    inode = dentry.d_inode
    mask = 0

    if IS_NOSEC(inode):
        return 0

    mask = setattr_should_drop_suidgid(idmap, inode)
    ret = security_inode_need_killpriv(dentry)
    if ret < 0:
        return ret
    if ret:
        mask |= ATTR_KILL_PRIV
    return mask


@dup(C)
def __remove_privs(idmap: Any, dentry: Dentry, kill: int) -> int:
    """``static int __remove_privs(struct mnt_idmap *idmap, struct dentry *dentry, int kill)``"""
    from kemu.linux.fs.attr import notify_change  # noqa: PLC0415  (circle: fs/attr.c needs this)

    newattrs = iattr()

    newattrs.ia_valid = ATTR_FORCE | kill
    # Note we call this on write, so notify_change will not encounter any conflicting delegations
    return notify_change(idmap, dentry, newattrs, None)


@dup(C)
def file_remove_privs_flags(file: File, flags: int) -> int:
    """``static int file_remove_privs_flags(struct file *file, unsigned int flags)``"""
    dentry = file_dentry(file)
    inode = file_inode(file)
    error = 0

    if IS_NOSEC(inode) or not S_ISREG(inode.i_mode):
        return 0

    kill = dentry_needs_remove_privs(file_mnt_idmap(file), dentry)
    if kill < 0:
        return kill

    if kill:
        if flags & IOCB_NOWAIT:
            return -EAGAIN

        error = __remove_privs(file_mnt_idmap(file), dentry, kill)

    if not error:
        inode_has_no_xattr(inode)
    return error


@dup(C)
def file_remove_privs(file: File) -> int:
    """``int file_remove_privs(struct file *file)``: a write takes the set-id bits and capabilities of a file away. Context: the
    inode is locked for writing.

    Return: 0, or what notify_change() says.
    """
    return file_remove_privs_flags(file, 0)


@dup(C)
def current_time(inode: Inode) -> timespec64:
    """``struct timespec64 current_time(struct inode *inode)``: the coarse time, truncated for the file system."""
    clock = this.machine.clock
    now: timespec64 = (_coarse[2] if _coarse[0] == clock.now_ns // 10_000_000 and _coarse[1] == clock.boot_epoch
                       else ktime_get_coarse_real_ts64())
    sb = inode.i_sb
    if sb.s_time_gran == 1 and sb.s_time_min < now[0] < sb.s_time_max:
        return now
    return timestamp_truncate(now, inode)


@custom(C, "file_update_time",
        "the times are always set: one task's clock does not say that nothing has changed; file systems have no ->update_time "
        "for it")
def file_update_time(file: File) -> int:
    """``int file_update_time(struct file *file)``: mtime and ctime are now. Return: 0."""
    from kemu.linux.fs.namespace import mnt_get_write_access_file, mnt_put_write_access_file  # noqa: PLC0415  (circle: fs/namespace.c needs this)

    inode = file.f_inode
    if mnt_get_write_access_file(file):
        return 0
    inode.i_mtime_sec, inode.i_mtime_nsec = inode.i_ctime_sec, inode.i_ctime_nsec = current_time(inode)
    if inode.i_sb.s_op.dirty_inode is not None:
        __mark_inode_dirty(inode, I_DIRTY_SYNC)
    mnt_put_write_access_file(file)
    return 0


@dup(C)
def init_special_inode(inode: Inode, mode: int, rdev: int) -> None:
    """``void init_special_inode(struct inode *inode, umode_t mode, dev_t rdev)``: open() of it goes to the device."""
    from kemu.linux.block.fops import def_blk_fops  # noqa: PLC0415  (circle: block/fops.c needs this)

    inode.i_mode = mode
    kind = mode & S_IFMT
    if kind == S_IFCHR:
        inode.i_fop = def_chr_fops
        inode.i_rdev = rdev
    elif kind == S_IFBLK:
        inode.i_fop = def_blk_fops
        inode.i_rdev = rdev
    elif kind == S_IFIFO:
        inode.i_fop = pipefifo_fops


@dup(C)
def inode_init_owner(idmap: Any, inode: Inode, dir: Inode | None, mode: int) -> None:
    """``void inode_init_owner(idmap, inode, dir, mode)``: uid, gid and mode of a new inode, POSIX rules."""
    cred = current_cred()
    inode.i_uid = cred.fsuid
    if dir is not None and dir.i_mode & S_ISGID:
        inode.i_gid = dir.i_gid
        if S_ISDIR(mode):
            mode |= S_ISGID
    else:
        inode.i_gid = cred.fsgid
    inode.i_mode = mode


@dup(C)
def inode_owner_or_capable(idmap: Any, inode: Inode) -> bool:
    """``bool inode_owner_or_capable(struct mnt_idmap *idmap, const struct inode *inode)``"""
    return inode.i_uid == current_fsuid() or (inode.i_uid != 0xFFFF_FFFF and capable(CAP_FOWNER))


@dup(C)
def inode_set_flags(inode: Inode, flags: int, mask: int) -> None:
    """``void inode_set_flags(struct inode *inode, unsigned int flags, unsigned int mask)``"""
    WARN_ON_ONCE(flags & ~mask)
    inode.i_flags = inode.i_flags & ~mask | flags


@dup(C)
def inode_nohighmem(inode: Inode) -> None:
    """``void inode_nohighmem(struct inode *inode)``: cached pages have a kernel address."""
    inode.i_mapping.gfp_mask = GFP_USER


@dup(C)
def inode_set_ctime_to_ts(inode: Inode, ts: timespec64) -> timespec64:
    """``struct timespec64 inode_set_ctime_to_ts(struct inode *inode, struct timespec64 ts)``: normalised and stored.

    Return: the normalised time.
    """
    sec, nsec = ts
    if not 0 <= nsec < NSEC_PER_SEC:
        ts = timespec64(sec + nsec // NSEC_PER_SEC, nsec % NSEC_PER_SEC)
    inode.i_ctime_sec, inode.i_ctime_nsec = ts
    return ts


@dup(C)
def timestamp_truncate(t: timespec64, inode: Inode) -> timespec64:
    """``struct timespec64 timestamp_truncate(struct timespec64 t, struct inode *inode)``: to what the file system can store."""
    sb = inode.i_sb
    gran = sb.s_time_gran
    sec, nsec = t
    if gran == 1 and sb.s_time_min < sec < sb.s_time_max:
        return t
    sec = min(max(sec, sb.s_time_min), sb.s_time_max)
    if sec == sb.s_time_max or sec == sb.s_time_min:
        nsec = 0
    if gran == NSEC_PER_SEC:
        nsec = 0
    elif 1 < gran < NSEC_PER_SEC:
        nsec -= nsec % gran
    elif gran != 1:
        WARN(1, "invalid file time granularity: %u", gran)
    return timespec64(sec, nsec)


@custom(C, "inode_set_ctime_current", "timestamps are coarse also on multigrain file systems")
def inode_set_ctime_current(inode: Inode) -> timespec64:
    """``struct timespec64 inode_set_ctime_current(struct inode *inode)``"""
    inode.i_ctime_sec, inode.i_ctime_nsec = now = current_time(inode)
    return now


@dup(C)
def in_group_or_capable(idmap: Any, inode: Inode, gid: int) -> bool:
    """``bool in_group_or_capable(struct mnt_idmap *idmap, const struct inode *inode, vfsgid_t vfsgid)``"""
    if in_group_p(gid):
        return True
    if capable_wrt_inode_uidgid(idmap, inode, CAP_FSETID):
        return True
    return False


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
