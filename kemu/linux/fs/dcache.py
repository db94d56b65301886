# SPDX-License-Identifier: GPL-2.0-only
"""The directory cache (fs/dcache.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN, WARN_ON
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR
from kemu.linux.errno import EBUSY, ELOOP, ENOENT, ENOMEM, ESTALE
from kemu.linux.fs.inode import iput
from kemu.linux.include.dcache import (
    DCACHE_AUTODIR_TYPE,
    DCACHE_CANT_MOUNT,
    DCACHE_DENTRY_KILLED,
    DCACHE_DIRECTORY_TYPE,
    DCACHE_DISCONNECTED,
    DCACHE_DONTCACHE,
    DCACHE_ENTRY_TYPE,
    DCACHE_LRU_LIST,
    DCACHE_MISS_TYPE,
    DCACHE_MOUNTED,
    DCACHE_NEED_AUTOMOUNT,
    DCACHE_NORCU,
    DCACHE_OP_COMPARE,
    DCACHE_OP_DELETE,
    DCACHE_OP_HASH,
    DCACHE_OP_PRUNE,
    DCACHE_OP_REAL,
    DCACHE_OP_REVALIDATE,
    DCACHE_OP_WEAK_REVALIDATE,
    DCACHE_PAR_LOOKUP,
    DCACHE_PERSISTENT,
    DCACHE_REFERENCED,
    DCACHE_REGULAR_TYPE,
    DCACHE_SPECIAL_TYPE,
    DCACHE_SYMLINK_TYPE,
    HOW,
    QSTR,
    Dentry,
    Qstr,
    cant_mount,
    d_lookup_done,
    d_mountpoint,
    d_unlinked,
    dentry_unlink_inode,
    dget,
)
from kemu.linux.include.fs.calls import inode_trylock_shared, inode_unlock_shared, inode_wake_up_bit
from kemu.linux.include.fs.constants import I_CREATING, I_DONTCACHE, I_NEW, IOP_LOOKUP, IOP_NOFOLLOW, S_AUTOMOUNT
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.mutex import mutex_trylock
from kemu.linux.include.slab import SLAB_PANIC, KmemCache, kmem_cache_alloc, kmem_cache_create
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.mm.slub import kmem_cache_free
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.printk import pr_warn
from kemu.linux.stat import S_ISDIR, S_ISREG
from kemu.linux.super_types import SuperBlock
from kemu.machine.current import NULL, this
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function
from kemu.machine.statics import statics

C = "fs/dcache.c"

@statics
class g:
    dentry_cache: KmemCache = NULL
    in_lookup: dict[tuple[Dentry, bytes], Dentry] = {}             # in_lookup_hashtable


def finish_dput(dentry: Dentry) -> None:
    victim = dentry_kill(dentry)
    while victim is not None and not retain_dentry(victim):
        victim = dentry_kill(victim)


def d_hash_del(dentry: Dentry) -> None:
    """Take a hashed dentry out of its parent's table."""
    table = dentry.d_parent.d_subdirs
    if table is not None and table.get(dentry.d_name.name) is dentry:
        del table[dentry.d_name.name]


@custom(C, "__d_drop", HOW)
def __d_drop(dentry: Dentry) -> None:
    """``void __d_drop(struct dentry *dentry)``: lookups do not find it any more."""
    if dentry.d_hashed:
        dentry.d_hashed = False
        d_hash_del(dentry)


d_drop = __d_drop


def dentry_kill(dentry: Dentry) -> Dentry | None:
    """Evict an unused dentry; returns the parent if that has no reference left then."""
    if dentry.d_lockref:
        return None                             # busy, or dying by another hand
    dentry.d_lockref = -128                     # lockref_mark_dead()
    if dentry.d_flags & DCACHE_OP_PRUNE:
        dentry.d_op.d_prune(dentry)
    if dentry.d_flags & DCACHE_LRU_LIST:
        dentry.d_flags &= ~DCACHE_LRU_LIST
        del dentry.d_sb.s_dentry_lru[dentry]
    __d_drop(dentry)
    if dentry.d_inode is not None:
        dentry_unlink_inode(dentry)
    if dentry.d_op is not None and dentry.d_op.d_release is not None:
        dentry.d_op.d_release(dentry)
    parent = dentry.d_parent
    dentry.d_flags |= DCACHE_DENTRY_KILLED
    if dentry.waiters is not None:
        dentry.waiters.wake()
    sb = dentry.d_sb
    kmem_cache_free(g.dentry_cache, dentry)     # the C waits for RCU; nothing here reads without a reference
    if parent is dentry:
        sb.s_roots.pop(dentry, None)
        return None
    assert parent.d_children is not None
    del parent.d_children[dentry]
    parent.d_lockref -= 1
    if this.watch is not None:
        this.watch.ref("dentry", parent, -1)
    return None if parent.d_lockref else parent


