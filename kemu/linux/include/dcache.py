# SPDX-License-Identifier: GPL-2.0-only
"""struct dentry, its flags, and what is asked of one (include/linux/dcache.h).

d_lock, rename_lock and the hash locks of the C have no counterpart: what they guard has no scheduling point here. A dentry's
hashed children are in its parent's ``d_subdirs``, by name; ``d_children`` has all of them, the ones being looked up included.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.include.fs.types import Inode
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.super_types import SuperBlock, _Ops
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue

P = "include/linux/dcache.h"


@custom(P, "struct qstr", "name is bytes without NUL; no hash")
class Qstr:
    """``struct qstr``: a name of ``len`` bytes."""

    __slots__ = ("len", "name")

    def __init__(self, name: bytes = b""):
        self.name = name
        self.len = len(name)

    def __repr__(self) -> str:
        return f"Qstr({self.name!r})"


@dup(P)
@dup(P)
def QSTR(name: str | bytes) -> Qstr:
    """``QSTR(n)``: of a C string."""
    return Qstr(name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name)


(DCACHE_OP_HASH, DCACHE_OP_COMPARE, DCACHE_OP_REVALIDATE, DCACHE_OP_DELETE,
 DCACHE_OP_PRUNE) = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
DCACHE_DISCONNECTED, DCACHE_REFERENCED, DCACHE_DONTCACHE, DCACHE_CANT_MOUNT = 1 << 5, 1 << 6, 1 << 7, 1 << 8
DCACHE_OP_WEAK_REVALIDATE, DCACHE_DENTRY_KILLED = 1 << 11, 1 << 14
DCACHE_MOUNTED, DCACHE_NEED_AUTOMOUNT, DCACHE_MANAGE_TRANSIT, DCACHE_LRU_LIST = 1 << 15, 1 << 16, 1 << 17, 1 << 18
DCACHE_ENTRY_TYPE = 7 << 19
(DCACHE_MISS_TYPE, DCACHE_WHITEOUT_TYPE, DCACHE_DIRECTORY_TYPE, DCACHE_AUTODIR_TYPE, DCACHE_REGULAR_TYPE, DCACHE_SPECIAL_TYPE,
 DCACHE_SYMLINK_TYPE) = (i << 19 for i in range(7))
DCACHE_OP_REAL, DCACHE_PAR_LOOKUP, DCACHE_NORCU, DCACHE_PERSISTENT = 1 << 23, 1 << 24, 1 << 26, 1 << 27
DCACHE_MANAGED_DENTRY = DCACHE_MOUNTED | DCACHE_NEED_AUTOMOUNT | DCACHE_MANAGE_TRANSIT

HOW = ("what d_lock, i_lock, rename_lock and the bucket locks of the C guard are dicts here, changed in one step: none of them "
       "is taken")

empty_name, slash_name, dotdot_name = Qstr(b""), Qstr(b"/"), Qstr(b"..")


@dup(P)
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


@custom(P, "struct dentry", "d_lockref is an int, negative when the dentry is dying; d_hash a bool")
class Dentry:
    """``struct dentry``: a name in a directory; the root's parent is itself."""

    __slots__ = ("d_children", "d_flags", "d_fsdata", "d_hashed", "d_inode", "d_lockref", "d_name", "d_op", "d_parent", "d_sb",
                 "d_subdirs", "d_time", "waiters", "__weakref__")

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


def d_is_file(dentry: Dentry) -> bool:
    return dentry.d_flags & DCACHE_ENTRY_TYPE in (DCACHE_REGULAR_TYPE, DCACHE_SPECIAL_TYPE)


def simple_positive(dentry: Dentry) -> bool:
    return dentry.d_inode is not None and dentry.d_hashed


def d_inode(dentry: Dentry) -> Inode:
    """``struct inode *d_inode(const struct dentry *dentry)``"""
    return dentry.d_inode             # type: ignore[no-any-return]


d_backing_inode = d_inode_rcu = d_inode


@dup(P)
def IS_ROOT(dentry: Dentry) -> bool:
    """``IS_ROOT(x)``"""
    return dentry is dentry.d_parent


@dup(P)
def d_unhashed(dentry: Dentry) -> bool:
    """``int d_unhashed(const struct dentry *dentry)``"""
    return not dentry.d_hashed


