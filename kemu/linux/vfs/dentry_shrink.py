# SPDX-License-Identifier: GPL-2.0-only
"""Evicting dentries: under pressure, and at umount (fs/dcache.c)."""
from __future__ import annotations

from kemu.linux.bug import WARN
from kemu.linux.honesty import custom
from kemu.linux.super_types import SuperBlock
from kemu.linux.vfs.dentry import (
    DCACHE_LRU_LIST,
    DCACHE_PERSISTENT,
    DCACHE_REFERENCED,
    HOW,
    Dentry,
    __d_drop,
    d_mountpoint,
    dentry_kill,
    dget,
    dput,
)
from kemu.linux.vfs.types import Inode
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue


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


@custom("fs/dcache.c", "shrink_dcache_parent", HOW)
def shrink_dcache_parent(parent: Dentry) -> None:
    """``void shrink_dcache_parent(struct dentry *parent)``: evict every unused dentry below it."""
    shrink_dcache_tree(parent, False)


@custom("fs/dcache.c", "d_invalidate", HOW)
def d_invalidate(dentry: Dentry) -> None:
    """``void d_invalidate(struct dentry *dentry)``: unhash it, evict what is unused below it, detach mounts there."""
    from kemu.linux.vfs.namespace import detach_mounts

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


@custom("fs/dcache.c", "d_prune_aliases", HOW)
def d_prune_aliases(inode: Inode) -> None:
    """``void d_prune_aliases(struct inode *inode)``: evict its unused dentries."""
    for d in list(inode.i_dentry):
        if d in inode.i_dentry:                 # else another has evicted it meanwhile
            v: Dentry | None = d
            while v is not None and not v.d_lockref:
                v = dentry_kill(v)


@custom("fs/dcache.c", "prune_dcache_sb", "takes the number of dentries to scan")
def prune_dcache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """``long prune_dcache_sb(struct super_block *sb, struct shrink_control *sc)``: evict unused dentries, oldest first; returns how many."""
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


@custom("fs/dcache.c", "shrink_dcache_sb", HOW)
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


@custom("fs/dcache.c", "shrink_dcache_for_umount", HOW)
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
