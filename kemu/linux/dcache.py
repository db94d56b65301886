# SPDX-License-Identifier: GPL-2.0-only
"""The directory cache (include/linux/dcache.h, fs/dcache.c).

d_lock, rename_lock and the hash locks of the C have no counterpart: what they guard has no scheduling point here. A dentry's hashed children are
in its parent's ``d_subdirs``, by name; ``d_children`` has all of them, the ones being looked up included.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN, WARN_ON
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EBUSY, ELOOP, ENOENT, ENOMEM, ESTALE
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup, names
from kemu.linux.mutex import mutex_trylock, mutex_unlock
from kemu.linux.printk import pr_warn
from kemu.linux.slab import kmem_cache_alloc, kmem_cache_create, kmem_cache_free
from kemu.linux.stat import S_ISDIR, S_ISREG
from kemu.linux.statics import statics
from kemu.linux.super_types import SuperBlock, _Ops
from kemu.linux.vfs import inode as _inode
from kemu.linux.vfs.basic import QSTR, Qstr
from kemu.linux.vfs.constants import I_CREATING, I_DONTCACHE, I_NEW, IOP_LOOKUP, IOP_NOFOLLOW, S_AUTOMOUNT
from kemu.linux.vfs.types import Inode
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function

DCACHE_OP_HASH, DCACHE_OP_COMPARE, DCACHE_OP_REVALIDATE, DCACHE_OP_DELETE, DCACHE_OP_PRUNE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
DCACHE_DISCONNECTED, DCACHE_REFERENCED, DCACHE_DONTCACHE, DCACHE_CANT_MOUNT = 1 << 5, 1 << 6, 1 << 7, 1 << 8
DCACHE_OP_WEAK_REVALIDATE, DCACHE_DENTRY_KILLED = 1 << 11, 1 << 14
DCACHE_MOUNTED, DCACHE_NEED_AUTOMOUNT, DCACHE_MANAGE_TRANSIT, DCACHE_LRU_LIST = 1 << 15, 1 << 16, 1 << 17, 1 << 18
DCACHE_ENTRY_TYPE = 7 << 19
(DCACHE_MISS_TYPE, DCACHE_WHITEOUT_TYPE, DCACHE_DIRECTORY_TYPE, DCACHE_AUTODIR_TYPE, DCACHE_REGULAR_TYPE, DCACHE_SPECIAL_TYPE,
 DCACHE_SYMLINK_TYPE) = (i << 19 for i in range(7))
DCACHE_OP_REAL, DCACHE_PAR_LOOKUP, DCACHE_NORCU, DCACHE_PERSISTENT = 1 << 23, 1 << 24, 1 << 26, 1 << 27
DCACHE_MANAGED_DENTRY = DCACHE_MOUNTED | DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT

g = statics(dentry_cache=None, in_lookup={})
empty_name, slash_name, dotdot_name = Qstr(b""), Qstr(b"/"), Qstr(b"..")


@dup("include/linux/dcache.h")
class dentry_operations(_Ops):
    """``struct dentry_operations``"""

    d_revalidate: Any
    d_weak_revalidate: Any
    d_hash: Any
    d_compare: Any
    d_delete: Any
    d_init: Any
    d_release: Any
    d_prune: Any
    d_iput: Any
    d_dname: Any
    d_automount: Any
    d_manage: Any
    d_real: Any
    d_unalias_trylock: Any
    d_unalias_unlock: Any
    __slots__ = tuple(__annotations__)


@custom("include/linux/dcache.h", "struct dentry", "d_lockref is an int, negative when the dentry is dying; d_hash a bool")
class Dentry:
    """``struct dentry``: a name in a directory; the root's parent is itself."""

    __slots__ = ("d_children", "d_flags", "d_fsdata", "d_hashed", "d_inode", "d_lockref", "d_name", "d_op", "d_parent", "d_sb", "d_subdirs",
                 "d_time", "waiters", "__weakref__")

    def __init__(self) -> None:
        self.d_flags = 0
        self.d_hashed = False
        self.d_parent: Dentry = self
        self.d_name = slash_name
        self.d_inode: Any = None
        self.d_op: Any = None
        self.d_sb: SuperBlock = None            # type: ignore[assignment]
        self.d_time = 0
        self.d_fsdata: Any = None
        self.d_lockref = 1
        self.d_children: dict[Dentry, None] | None = None
        self.d_subdirs: dict[bytes, Dentry] | None = None
        self.waiters: WaitQueue | None = None

    def __repr__(self) -> str:
        what = "negative" if self.d_inode is None else f"inode {self.d_inode.i_ino}"
        return f"<dentry {self.d_name.name.decode('utf-8', 'replace')!r} {what} count:{self.d_lockref}>"


