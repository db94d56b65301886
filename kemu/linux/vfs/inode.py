# SPDX-License-Identifier: GPL-2.0-only
"""Life of an inode: allocation, hash, references, eviction (fs/inode.c). Ports import it from kemu.linux.fs."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EBUSY, EINVAL, ESTALE
from kemu.linux.honesty import custom, dup, names, stub
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.mapping import AddressSpace
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.stat import S_ISCHR
from kemu.linux.super_types import SB_ACTIVE, SuperBlock
from kemu.linux.types import NULL, Ref, u32
from kemu.linux.vfs.constants import (
    I_CLEAR,
    I_CREATING,
    I_DIRTY_ALL,
    I_DONTCACHE,
    I_FREEING,
    I_LRU_ISOLATING,
    I_NEW,
    I_REFERENCED,
    I_SYNC,
    I_WILL_FREE,
    IOP_XATTR,
)
from kemu.linux.vfs.inode_alloc import (  # noqa: F401
    FAKE_HASH,
    Test,
    __destroy_inode,
    __insert_inode_hash,
    _bad,
    _hash_add,
    _wait,
    alloc_inode,
    alloc_inode_sb,
    destroy_inode,
    free_inode_nonrcu,
    g,
    get_next_ino,
    i_callback,
    inode_cachep,
    inode_fake_hash,
    inode_init_always,
    inode_init_always_gfp,
    inode_init_once,
    inode_sb_list_add,
    inode_sb_list_del,
    inode_unhashed,
    inode_wake_up_bit,
    insert_inode_hash,
    new_inode,
    no_open,
    no_open_fops,
    remove_inode_hash,
)
from kemu.linux.vfs.types import Inode
from kemu.machine.current import this


@dup("fs/inode.c")
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


@dup("fs/inode.c")
def unlock_new_inode(inode: Inode) -> None:
    """``void unlock_new_inode(struct inode *inode)``: the new inode is complete; wakes who waits for it."""
    spin_lock(inode.i_lock)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~(I_NEW | I_CREATING)
    inode_wake_up_bit(inode)
    spin_unlock(inode.i_lock)


@dup("fs/inode.c")
def discard_new_inode(inode: Inode) -> None:
    """``void discard_new_inode(struct inode *inode)``: give up a new inode that others may be waiting for."""
    spin_lock(inode.i_lock)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~I_NEW
    inode_wake_up_bit(inode)
    spin_unlock(inode.i_lock)
    iput(inode)


@dup("fs/bad_inode.c")
def iget_failed(inode: Inode) -> None:
    """``void iget_failed(struct inode *inode)``: mark a new inode dead, so that no one finds it, and drop it."""
    make_bad_inode(inode)
    unlock_new_inode(inode)
    iput(inode)


@dup("fs/bad_inode.c")
def make_bad_inode(inode: Inode) -> None:
    """``void make_bad_inode(struct inode *inode)``: unhash it; every operation on it will give -EIO."""
    from kemu.linux.vfs.bad_inode import bad_file_ops, bad_inode_ops

    remove_inode_hash(inode)
    inode.i_mode = 0o100000
    inode.i_op = bad_inode_ops
    inode.i_opflags &= ~IOP_XATTR
    inode.i_fop = bad_file_ops


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


def __iget(inode: Inode) -> None:
    inode.i_count += 1
    if this.watch is not None:
        this.watch.ref("inode", inode, 1)


def igrab_from_hash(inode: Inode) -> bool:
    if inode.i_state & (I_NEW | I_CREATING | I_FREEING | I_WILL_FREE):
        return False
    if inode.i_count:                           # atomic_add_unless(&inode->i_count, 1, 0)
        __iget(inode)
        return True
    return False


def find_inode(sb: SuperBlock, hashval: int, test: Test | None, data: Any, hash_locked: bool, isnew: Any) -> Any:
    """find_inode() and, without ``test``, find_inode_fast(): a referenced inode, None, or ERR_PTR(-ESTALE) for one that is being created."""
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


@dup("fs/inode.c")
def ilookup5_nowait(sb: SuperBlock, hashval: int, test: Test, data: Any, isnew: Any) -> Inode:
    """``struct inode *ilookup5_nowait(sb, hashval, test, data, bool *isnew)``: does not wait for I_NEW. ``test`` must not sleep; ``isnew`` is a Ref."""
    spin_lock(g.inode_hash_lock)
    inode = find_inode(sb, hashval, test, data, True, isnew)
    spin_unlock(g.inode_hash_lock)

    return NULL if IS_ERR(inode) else inode             # type: ignore[no-any-return]


@dup("fs/inode.c")
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


@dup("fs/inode.c")
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


@dup("fs/inode.c")
def inode_insert5(inode: Inode, hashval: int, test: Test | None, set: Test | None, data: Any) -> Inode:
    """``struct inode *inode_insert5(inode, hashval, test, set, data)``: ``inode`` itself with I_NEW, or the one that was there first.

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