@custom(C, "d_mark_dontcache", HOW)
def d_mark_dontcache(inode: Inode) -> None:
    """``void d_mark_dontcache(struct inode *inode)``: nothing of it is kept after the last reference."""
    for de in inode.i_dentry:
        de.d_flags |= DCACHE_DONTCACHE
    inode.i_state |= I_DONTCACHE


def retain_dentry(dentry: Dentry) -> bool:
    """Is an unused dentry worth keeping? If so it is on the LRU list afterwards."""
    flags = dentry.d_flags
    if not dentry.d_hashed or flags & (DCACHE_DISCONNECTED | DCACHE_DONTCACHE):
        return False
    if flags & DCACHE_OP_DELETE and dentry.d_op.d_delete(dentry):
        return False
    if not flags & DCACHE_LRU_LIST:
        dentry.d_flags = flags | DCACHE_LRU_LIST
        dentry.d_sb.s_dentry_lru[dentry] = None
    else:
        dentry.d_flags = flags | DCACHE_REFERENCED
    return True


@custom(C, "dput", HOW)
def dput(dentry: Dentry | None) -> None:
    """``void dput(struct dentry *dentry)``: drop a reference; the last one keeps the dentry on the LRU list or evicts it, parents
    included.

    Context: may sleep. NULL is fine.
    """
    if dentry is None:
        return
    n = dentry.d_lockref - 1
    if n < 0:
        func = caller_function()[0]
        raise KernelBug(f"VFS: BUG: dput() of a dentry without references in {func}", [repr(dentry)], function=func)
    dentry.d_lockref = n
    if this.watch is not None:
        this.watch.ref("dentry", dentry, -1)
    if n or retain_dentry(dentry):
        return
    finish_dput(dentry)


@custom(C, "d_make_discardable", HOW)
def d_make_discardable(dentry: Dentry) -> None:
    """``void d_make_discardable(struct dentry *dentry)``: undo d_make_persistent()."""
    WARN_ON(not dentry.d_flags & DCACHE_PERSISTENT)
    dentry.d_flags &= ~DCACHE_PERSISTENT
    dentry.d_lockref -= 1
    if this.watch is not None:
        this.watch.ref("dentry", dentry, -1)
    finish_dput(dentry)


@custom(C, "dget_parent", HOW)
def dget_parent(dentry: Dentry) -> Dentry:
    """``struct dentry *dget_parent(struct dentry *dentry)``"""
    dget(dentry.d_parent)
    return dentry.d_parent


@custom(C, "d_find_any_alias", HOW)
def d_find_any_alias(inode: Inode) -> Dentry | None:
    """``struct dentry *d_find_any_alias(struct inode *inode)``: referenced, or None."""
    return dget(inode.i_dentry[0]) if inode.i_dentry else None


@custom(C, "d_find_alias", HOW)
def d_find_alias(inode: Inode) -> Dentry | None:
    """``struct dentry *d_find_alias(struct inode *inode)``: a hashed alias, or a directory's only one."""
    for alias in inode.i_dentry:
        if S_ISDIR(inode.i_mode) or alias.d_hashed:
            return dget(alias)
    return None


@custom(C, "d_prune_aliases", HOW)
def d_prune_aliases(inode: Inode) -> None:
    """``void d_prune_aliases(struct inode *inode)``: evict its unused dentries."""
    for d in list(inode.i_dentry):
        if d in inode.i_dentry:                 # else another has evicted it meanwhile
            v: Dentry | None = d
            while v is not None and not v.d_lockref:
                v = dentry_kill(v)


