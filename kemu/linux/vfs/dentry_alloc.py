# SPDX-License-Identifier: GPL-2.0-only
"""New dentries, and dentries of an inode (fs/dcache.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR
from kemu.linux.errno import ENOMEM, ESTALE
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup
from kemu.linux.slab import SLAB_PANIC, kmem_cache_alloc, kmem_cache_create, kmem_cache_free
from kemu.linux.stat import S_ISDIR, S_ISREG
from kemu.linux.super_types import SuperBlock
from kemu.linux.vfs import inode as _inode
from kemu.linux.vfs.basic import QSTR, Qstr
from kemu.linux.vfs.constants import I_CREATING, I_NEW, IOP_LOOKUP, IOP_NOFOLLOW, S_AUTOMOUNT
from kemu.linux.vfs.dentry import (
    DCACHE_AUTODIR_TYPE,
    DCACHE_DIRECTORY_TYPE,
    DCACHE_DISCONNECTED,
    DCACHE_ENTRY_TYPE,
    DCACHE_MISS_TYPE,
    DCACHE_NEED_AUTOMOUNT,
    DCACHE_NORCU,
    DCACHE_REGULAR_TYPE,
    DCACHE_SPECIAL_TYPE,
    DCACHE_SYMLINK_TYPE,
    HOW,
    Dentry,
    dget,
    dput,
    g,
)
from kemu.linux.vfs.types import Inode
from kemu.machine.current import NULL, this


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


@custom("fs/dcache.c", "d_alloc", HOW)
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
def d_alloc_anon(sb: SuperBlock) -> Dentry:
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


@custom("fs/dcache.c", "d_instantiate", HOW)
def d_instantiate(entry: Dentry, inode: Inode | None) -> None:
    """``void d_instantiate(struct dentry *entry, struct inode *inode)``: the negative dentry takes the caller's inode reference."""
    BUG_ON(entry.d_inode is not None)
    if inode is not None:
        _set_inode(entry, inode)


@custom("fs/dcache.c", "d_instantiate_new", HOW)
def d_instantiate_new(entry: Dentry, inode: Inode) -> None:
    """``void d_instantiate_new(struct dentry *entry, struct inode *inode)``: d_instantiate() and unlock_new_inode()."""
    BUG_ON(entry.d_inode is not None)
    _set_inode(entry, inode)
    WARN_ON(not inode.i_state & I_NEW)
    inode.i_state &= ~(I_NEW | I_CREATING)
    _inode.inode_wake_up_bit(inode)


@dup("fs/dcache.c")
def d_make_root(root_inode: Inode | None) -> Dentry:
    """``struct dentry *d_make_root(struct inode *root_inode)``: takes the inode reference, also on failure. None on failure."""
    if root_inode is None:
        return NULL             # type: ignore[no-any-return]
    res = d_alloc_anon(root_inode.i_sb)
    if res is not None:
        d_instantiate(res, root_inode)
    else:
        _inode.iput(root_inode)
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
    _inode.iput(inode)
    return res             # type: ignore[no-any-return]


@custom("fs/dcache.c", "d_obtain_alias", HOW)
def d_obtain_alias(inode: Any) -> Dentry:
    """``struct dentry *d_obtain_alias(struct inode *inode)``: any dentry of the inode, a disconnected new one if there is none.

    Takes the inode reference. Return: ERR_PTR(-ESTALE) for NULL, ``inode`` if that is an error, ERR_PTR(-ENOMEM).
    """
    return __d_obtain_alias(inode, True)


@custom("fs/dcache.c", "d_obtain_root", HOW)
def d_obtain_root(inode: Any) -> Any:
    """``struct dentry *d_obtain_root(struct inode *inode)``: as d_obtain_alias(), for the root of a mount."""
    return __d_obtain_alias(inode, False)


@custom("fs/dcache.c", "d_find_any_alias", HOW)
def d_find_any_alias(inode: Inode) -> Dentry | None:
    """``struct dentry *d_find_any_alias(struct inode *inode)``: referenced, or None."""
    return dget(inode.i_dentry[0]) if inode.i_dentry else None


@custom("fs/dcache.c", "d_find_alias", HOW)
def d_find_alias(inode: Inode) -> Dentry | None:
    """``struct dentry *d_find_alias(struct inode *inode)``: a hashed alias, or a directory's only one."""
    for alias in inode.i_dentry:
        if S_ISDIR(inode.i_mode) or alias.d_hashed:
            return dget(alias)
    return None