@dup("fs/inode.c")
def iget5_locked(sb: SuperBlock, hashval: int, test: Test, set: Test, data: Any) -> Inode:
    """``struct inode *iget5_locked(struct super_block *sb, u64 hashval, int (*test)(), int (*set)(), void *data)``

    A cached inode for which ``test(inode, data)`` is true, or a new one with I_NEW after ``set(inode, data)``, to be completed by
    unlock_new_inode() or given up by iget_failed(). Context: may sleep; ``test`` and ``set`` must not. Return: None if memory is short.
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


@dup("fs/inode.c")
def iget5_locked_rcu(sb: SuperBlock, hashval: int, test: Test, set: Test, data: Any) -> Inode:
    """``struct inode *iget5_locked_rcu(sb, hashval, test, set, data)``: as iget5_locked(); ``test`` runs without the hash's lock."""
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


@dup("fs/inode.c")
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


@dup("fs/inode.c")
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


@dup("fs/inode.c")
def insert_inode_locked(inode: Inode) -> int:
    """``int insert_inode_locked(struct inode *inode)``: hash a new inode with I_NEW. Return: 0, or -EBUSY if the number is taken."""
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


# ------------------------------------------------------------------------- references

@dup("include/linux/fs.h")
def icount_read(inode: Inode) -> int:
    """``int icount_read(const struct inode *inode)``"""
    return inode.i_count


icount_read_once = icount_read
names("dup", "include/linux/fs.h", "icount_read_once")


@dup("include/linux/fs.h")
def inode_state_read_once(inode: Inode) -> int:
    """``enum inode_state_flags_enum inode_state_read_once(struct inode *inode)``: I_* bits."""
    return inode.i_state


inode_state_read = inode_state_read_once
names("dup", "include/linux/fs.h", "inode_state_read")


@dup("include/linux/fs.h")
def inode_state_set(inode: Inode, flags: int) -> None:
    """``void inode_state_set(struct inode *inode, enum inode_state_flags_enum flags)``"""
    inode.i_state |= flags


@dup("include/linux/fs.h")
def inode_state_clear(inode: Inode, flags: int) -> None:
    """``void inode_state_clear(struct inode *inode, enum inode_state_flags_enum flags)``"""
    inode.i_state &= ~flags


@dup("fs/inode.c")
def ihold(inode: Inode) -> None:
    """``void ihold(struct inode *inode)``: one more reference; the caller has one."""
    if inode.i_count < 1:
        raise _bad(inode, "ihold() of an inode without references")
    inode.i_count += 1
    WARN_ON(inode.i_count < 2)
    if this.watch is not None:
        this.watch.ref("inode", inode, 1)


@dup("fs/inode.c")
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


@dup("fs/inode.c")
def inode_just_drop(inode: Inode) -> int:
    """``int inode_just_drop(struct inode *inode)``: for ->drop_inode: never keep it."""
    return 1


generic_delete_inode = inode_just_drop
names("dup", "include/linux/fs.h", "generic_delete_inode")


@dup("include/linux/fs.h")
def inode_generic_drop(inode: Inode) -> bool:
    """``int inode_generic_drop(struct inode *inode)``: drop what is unlinked or unhashed."""
    return not inode.i_nlink or inode.i_hash is None


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