@custom(C, "prune_dcache_sb", "takes the number of dentries to scan")
def prune_dcache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """``long prune_dcache_sb(struct super_block *sb, struct shrink_control *sc)``: evict unused dentries, oldest first; returns
    how many.
    """
    freed = 0
    lru = sb.s_dentry_lru
    for d in list(lru)[:nr_to_scan]:
        if d not in lru:                        # another has evicted it while this one slept
            continue
        if d.d_lockref:
            d.d_flags &= ~DCACHE_LRU_LIST
            del lru[d]
        elif d.d_flags & DCACHE_REFERENCED:
            d.d_flags &= ~DCACHE_REFERENCED
            del lru[d]
            lru[d] = None
        else:
            freed += 1
            v: Dentry | None = d
            while v is not None and not v.d_lockref:
                v = dentry_kill(v)
    return freed


@custom(C, "shrink_dcache_sb", HOW)
def shrink_dcache_sb(sb: SuperBlock) -> None:
    """``void shrink_dcache_sb(struct super_block *sb)``: evict every unused dentry of a file system."""
    while sb.s_dentry_lru:
        prune_dcache_sb(sb, len(sb.s_dentry_lru))


@custom(C, "d_set_mounted", HOW)
def d_set_mounted(dentry: Dentry) -> int:
    """``int d_set_mounted(struct dentry *dentry)``.

    Return: 0, -ENOENT if it is unlinked, -EBUSY if it is a mountpoint already.
    """
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


def _descendants(parent: Dentry) -> list[Dentry]:
    """Every dentry below ``parent``, as d_walk() visits them: newest sibling first, a parent before its children."""
    out: list[Dentry] = []
    stack = [parent]
    while stack:
        d = stack.pop()
        out.append(d)
        if d.d_children:
            stack.extend(d.d_children)
    return out[1:]


def shrink_dcache_tree(parent: Dentry, for_umount: bool) -> None:
    lru = parent.d_sb.s_dentry_lru
    while True:
        victims = []
        dying = None
        for d in _descendants(parent):
            if for_umount and d.d_flags & DCACHE_PERSISTENT:
                d.d_flags &= ~DCACHE_PERSISTENT
                d.d_lockref -= 1
                if this.watch is not None:
                    this.watch.ref("dentry", d, -1)
            if d.d_lockref == 0:
                if not d.d_flags & DCACHE_LRU_LIST:
                    d.d_flags |= DCACHE_LRU_LIST
                    lru[d] = None
                victims.append(d)
            elif d.d_lockref < 0:
                dying = d
        if not victims:
            if dying is None:
                return
            if dying.waiters is None:
                dying.waiters = WaitQueue(f"eviction of dentry {dying.d_name.name!r}")
            this.sched.block(dying.waiters)
            continue
        for d in victims:
            if d in lru:                        # else another has evicted it, or uses it
                v: Dentry | None = d
                while v is not None and v is not parent:
                    v = dentry_kill(v)


@custom(C, "shrink_dcache_parent", HOW)
def shrink_dcache_parent(parent: Dentry) -> None:
    """``void shrink_dcache_parent(struct dentry *parent)``: evict every unused dentry below it."""
    shrink_dcache_tree(parent, False)


def do_one_tree(dentry: Dentry) -> None:
    shrink_dcache_tree(dentry, True)
    for d in [dentry, *_descendants(dentry)]:
        if d.d_children or (d is dentry and d.d_lockref == 1):
            continue
        WARN(1, "BUG: Dentry %p{i=%llx,n=%pd}  still in use (%d) [unmount of %s %s]\n", 0,
             d.d_inode.i_ino if d.d_inode is not None else 0, d,
             d.d_lockref, d.d_sb.s_type.name, d.d_sb.s_id)
    __d_drop(dentry)
    dentry.d_sb.s_roots.pop(dentry, None)
    dput(dentry)


@custom(C, "shrink_dcache_for_umount", HOW)
def shrink_dcache_for_umount(sb: SuperBlock) -> None:
    """``void shrink_dcache_for_umount(struct super_block *sb)``: evict every dentry; a busy one is reported with a warning."""
    dentry = sb.s_root
    sb.s_root = None
    do_one_tree(dentry)
    while sb.s_roots:
        dentry = next(reversed(sb.s_roots))
        if dentry.d_lockref < 0:
            if dentry.waiters is None:
                dentry.waiters = WaitQueue(f"eviction of dentry {dentry.d_name.name!r}")
            this.sched.block(dentry.waiters)
        else:
            dget(dentry)
            do_one_tree(dentry)


