# SPDX-License-Identifier: GPL-2.0-only
"""Dentries: what they are, their references, the death of one (include/linux/dcache.h, fs/dcache.c).

d_lock, rename_lock and the hash locks of the C have no counterpart: what they guard has no scheduling point here. A dentry's hashed children are
in its parent's ``d_subdirs``, by name; ``d_children`` has all of them, the ones being looked up included.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.honesty import custom, dup, names
from kemu.linux.slab import kmem_cache_free
from kemu.linux.statics import statics
from kemu.linux.super_types import SuperBlock, _Ops
from kemu.linux.vfs import inode as _inode
from kemu.linux.vfs.basic import Qstr
from kemu.linux.vfs.constants import I_DONTCACHE
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

HOW = "what d_lock, i_lock, rename_lock and the bucket locks of the C guard are dicts here, changed in one step: none of them is taken"
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


def d_inode(dentry: Dentry) -> Inode:
    """``struct inode *d_inode(const struct dentry *dentry)``"""
    return dentry.d_inode             # type: ignore[no-any-return]


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


@custom("include/linux/dcache.h", "dont_mount", HOW)
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

@custom("include/linux/dcache.h", "dget", "an int that changes in one step, as the C does it without the lock")
def dget(dentry: Dentry) -> Dentry:
    """``struct dentry *dget(struct dentry *dentry)``: one more reference; NULL is fine."""
    if dentry is not None:
        dentry.d_lockref += 1
        if this.watch is not None:
            this.watch.ref("dentry", dentry, 1)
    return dentry


@custom("fs/dcache.c", "dget_parent", HOW)
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


@custom("fs/dcache.c", "dput", HOW)
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


@custom("fs/dcache.c", "__d_drop", HOW)
def __d_drop(dentry: Dentry) -> None:
    """``void __d_drop(struct dentry *dentry)``: lookups do not find it any more."""
    if dentry.d_hashed:
        dentry.d_hashed = False
        d_hash_del(dentry)


d_drop = __d_drop
names("custom", "fs/dcache.c", "d_drop", how=HOW)


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


@custom("fs/dcache.c", "d_mark_dontcache", HOW)
def d_mark_dontcache(inode: Inode) -> None:
    """``void d_mark_dontcache(struct inode *inode)``: nothing of it is kept after the last reference."""
    for de in inode.i_dentry:
        de.d_flags |= DCACHE_DONTCACHE
    inode.i_state |= I_DONTCACHE