def d_inode(dentry: Dentry) -> Any:
    """``struct inode *d_inode(const struct dentry *dentry)``"""
    return dentry.d_inode


d_backing_inode = d_inode_rcu = d_inode
names("dup", "include/linux/dcache.h", "d_inode", "d_backing_inode", "d_inode_rcu", "DCACHE_MANAGED_DENTRY")


@dup("include/linux/dcache.h")
def IS_ROOT(dentry: Dentry) -> bool:
    """``IS_ROOT(x)``"""
    return dentry is dentry.d_parent


@dup("include/linux/dcache.h")
def d_unhashed(dentry: Dentry) -> bool:
    """``int d_unhashed(const struct dentry *dentry)``"""
    return not dentry.d_hashed


@dup("include/linux/dcache.h")
def d_unlinked(dentry: Dentry) -> bool:
    """``int d_unlinked(const struct dentry *dentry)``"""
    return not dentry.d_hashed and dentry is not dentry.d_parent


@dup("include/linux/dcache.h")
def cant_mount(dentry: Dentry) -> bool:
    """``int cant_mount(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_CANT_MOUNT)


@dup("include/linux/dcache.h")
def dont_mount(dentry: Dentry) -> None:
    """``void dont_mount(struct dentry *dentry)``"""
    dentry.d_flags |= DCACHE_CANT_MOUNT


@dup("include/linux/dcache.h")
def d_mountpoint(dentry: Dentry) -> bool:
    """``bool d_mountpoint(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_MOUNTED)


@dup("include/linux/dcache.h")
def d_in_lookup(dentry: Dentry) -> bool:
    """``int d_in_lookup(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_PAR_LOOKUP)


@dup("include/linux/dcache.h")
def d_is_negative(dentry: Dentry) -> bool:
    """``bool d_is_negative(const struct dentry *dentry)``"""
    return not dentry.d_flags & DCACHE_ENTRY_TYPE


@dup("include/linux/dcache.h")
def d_is_positive(dentry: Dentry) -> bool:
    """``bool d_is_positive(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_ENTRY_TYPE)


def d_really_is_negative(dentry: Dentry) -> bool:
    """``bool d_really_is_negative(const struct dentry *dentry)``"""
    return dentry.d_inode is None


def d_really_is_positive(dentry: Dentry) -> bool:
    """``bool d_really_is_positive(const struct dentry *dentry)``"""
    return dentry.d_inode is not None


@dup("include/linux/dcache.h")
def d_is_symlink(dentry: Dentry) -> bool:
    """``bool d_is_symlink(const struct dentry *dentry)``"""
    return dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_SYMLINK_TYPE


@dup("include/linux/dcache.h")
def d_can_lookup(dentry: Dentry) -> bool:
    """``bool d_can_lookup(const struct dentry *dentry)``: a directory with ->lookup."""
    return dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_DIRECTORY_TYPE


@dup("include/linux/dcache.h")
def d_is_dir(dentry: Dentry) -> bool:
    """``bool d_is_dir(const struct dentry *dentry)``"""
    return dentry.d_flags & DCACHE_ENTRY_TYPE in (DCACHE_DIRECTORY_TYPE, DCACHE_AUTODIR_TYPE)


@dup("include/linux/dcache.h")
def d_is_reg(dentry: Dentry) -> bool:
    """``bool d_is_reg(const struct dentry *dentry)``"""
    return dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_REGULAR_TYPE


@dup("include/linux/dcache.h")
def d_count(dentry: Dentry) -> int:
    """``unsigned d_count(const struct dentry *dentry)``"""
    return dentry.d_lockref


names("dup", "include/linux/dcache.h", "d_really_is_negative", "d_really_is_positive", "QSTR")


# ------------------------------------------------------------------------- references

@dup("include/linux/dcache.h")
def dget(dentry: Dentry | None) -> Dentry | None:
    """``struct dentry *dget(struct dentry *dentry)``: one more reference; NULL is fine."""
    if dentry is not None:
        dentry.d_lockref += 1
        if this.watch is not None:
            this.watch.ref("dentry", dentry, 1)
    return dentry