@custom(C, "d_invalidate", HOW)
def d_invalidate(dentry: Dentry) -> None:
    """``void d_invalidate(struct dentry *dentry)``: unhash it, evict what is unused below it, detach mounts there."""
    from kemu.linux.fs.namespace import detach_mounts  # noqa: PLC0415  (circle: fs/namespace.c needs this)

    was_hashed = dentry.d_hashed
    __d_drop(dentry)
    if not was_hashed or dentry.d_inode is None:
        return
    shrink_dcache_parent(dentry)
    had_submounts = False
    while True:
        victim = next((d for d in [dentry, *_descendants(dentry)] if d_mountpoint(d)), None)
        if victim is None:
            break
        had_submounts = True
        dget(victim)
        detach_mounts(victim)
        dput(victim)
    if had_submounts:
        shrink_dcache_parent(dentry)


def __d_alloc(sb: SuperBlock, name: Qstr | None) -> Dentry:
    if g.dentry_cache is None:
        g.dentry_cache = kmem_cache_create("dentry", Dentry, 0, SLAB_PANIC)
    dentry: Dentry | None = kmem_cache_alloc(g.dentry_cache, GFP_KERNEL)
    if dentry is None:
        return NULL             # type: ignore[no-any-return]
    if name is not None:
        dentry.d_name = name
    dentry.d_sb = sb
    dentry.d_op = sb.s_d_op
    dentry.d_flags = sb.s_d_flags
    if dentry.d_op is not None and dentry.d_op.d_init is not None and dentry.d_op.d_init(dentry):
        kmem_cache_free(g.dentry_cache, dentry)
        return NULL             # type: ignore[no-any-return]
    if this.watch is not None:
        this.watch.ref("dentry", dentry, 1)
    return dentry


def _set_parent(dentry: Dentry, parent: Dentry) -> None:
    dentry.d_parent = parent
    parent.d_lockref += 1
    if this.watch is not None:
        this.watch.ref("dentry", parent, 1)
    if parent.d_children is None:
        parent.d_children = {}
    parent.d_children[dentry] = None


@custom(C, "d_alloc", HOW)
def d_alloc(parent: Dentry, name: Qstr) -> Dentry | None:
    """``struct dentry *d_alloc(struct dentry *parent, const struct qstr *name)``: unhashed and negative; None on failure."""
    dentry = __d_alloc(parent.d_sb, Qstr(name.name))
    if dentry is not None:
        _set_parent(dentry, parent)
    return dentry


@dup(C)
def d_alloc_anon(sb: SuperBlock) -> Dentry:
    """``struct dentry *d_alloc_anon(struct super_block *sb)``"""
    return __d_alloc(sb, None)


@dup(C)
def d_alloc_pseudo(sb: SuperBlock, name: Qstr) -> Dentry | None:
    """``struct dentry *d_alloc_pseudo(struct super_block *sb, const struct qstr *name)``: for file systems without lookup."""
    dentry = __d_alloc(sb, name)
    if dentry is not None:
        dentry.d_flags |= DCACHE_NORCU
    return dentry


@dup(C)
def d_alloc_name(parent: Dentry, name: str) -> Dentry | None:
    """``struct dentry *d_alloc_name(struct dentry *parent, const char *name)``"""
    return d_alloc(parent, QSTR(name))


@dup(C)
def set_default_d_op(s: SuperBlock, ops: Any) -> None:
    """``void set_default_d_op(struct super_block *s, const struct dentry_operations *ops)``"""
    s.s_d_op = ops
    flags = 0
    for member, flag in (("d_hash", DCACHE_OP_HASH), ("d_compare", DCACHE_OP_COMPARE), ("d_revalidate", DCACHE_OP_REVALIDATE),
                         ("d_weak_revalidate", DCACHE_OP_WEAK_REVALIDATE), ("d_delete", DCACHE_OP_DELETE),
                         ("d_prune", DCACHE_OP_PRUNE),
                         ("d_real", DCACHE_OP_REAL)):
        if ops is not None and getattr(ops, member) is not None:
            flags |= flag
    s.s_d_flags |= flags