@dup(P)
def d_unlinked(dentry: Dentry) -> bool:
    """``int d_unlinked(const struct dentry *dentry)``"""
    return not dentry.d_hashed and dentry is not dentry.d_parent


@dup(P)
def cant_mount(dentry: Dentry) -> bool:
    """``int cant_mount(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_CANT_MOUNT)


@custom(P, "dont_mount", HOW)
def dont_mount(dentry: Dentry) -> None:
    """``void dont_mount(struct dentry *dentry)``"""
    dentry.d_flags |= DCACHE_CANT_MOUNT


@dup(P)
def d_mountpoint(dentry: Dentry) -> bool:
    """``bool d_mountpoint(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_MOUNTED)


@dup(P)
def d_in_lookup(dentry: Dentry) -> bool:
    """``int d_in_lookup(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_PAR_LOOKUP)


@dup(P)
def d_is_negative(dentry: Dentry) -> bool:
    """``bool d_is_negative(const struct dentry *dentry)``"""
    return not dentry.d_flags & DCACHE_ENTRY_TYPE


@dup(P)
def d_is_positive(dentry: Dentry) -> bool:
    """``bool d_is_positive(const struct dentry *dentry)``"""
    return bool(dentry.d_flags & DCACHE_ENTRY_TYPE)


def d_really_is_negative(dentry: Dentry) -> bool:
    """``bool d_really_is_negative(const struct dentry *dentry)``"""
    return dentry.d_inode is None


def d_really_is_positive(dentry: Dentry) -> bool:
    """``bool d_really_is_positive(const struct dentry *dentry)``"""
    return dentry.d_inode is not None


@dup(P)
def d_is_symlink(dentry: Dentry) -> bool:
    """``bool d_is_symlink(const struct dentry *dentry)``"""
    return dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_SYMLINK_TYPE


@dup(P)
def d_can_lookup(dentry: Dentry) -> bool:
    """``bool d_can_lookup(const struct dentry *dentry)``: a directory with ->lookup."""
    return dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_DIRECTORY_TYPE


@dup(P)
def d_is_dir(dentry: Dentry) -> bool:
    """``bool d_is_dir(const struct dentry *dentry)``"""
    return dentry.d_flags & DCACHE_ENTRY_TYPE in (DCACHE_DIRECTORY_TYPE, DCACHE_AUTODIR_TYPE)


@dup(P)
def d_is_reg(dentry: Dentry) -> bool:
    """``bool d_is_reg(const struct dentry *dentry)``"""
    return dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_REGULAR_TYPE


@dup(P)
def d_count(dentry: Dentry) -> int:
    """``unsigned d_count(const struct dentry *dentry)``"""
    return dentry.d_lockref


@custom(P, "dget", "an int that changes in one step, as the C does it without the lock")
def dget(dentry: Dentry) -> Dentry:
    """``struct dentry *dget(struct dentry *dentry)``: one more reference; NULL is fine."""
    if dentry is not None:
        dentry.d_lockref += 1
        if this.watch is not None:
            this.watch.ref("dentry", dentry, 1)
    return dentry


def dentry_unlink_inode(dentry: Dentry) -> None:
    inode = dentry.d_inode
    dentry.d_flags &= ~DCACHE_ENTRY_TYPE
    dentry.d_inode = None
    inode.i_dentry.remove(dentry)
    if dentry.d_op is not None and dentry.d_op.d_iput is not None:
        dentry.d_op.d_iput(dentry, inode)
    else:
        from kemu.linux.fs.inode import iput  # noqa: PLC0415  (up into fs/inode.c)

        iput(inode)


@dup(P)
def d_lookup_done(dentry: Dentry) -> None:
    """``void d_lookup_done(struct dentry *dentry)``: ->lookup has returned; wakes who waits for the same name."""
    if dentry.d_flags & DCACHE_PAR_LOOKUP:
        from kemu.linux.fs.dcache import g as dcache_g  # noqa: PLC0415  (up into fs/dcache.c)

        dentry.d_flags &= ~DCACHE_PAR_LOOKUP
        del dcache_g.in_lookup[dentry.d_parent, dentry.d_name.name]
        if dentry.waiters is not None:
            dentry.waiters.wake()


names("dup", P, "d_inode", "d_backing_inode", "d_inode_rcu", "DCACHE_MANAGED_DENTRY")
names("dup", P, "d_really_is_negative", "d_really_is_positive")