@dup("fs/dcache.c")
def dget_parent(dentry: Dentry) -> Dentry:
    """``struct dentry *dget_parent(struct dentry *dentry)``"""
    dget(dentry.d_parent)
    return dentry.d_parent


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


@dup("fs/dcache.c")
def dput(dentry: Dentry | None) -> None:
    """``void dput(struct dentry *dentry)``: drop a reference; the last one keeps the dentry on the LRU list or evicts it, parents included.

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


def finish_dput(dentry: Dentry) -> None:
    victim = dentry_kill(dentry)
    while victim is not None and not retain_dentry(victim):
        victim = dentry_kill(victim)


def d_hash_del(dentry: Dentry) -> None:
    """Take a hashed dentry out of its parent's table."""
    table = dentry.d_parent.d_subdirs
    if table is not None and table.get(dentry.d_name.name) is dentry:
        del table[dentry.d_name.name]


@dup("fs/dcache.c")
def __d_drop(dentry: Dentry) -> None:
    """``void __d_drop(struct dentry *dentry)``: lookups do not find it any more."""
    if dentry.d_hashed:
        dentry.d_hashed = False
        d_hash_del(dentry)


d_drop = __d_drop
names("dup", "include/linux/dcache.h", "d_drop")


def dentry_unlink_inode(dentry: Dentry) -> None:
    inode = dentry.d_inode
    dentry.d_flags &= ~DCACHE_ENTRY_TYPE
    dentry.d_inode = None
    inode.i_dentry.remove(dentry)
    if dentry.d_op is not None and dentry.d_op.d_iput is not None:
        dentry.d_op.d_iput(dentry, inode)
    else:
        _inode.iput(inode)


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


@dup("fs/dcache.c")
def d_mark_dontcache(inode: Inode) -> None:
    """``void d_mark_dontcache(struct inode *inode)``: nothing of it is kept after the last reference."""
    for de in inode.i_dentry:
        de.d_flags |= DCACHE_DONTCACHE
    inode.i_state |= I_DONTCACHE


# ------------------------------------------------------------------------- allocation

def __d_alloc(sb: SuperBlock, name: Qstr | None) -> Dentry | None:
    if g.dentry_cache is None:
        g.dentry_cache = kmem_cache_create("dentry", Dentry)
    dentry: Dentry | None = kmem_cache_alloc(g.dentry_cache, GFP_KERNEL)
    if dentry is None:
        return None
    if name is not None:
        dentry.d_name = name
    dentry.d_sb = sb
    dentry.d_op = sb.s_d_op
    dentry.d_flags = sb.s_d_flags
    if dentry.d_op is not None and dentry.d_op.d_init is not None and dentry.d_op.d_init(dentry):
        kmem_cache_free(g.dentry_cache, dentry)
        return None
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


@dup("fs/dcache.c")
def d_alloc(parent: Dentry, name: Qstr) -> Dentry | None:
    """``struct dentry *d_alloc(struct dentry *parent, const struct qstr *name)``: unhashed and negative; None on failure."""
    dentry = __d_alloc(parent.d_sb, Qstr(name.name))
    if dentry is not None:
        _set_parent(dentry, parent)
    return dentry


@dup("fs/dcache.c")
def d_alloc_name(parent: Dentry, name: str) -> Dentry | None:
    """``struct dentry *d_alloc_name(struct dentry *parent, const char *name)``"""
    return d_alloc(parent, QSTR(name))


@dup("fs/dcache.c")
def d_alloc_anon(sb: SuperBlock) -> Dentry | None:
    """``struct dentry *d_alloc_anon(struct super_block *sb)``"""
    return __d_alloc(sb, None)


@dup("fs/dcache.c")
def d_alloc_pseudo(sb: SuperBlock, name: Qstr) -> Dentry | None:
    """``struct dentry *d_alloc_pseudo(struct super_block *sb, const struct qstr *name)``: for file systems without lookup."""
    dentry = __d_alloc(sb, name)
    if dentry is not None:
        dentry.d_flags |= DCACHE_NORCU
    return dentry


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


@dup("fs/dcache.c")
def d_instantiate(entry: Dentry, inode: Inode | None) -> None:
    """``void d_instantiate(struct dentry *entry, struct inode *inode)``: the negative dentry takes the caller's inode reference."""
    BUG_ON(entry.d_inode is not None)
    if inode is not None:
        _set_inode(entry, inode)