@dup("fs/inode.c")
def iput(inode: Inode | None) -> None:
    """``void iput(struct inode *inode)``: drop a reference. The last one keeps the inode cached, or evicts it.

    Context: may sleep. NULL is fine.
    """
    if inode is None:
        return
    if inode.i_state & (I_FREEING | I_CLEAR) or inode.i_count < 1:
        raise _bad(inode, "iput() of an inode that is being freed" if inode.i_count >= 1 else "iput() of an inode without references")
    if inode.i_count != 1:                      # atomic_add_unless(&inode->i_count, -1, 1)
        _put(inode)
        return

    spin_lock(inode.i_lock)
    _put(inode)
    if inode.i_count:
        spin_unlock(inode.i_lock)
        return
    iput_final(inode)                           # drops i_lock


def _put(inode: Inode) -> None:
    inode.i_count -= 1
    if this.watch is not None:
        this.watch.ref("inode", inode, -1)


@stub("fs/fs-writeback.c", "write_inode_now", "there is no writeback")
def write_inode_now(inode: Inode, sync: int) -> int:
    """``int write_inode_now(struct inode *inode, int sync)``"""
    return 0


# ------------------------------------------------------------------------- eviction

def mapping_shrinkable(mapping: AddressSpace) -> bool:
    """May memory pressure take the inode? With highmem its page cache goes first; else it is not on the LRU as long as it has pages."""
    return not mapping.nrpages or IS_ENABLED("CONFIG_HIGHMEM")


@dup("fs/inode.c")
def inode_lru_list_add(inode: Inode) -> None:
    """``void inode_lru_list_add(struct inode *inode)``: if it is unused, memory pressure may take it from now on."""
    if not inode.i_count:
        __inode_lru_list_add(inode, False)


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


@dup("fs/inode.c")
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
        from kemu.linux.truncate import truncate_inode_pages_final

        truncate_inode_pages_final(inode.i_data)
        clear_inode(inode)
    if S_ISCHR(inode.i_mode) and inode.i_cdev is not None:
        inode.i_cdev = None                 # cd_forget()
    remove_inode_hash(inode)
    inode_wake_up_bit(inode)
    BUG_ON(inode.i_state != I_FREEING | I_CLEAR)
    destroy_inode(inode)


@dup("fs/inode.c")
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


@custom("fs/inode.c", "prune_icache_sb", "takes the number of inodes to scan")
def prune_icache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """``long prune_icache_sb(struct super_block *sb, struct shrink_control *sc)``: evict unused inodes, oldest first; returns how many."""
    from kemu.linux.truncate import invalidate_mapping_pages

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


@dup("fs/inode.c")
def bmap(inode: Inode, block: Any) -> int:
    """``int bmap(struct inode *inode, sector_t *block)``: ``block`` is a Ref. Return: 0, or -EINVAL without ->bmap."""
    if inode.i_mapping.a_ops.bmap is None:
        return -EINVAL
    block.v = inode.i_mapping.a_ops.bmap(inode.i_mapping, block.v)
    return 0


__all__ = ["__destroy_inode", "__insert_inode_hash", "alloc_inode", "alloc_inode_sb", "bmap", "clear_inode", "discard_new_inode",
           "evict_inodes", "free_inode_nonrcu", "generic_delete_inode", "get_next_ino", "icount_read", "icount_read_once", "iget5_locked",
           "iget5_locked_rcu", "iget_failed", "iget_locked", "igrab", "ihold", "ilookup", "ilookup5", "ilookup5_nowait", "inode_fake_hash",
           "inode_generic_drop", "inode_init_always", "inode_init_always_gfp", "inode_init_once", "inode_insert5", "inode_just_drop", "inode_lru_list_add",
           "inode_sb_list_add", "inode_state_clear", "inode_state_read", "inode_state_read_once", "inode_state_set", "inode_unhashed",
           "insert_inode_hash", "insert_inode_locked", "iput", "iunique", "make_bad_inode", "new_inode", "prune_icache_sb",
           "remove_inode_hash", "unlock_new_inode", "wait_on_new_inode", "write_inode_now"]