def d_flags_for_inode(inode: Inode | None) -> int:
    if inode is None:
        return DCACHE_MISS_TYPE
    if S_ISDIR(inode.i_mode):
        add_flags = DCACHE_DIRECTORY_TYPE
        if not inode.i_opflags & IOP_LOOKUP:
            if inode.i_op.lookup is None:
                add_flags = DCACHE_AUTODIR_TYPE
            else:
                inode.i_opflags |= IOP_LOOKUP
    else:
        add_flags = DCACHE_REGULAR_TYPE
        if not inode.i_opflags & IOP_NOFOLLOW and inode.i_op.get_link is not None:
            add_flags = DCACHE_SYMLINK_TYPE
        else:
            inode.i_opflags |= IOP_NOFOLLOW
            if not S_ISREG(inode.i_mode):
                add_flags = DCACHE_SPECIAL_TYPE
    if inode.i_flags & S_AUTOMOUNT:
        add_flags |= DCACHE_NEED_AUTOMOUNT
    return add_flags


def _set_inode(dentry: Dentry, inode: Inode) -> None:
    inode.i_dentry.insert(0, dentry)
    dentry.d_inode = inode
    dentry.d_flags = dentry.d_flags & ~DCACHE_ENTRY_TYPE | d_flags_for_inode(inode)


@custom(C, "d_instantiate", HOW)
def d_instantiate(entry: Dentry, inode: Inode | None) -> None:
    """``void d_instantiate(struct dentry *entry, struct inode *inode)``: the negative dentry takes the caller's inode reference.
    """
    BUG_ON(entry.d_inode is not None)
    if inode is not None:
        _set_inode(entry, inode)


@custom(C, "d_instantiate_new", HOW)
def d_instantiate_new(entry: Dentry, inode: Inode) -> None:
    """``void d_instantiate_new(struct dentry *entry, struct inode *inode)``: d_instantiate() and unlock_new_inode()."""
    BUG_ON(entry.d_inode is not None)
    _set_inode(entry, inode)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~(I_NEW | I_CREATING)
    inode_wake_up_bit(inode)


@dup(C)
def d_make_root(root_inode: Inode | None) -> Dentry:
    """``struct dentry *d_make_root(struct inode *root_inode)``: takes the inode reference, also on failure. None on failure."""
    if root_inode is None:
        return NULL             # type: ignore[no-any-return]
    res = d_alloc_anon(root_inode.i_sb)
    if res is not None:
        d_instantiate(res, root_inode)
    else:
        iput(root_inode)
    return res


def __d_obtain_alias(inode: Any, disconnected: bool) -> Dentry:
    if inode is None:
        return ERR_PTR(-ESTALE)
    if IS_ERR(inode):
        return ERR_CAST(inode)
    res: Any = d_find_any_alias(inode)
    if res is None:
        new = d_alloc_anon(inode.i_sb)
        if new is None:
            res = ERR_PTR(-ENOMEM)
        else:
            res = d_find_any_alias(inode)       # recheck: the allocation may have slept
            if res is None:
                _set_inode(new, inode)
                if disconnected:
                    new.d_flags |= DCACHE_DISCONNECTED
                else:
                    inode.i_sb.s_roots[new] = None
                return new
            dput(new)
    iput(inode)
    return res             # type: ignore[no-any-return]


@custom(C, "d_obtain_alias", HOW)
def d_obtain_alias(inode: Any) -> Dentry:
    """``struct dentry *d_obtain_alias(struct inode *inode)``: any dentry of the inode, a disconnected new one if there is none.

    Takes the inode reference. Return: ERR_PTR(-ESTALE) for NULL, ``inode`` if that is an error, ERR_PTR(-ENOMEM).
    """
    return __d_obtain_alias(inode, True)


@custom(C, "d_obtain_root", HOW)
def d_obtain_root(inode: Any) -> Any:
    """``struct dentry *d_obtain_root(struct inode *inode)``: as d_obtain_alias(), for the root of a mount."""
    return __d_obtain_alias(inode, False)


@custom(C, "d_lookup", HOW)
def d_lookup(parent: Dentry, name: Qstr) -> Dentry | None:
    """``struct dentry *d_lookup(const struct dentry *parent, const struct qstr *name)``: a referenced child, None if it is not
    cached.
    """
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