@dup("fs/dcache.c")
def d_instantiate_new(entry: Dentry, inode: Inode) -> None:
    """``void d_instantiate_new(struct dentry *entry, struct inode *inode)``: d_instantiate() and unlock_new_inode()."""
    BUG_ON(entry.d_inode is not None)
    _set_inode(entry, inode)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~(I_NEW | I_CREATING)
    _inode.inode_wake_up_bit(inode)


@dup("fs/dcache.c")
def d_make_root(root_inode: Inode | None) -> Dentry | None:
    """``struct dentry *d_make_root(struct inode *root_inode)``: takes the inode reference, also on failure. None on failure."""
    if root_inode is None:
        return None
    res = d_alloc_anon(root_inode.i_sb)
    if res is not None:
        d_instantiate(res, root_inode)
    else:
        _inode.iput(root_inode)
    return res


def __d_obtain_alias(inode: Any, disconnected: bool) -> Any:
    if inode is None:
        return ERR_PTR(-ESTALE)
    if IS_ERR(inode):
        return inode
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
    _inode.iput(inode)
    return res


@dup("fs/dcache.c")
def d_obtain_alias(inode: Any) -> Any:
    """``struct dentry *d_obtain_alias(struct inode *inode)``: any dentry of the inode, a disconnected new one if there is none.

    Takes the inode reference. Return: ERR_PTR(-ESTALE) for NULL, ``inode`` if that is an error, ERR_PTR(-ENOMEM).
    """
    return __d_obtain_alias(inode, True)


@dup("fs/dcache.c")
def d_obtain_root(inode: Any) -> Any:
    """``struct dentry *d_obtain_root(struct inode *inode)``: as d_obtain_alias(), for the root of a mount."""
    return __d_obtain_alias(inode, False)


@dup("fs/dcache.c")
def d_find_any_alias(inode: Inode) -> Dentry | None:
    """``struct dentry *d_find_any_alias(struct inode *inode)``: referenced, or None."""
    return dget(inode.i_dentry[0]) if inode.i_dentry else None


@dup("fs/dcache.c")
def d_find_alias(inode: Inode) -> Dentry | None:
    """``struct dentry *d_find_alias(struct inode *inode)``: a hashed alias, or a directory's only one."""
    for alias in inode.i_dentry:
        if S_ISDIR(inode.i_mode) or alias.d_hashed:
            return dget(alias)
    return None


# ------------------------------------------------------------------------- lookup

@dup("fs/dcache.c")
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


@dup("fs/dcache.c")
def d_rehash(entry: Dentry) -> None:
    """``void d_rehash(struct dentry *entry)``"""
    _hash_add(entry)


@dup("fs/dcache.c")
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


@dup("fs/dcache.c")
def d_add(entry: Dentry, inode: Inode | None) -> None:
    """``void d_add(struct dentry *entry, struct inode *inode)``: hash it, positive if there is an inode (whose reference it takes)."""
    if entry.d_flags & DCACHE_PAR_LOOKUP:
        d_lookup_done(entry)
    if inode is not None:
        _set_inode(entry, inode)
    _hash_add(entry)


@dup("fs/dcache.c")
def d_make_persistent(dentry: Dentry, inode: Inode) -> Dentry:
    """``struct dentry *d_make_persistent(struct dentry *dentry, struct inode *inode)``: positive, and pinned until umount."""
    WARN_ON(dentry.d_inode is not None)
    _set_inode(dentry, inode)
    dentry.d_flags |= DCACHE_PERSISTENT
    dget(dentry)
    if not dentry.d_hashed:
        _hash_add(dentry)
    return dentry


@dup("fs/dcache.c")
def d_make_discardable(dentry: Dentry) -> None:
    """``void d_make_discardable(struct dentry *dentry)``: undo d_make_persistent()."""
    WARN_ON(not dentry.d_flags & DCACHE_PERSISTENT)
    dentry.d_flags &= ~DCACHE_PERSISTENT
    dentry.d_lockref -= 1
    if this.watch is not None:
        this.watch.ref("dentry", dentry, -1)
    finish_dput(dentry)


@dup("fs/dcache.c")
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


@dup("fs/dcache.c")
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


