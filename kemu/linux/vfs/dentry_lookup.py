# SPDX-License-Identifier: GPL-2.0-only
"""Names in the dcache: lookup, adding, moving (fs/dcache.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR
from kemu.linux.errno import EBUSY, ELOOP, ENOENT, ENOMEM, ESTALE
from kemu.linux.honesty import custom, dup
from kemu.linux.mutex import mutex_trylock, mutex_unlock
from kemu.linux.printk import pr_warn
from kemu.linux.stat import S_ISDIR
from kemu.linux.super_types import SuperBlock
from kemu.linux.vfs import inode as _inode
from kemu.linux.vfs.basic import Qstr
from kemu.linux.vfs.dentry import (
    DCACHE_CANT_MOUNT,
    DCACHE_DISCONNECTED,
    DCACHE_MOUNTED,
    DCACHE_OP_COMPARE,
    DCACHE_OP_DELETE,
    DCACHE_OP_HASH,
    DCACHE_OP_PRUNE,
    DCACHE_OP_REAL,
    DCACHE_OP_REVALIDATE,
    DCACHE_OP_WEAK_REVALIDATE,
    DCACHE_PAR_LOOKUP,
    DCACHE_PERSISTENT,
    HOW,
    Dentry,
    __d_drop,
    cant_mount,
    d_mountpoint,
    d_unlinked,
    dentry_unlink_inode,
    dget,
    dput,
    finish_dput,
    g,
)
from kemu.linux.vfs.dentry_alloc import __d_alloc, _set_inode, _set_parent
from kemu.linux.vfs.types import Inode
from kemu.machine.current import NULL, this
from kemu.machine.sched import WaitQueue


@custom("fs/dcache.c", "d_lookup", HOW)
def d_lookup(parent: Dentry, name: Qstr) -> Dentry | None:
    """``struct dentry *d_lookup(const struct dentry *parent, const struct qstr *name)``: a referenced child, None if it is not cached."""
    table = parent.d_subdirs
    if table is None:
        return None
    dentry = table.get(name.name)
    if dentry is None or dentry.d_lockref < 0:
        return None
    dentry.d_lockref += 1
    if this.watch is not None:
        this.watch.ref("dentry", dentry, 1)
    return dentry


def _hash_add(entry: Dentry) -> None:
    parent = entry.d_parent
    if parent.d_subdirs is None:
        parent.d_subdirs = {}
    parent.d_subdirs[entry.d_name.name] = entry
    entry.d_hashed = True


@custom("fs/dcache.c", "d_rehash", HOW)
def d_rehash(entry: Dentry) -> None:
    """``void d_rehash(struct dentry *entry)``"""
    _hash_add(entry)


@custom("fs/dcache.c", "d_alloc_parallel", HOW)
def d_alloc_parallel(parent: Dentry, name: Qstr) -> Any:
    """``struct dentry *d_alloc_parallel(struct dentry *parent, const struct qstr *name)``

    A new dentry in lookup (DCACHE_PAR_LOOKUP), or the one that is cached or that another task has looked up meanwhile. Context: may sleep.
    Return: ERR_PTR(-ENOMEM) on failure.
    """
    new = __d_alloc(parent.d_sb, Qstr(name.name))
    if new is None:
        return ERR_PTR(-ENOMEM)
    new.d_flags |= DCACHE_PAR_LOOKUP | parent.d_flags & DCACHE_DISCONNECTED
    _set_parent(new, parent)
    key = (parent, name.name)
    while True:
        dentry = d_lookup(parent, name)
        if dentry is not None:
            dput(new)
            return dentry
        other = g.in_lookup.get(key)
        if other is None:
            g.in_lookup[key] = new
            return new
        dget(other)
        while other.d_flags & DCACHE_PAR_LOOKUP:
            if other.waiters is None:
                other.waiters = WaitQueue(f"lookup of {other.d_name.name!r}")
            this.sched.block(other.waiters)
        if other.d_hashed and other.d_parent is parent:
            dput(new)
            return other
        dput(other)


@dup("include/linux/dcache.h")
def d_lookup_done(dentry: Dentry) -> None:
    """``void d_lookup_done(struct dentry *dentry)``: ->lookup has returned; wakes who waits for the same name."""
    if dentry.d_flags & DCACHE_PAR_LOOKUP:
        dentry.d_flags &= ~DCACHE_PAR_LOOKUP
        del g.in_lookup[dentry.d_parent, dentry.d_name.name]
        if dentry.waiters is not None:
            dentry.waiters.wake()


@custom("fs/dcache.c", "d_add", HOW)
def d_add(entry: Dentry, inode: Inode | None) -> None:
    """``void d_add(struct dentry *entry, struct inode *inode)``: hash it, positive if there is an inode (whose reference it takes)."""
    if entry.d_flags & DCACHE_PAR_LOOKUP:
        d_lookup_done(entry)
    if inode is not None:
        _set_inode(entry, inode)
    _hash_add(entry)


@custom("fs/dcache.c", "d_make_persistent", HOW)
def d_make_persistent(dentry: Dentry, inode: Inode) -> Dentry:
    """``struct dentry *d_make_persistent(struct dentry *dentry, struct inode *inode)``: positive, and pinned until umount."""
    if dentry.d_inode is not None:
        WARN_ON(True)
    _set_inode(dentry, inode)
    dentry.d_flags |= DCACHE_PERSISTENT
    dget(dentry)
    if not dentry.d_hashed:
        _hash_add(dentry)
    return dentry


@custom("fs/dcache.c", "d_make_discardable", HOW)
def d_make_discardable(dentry: Dentry) -> None:
    """``void d_make_discardable(struct dentry *dentry)``: undo d_make_persistent()."""
    WARN_ON(not dentry.d_flags & DCACHE_PERSISTENT)
    dentry.d_flags &= ~DCACHE_PERSISTENT
    dentry.d_lockref -= 1
    if this.watch is not None:
        this.watch.ref("dentry", dentry, -1)
    finish_dput(dentry)


@custom("fs/dcache.c", "d_delete", HOW)
def d_delete(dentry: Dentry) -> None:
    """``void d_delete(struct dentry *dentry)``: make it negative if no one else uses it, else unhash it."""
    if dentry.d_lockref == 1:
        dentry.d_flags &= ~DCACHE_CANT_MOUNT
        dentry_unlink_inode(dentry)
    else:
        __d_drop(dentry)


@dup("fs/dcache.c")
def d_ancestor(p1: Dentry, p2: Dentry) -> Dentry | None:
    """``struct dentry *d_ancestor(struct dentry *p1, struct dentry *p2)``: the ancestor of p2 that is a child of p1, or None."""
    p = p2
    while p is not p.d_parent:
        if p.d_parent is p1:
            return p
        p = p.d_parent
    return None


@custom("fs/dcache.c", "is_subdir", HOW)
def is_subdir(new_dentry: Dentry, old_dentry: Dentry) -> bool:
    """``bool is_subdir(struct dentry *new_dentry, struct dentry *old_dentry)``: old is new or above it."""
    return new_dentry is old_dentry or d_ancestor(old_dentry, new_dentry) is not None


def __d_move(dentry: Dentry, target: Dentry) -> None:
    """Put ``dentry`` where ``target`` is; ``target`` keeps its parent and name, unhashed."""
    WARN_ON(dentry.d_inode is None)
    if WARN_ON(dentry is target):
        return
    BUG_ON(d_ancestor(target, dentry) is not None)
    old_parent = dentry.d_parent
    if target.d_flags & DCACHE_PAR_LOOKUP:
        d_lookup_done(target)
    __d_drop(dentry)
    __d_drop(target)
    if old_parent is not dentry:
        assert old_parent.d_children is not None
        del old_parent.d_children[dentry]
        old_parent.d_lockref -= 1
        if this.watch is not None:
            this.watch.ref("dentry", old_parent, -1)
    dentry.d_name = target.d_name
    _set_parent(dentry, target.d_parent)
    _hash_add(dentry)


@custom("fs/dcache.c", "d_move", HOW)
def d_move(dentry: Dentry, target: Dentry) -> None:
    """``void d_move(struct dentry *dentry, struct dentry *target)``: rename in the dcache."""
    __d_move(dentry, target)


@custom("fs/dcache.c", "d_exchange", HOW)
def d_exchange(dentry1: Dentry, dentry2: Dentry) -> None:
    """``void d_exchange(struct dentry *dentry1, struct dentry *dentry2)``"""
    p1, p2 = dentry1.d_parent, dentry2.d_parent
    __d_drop(dentry1)
    __d_drop(dentry2)
    assert p1.d_children is not None and p2.d_children is not None
    del p1.d_children[dentry1]
    del p2.d_children[dentry2]
    p1.d_children[dentry2] = None
    p2.d_children[dentry1] = None
    dentry1.d_parent, dentry2.d_parent = p2, p1
    dentry1.d_name, dentry2.d_name = dentry2.d_name, dentry1.d_name
    _hash_add(dentry1)
    _hash_add(dentry2)


def __d_unalias(dentry: Dentry, alias: Dentry) -> int:
    from kemu.linux.vfs.locking import inode_trylock_shared, inode_unlock_shared

    m1: Any = None
    m2: Any = None
    if alias.d_parent is not dentry.d_parent:
        if not mutex_trylock(dentry.d_sb.s_vfs_rename_mutex):
            return -ESTALE
        m1 = dentry.d_sb.s_vfs_rename_mutex
        if not inode_trylock_shared(alias.d_parent.d_inode):
            mutex_unlock(m1)
            return -ESTALE
        m2 = alias.d_parent.d_inode
    __d_move(alias, dentry)
    if m2 is not None:
        inode_unlock_shared(m2)
    if m1 is not None:
        mutex_unlock(m1)
    return 0


@custom("fs/dcache.c", "d_splice_alias", HOW)
def d_splice_alias(inode: Any, dentry: Dentry) -> Dentry:
    """``struct dentry *d_splice_alias(struct inode *inode, struct dentry *dentry)``: what ->lookup returns.

    Takes the inode reference. NULL makes ``dentry`` a cached negative one; a directory that has a dentry already is moved here.
    Return: None if ``dentry`` was used, else the dentry to use instead; ``inode`` if that is an error; ERR_PTR(-ELOOP) if the directory
    would become its own ancestor, ERR_PTR(-ESTALE) if it cannot be moved now.
    """
    if type(inode) is int and IS_ERR(inode):
        return ERR_CAST(inode)
    BUG_ON(dentry.d_hashed)
    if inode is not None and inode.i_dentry and S_ISDIR(inode.i_mode):
        new: Any = dget(inode.i_dentry[0])
        if d_ancestor(new, dentry) is not None:
            dput(new)
            new = ERR_PTR(-ELOOP)
            pr_warn("VFS: Lookup of '%s' in %s %s would have caused loop\n", dentry.d_name.name, inode.i_sb.s_type.name, inode.i_sb.s_id)
        elif new is not new.d_parent:
            old_parent = dget(new.d_parent)
            err = __d_unalias(dentry, new)
            if err:
                dput(new)
                new = ERR_PTR(err)
            dput(old_parent)
        else:
            inode.i_sb.s_roots.pop(new, None)
            __d_move(new, dentry)
        _inode.iput(inode)
        return new             # type: ignore[no-any-return]
    d_add(dentry, inode)
    return NULL             # type: ignore[no-any-return]


@dup("fs/dcache.c")
def set_default_d_op(s: SuperBlock, ops: Any) -> None:
    """``void set_default_d_op(struct super_block *s, const struct dentry_operations *ops)``"""
    s.s_d_op = ops
    flags = 0
    for member, flag in (("d_hash", DCACHE_OP_HASH), ("d_compare", DCACHE_OP_COMPARE), ("d_revalidate", DCACHE_OP_REVALIDATE),
                         ("d_weak_revalidate", DCACHE_OP_WEAK_REVALIDATE), ("d_delete", DCACHE_OP_DELETE), ("d_prune", DCACHE_OP_PRUNE),
                         ("d_real", DCACHE_OP_REAL)):
        if ops is not None and getattr(ops, member) is not None:
            flags |= flag
    s.s_d_flags |= flags


@custom("fs/dcache.c", "d_parent_ino", HOW)
def d_parent_ino(dentry: Dentry) -> int:
    """``ino_t d_parent_ino(struct dentry *dentry)``"""
    return int(dentry.d_parent.d_inode.i_ino)


@custom("fs/dcache.c", "d_set_mounted", HOW)
def d_set_mounted(dentry: Dentry) -> int:
    """``int d_set_mounted(struct dentry *dentry)``. Return: 0, -ENOENT if it is unlinked, -EBUSY if it is a mountpoint already."""
    p = dentry.d_parent
    while p is not p.d_parent:
        if not p.d_hashed:
            return -ENOENT
        p = p.d_parent
    if d_unlinked(dentry) or cant_mount(dentry):
        return -ENOENT
    if d_mountpoint(dentry):
        return -EBUSY
    dentry.d_flags |= DCACHE_MOUNTED
    return 0