@custom(C, "d_delete", HOW)
def d_delete(dentry: Dentry) -> None:
    """``void d_delete(struct dentry *dentry)``: make it negative if no one else uses it, else unhash it."""
    if dentry.d_lockref == 1:
        dentry.d_flags &= ~DCACHE_CANT_MOUNT
        dentry_unlink_inode(dentry)
    else:
        __d_drop(dentry)


def _hash_add(entry: Dentry) -> None:
    parent = entry.d_parent
    if parent.d_subdirs is None:
        parent.d_subdirs = {}
    parent.d_subdirs[entry.d_name.name] = entry
    entry.d_hashed = True


@custom(C, "d_rehash", HOW)
def d_rehash(entry: Dentry) -> None:
    """``void d_rehash(struct dentry *entry)``"""
    _hash_add(entry)


@custom(C, "d_alloc_parallel", HOW)
def d_alloc_parallel(parent: Dentry, name: Qstr) -> Any:
    """``struct dentry *d_alloc_parallel(struct dentry *parent, const struct qstr *name)``

    A new dentry in lookup (DCACHE_PAR_LOOKUP), or the one that is cached or that another task has looked up meanwhile. Context:
    may sleep. Return: ERR_PTR(-ENOMEM) on failure.
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


@custom(C, "d_add", HOW)
def d_add(entry: Dentry, inode: Inode | None) -> None:
    """``void d_add(struct dentry *entry, struct inode *inode)``: hash it, positive if there is an inode (whose reference it
    takes).
    """
    if entry.d_flags & DCACHE_PAR_LOOKUP:
        d_lookup_done(entry)
    if inode is not None:
        _set_inode(entry, inode)
    _hash_add(entry)


@custom(C, "d_make_persistent", HOW)
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


@custom(C, "d_move", HOW)
def d_move(dentry: Dentry, target: Dentry) -> None:
    """``void d_move(struct dentry *dentry, struct dentry *target)``: rename in the dcache."""
    __d_move(dentry, target)


@custom(C, "d_exchange", HOW)
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


@dup(C)
def d_ancestor(p1: Dentry, p2: Dentry) -> Dentry | None:
    """``struct dentry *d_ancestor(struct dentry *p1, struct dentry *p2)``: the ancestor of p2 that is a child of p1, or None."""
    p = p2
    while p is not p.d_parent:
        if p.d_parent is p1:
            return p
        p = p.d_parent
    return None


def __d_unalias(dentry: Dentry, alias: Dentry) -> int:
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


@custom(C, "d_splice_alias", HOW)
def d_splice_alias(inode: Any, dentry: Dentry) -> Dentry:
    """``struct dentry *d_splice_alias(struct inode *inode, struct dentry *dentry)``: what ->lookup returns.

    Takes the inode reference. NULL makes ``dentry`` a cached negative one; a directory that has a dentry already is moved here.
    Return: None if ``dentry`` was used, else the dentry to use instead; ``inode`` if that is an error; ERR_PTR(-ELOOP) if the
    directory would become its own ancestor, ERR_PTR(-ESTALE) if it cannot be moved now.
    """
    if type(inode) is int and IS_ERR(inode):
        return ERR_CAST(inode)
    BUG_ON(dentry.d_hashed)
    if inode is not None and inode.i_dentry and S_ISDIR(inode.i_mode):
        new: Any = dget(inode.i_dentry[0])
        if d_ancestor(new, dentry) is not None:
            dput(new)
            new = ERR_PTR(-ELOOP)
            pr_warn("VFS: Lookup of '%s' in %s %s would have caused loop\n", dentry.d_name.name, inode.i_sb.s_type.name,
                    inode.i_sb.s_id)
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
        iput(inode)
        return new             # type: ignore[no-any-return]
    d_add(dentry, inode)
    return NULL             # type: ignore[no-any-return]


@custom(C, "is_subdir", HOW)
def is_subdir(new_dentry: Dentry, old_dentry: Dentry) -> bool:
    """``bool is_subdir(struct dentry *new_dentry, struct dentry *old_dentry)``: old is new or above it."""
    return new_dentry is old_dentry or d_ancestor(old_dentry, new_dentry) is not None


@custom(C, "d_parent_ino", HOW)
def d_parent_ino(dentry: Dentry) -> int:
    """``ino_t d_parent_ino(struct dentry *dentry)``"""
    return int(dentry.d_parent.d_inode.i_ino)


names("custom", C, "d_drop", how=HOW)