@dup("fs/dcache.c")
def d_move(dentry: Dentry, target: Dentry) -> None:
    """``void d_move(struct dentry *dentry, struct dentry *target)``: rename in the dcache."""
    __d_move(dentry, target)


@dup("fs/dcache.c")
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


@dup("fs/dcache.c")
def d_splice_alias(inode: Any, dentry: Dentry) -> Any:
    """``struct dentry *d_splice_alias(struct inode *inode, struct dentry *dentry)``: what ->lookup returns.

    Takes the inode reference. NULL makes ``dentry`` a cached negative one; a directory that has a dentry already is moved here.
    Return: None if ``dentry`` was used, else the dentry to use instead; ``inode`` if that is an error; ERR_PTR(-ELOOP) if the directory
    would become its own ancestor, ERR_PTR(-ESTALE) if it cannot be moved now.
    """
    if inode.__class__ is int and IS_ERR(inode):
        return inode
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
        return new
    d_add(dentry, inode)
    return None


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


@dup("fs/dcache.c")
def d_parent_ino(dentry: Dentry) -> int:
    """``ino_t d_parent_ino(struct dentry *dentry)``"""
    return int(dentry.d_parent.d_inode.i_ino)


@dup("fs/dcache.c")
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


# ------------------------------------------------------------------------- shrinking

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
            v: Dentry | None = d
            while v is not None and v is not parent:
                v = dentry_kill(v)


@dup("fs/dcache.c")
def shrink_dcache_parent(parent: Dentry) -> None:
    """``void shrink_dcache_parent(struct dentry *parent)``: evict every unused dentry below it."""
    shrink_dcache_tree(parent, False)


@dup("fs/dcache.c")
def d_invalidate(dentry: Dentry) -> None:
    """``void d_invalidate(struct dentry *dentry)``: unhash it, evict what is unused below it, detach mounts there."""
    from kemu.linux.vfs.namespace import detach_mounts

    was_hashed = dentry.d_hashed
    __d_drop(dentry)
    if not was_hashed or dentry.d_inode is None:
        return
    shrink_dcache_parent(dentry)
    for d in [dentry, *_descendants(dentry)]:
        if d_mountpoint(d):
            detach_mounts(d)


@dup("fs/dcache.c")
def d_prune_aliases(inode: Inode) -> None:
    """``void d_prune_aliases(struct inode *inode)``: evict its unused dentries."""
    for d in list(inode.i_dentry):
        v: Dentry | None = d
        while v is not None and not v.d_lockref:
            v = dentry_kill(v)


@custom("fs/dcache.c", "prune_dcache_sb", "takes the number of dentries to scan")
def prune_dcache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """``long prune_dcache_sb(struct super_block *sb, struct shrink_control *sc)``: evict unused dentries, oldest first; returns how many."""
    freed = 0
    for d in list(sb.s_dentry_lru)[:nr_to_scan]:
        if d.d_lockref or d.d_flags & DCACHE_DENTRY_KILLED:
            if d in sb.s_dentry_lru:
                d.d_flags &= ~DCACHE_LRU_LIST
                del sb.s_dentry_lru[d]
        elif d.d_flags & DCACHE_REFERENCED:
            d.d_flags &= ~DCACHE_REFERENCED
            del sb.s_dentry_lru[d]
            sb.s_dentry_lru[d] = None
        else:
            freed += 1
            v: Dentry | None = d
            while v is not None and not v.d_lockref:
                v = dentry_kill(v)
    return freed


@dup("fs/dcache.c")
def shrink_dcache_sb(sb: SuperBlock) -> None:
    """``void shrink_dcache_sb(struct super_block *sb)``: evict every unused dentry of a file system."""
    while sb.s_dentry_lru:
        prune_dcache_sb(sb, len(sb.s_dentry_lru))


def do_one_tree(dentry: Dentry) -> None:
    shrink_dcache_tree(dentry, True)
    for d in [dentry, *_descendants(dentry)]:
        if d.d_children or d is dentry and d.d_lockref == 1:
            continue
        WARN(1, "BUG: Dentry %p{i=%llx,n=%pd}  still in use (%d) [unmount of %s %s]\n", 0, d.d_inode.i_ino if d.d_inode is not None else 0, d,
             d.d_lockref, d.d_sb.s_type.name, d.d_sb.s_id)
    __d_drop(dentry)
    dentry.d_sb.s_roots.pop(dentry, None)
    dput(dentry)


@dup("fs/dcache.c")
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

