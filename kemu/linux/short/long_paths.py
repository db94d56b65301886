# SPDX-License-Identifier: GPL-2.0-only
"""A long path goes on where an earlier one with the same beginning has ended.

An archive with a deep tree names each of its directories from the root: component by component that is a square number of steps.
A walk by a task that may do everything, through directories that live in the dcache alone, has no effect but its end. Whatever
takes a directory's name away or puts something over it ends this knowledge.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.fs.dcache import __d_drop, __d_move, d_set_mounted, dput
from kemu.linux.fs.libfs import simple_lookup
from kemu.linux.fs.namei import ND_JUMPED, link_path_walk, nameidata
from kemu.linux.include.cred import CAP_FULL_SET, current_cred
from kemu.linux.include.dcache import (
    DCACHE_DIRECTORY_TYPE,
    DCACHE_ENTRY_TYPE,
    DCACHE_MANAGED_DENTRY,
    Dentry,
    dentry_unlink_inode,
    dget,
)
from kemu.linux.include.namei import LOOKUP_IS_SCOPED
from kemu.linux.include.path import Path
from kemu.machine.current import NULL
from kemu.machine.series import ShortForms
from kemu.machine.statics import statics

LONG = 128                  # bytes: shorter paths are walked

short = ShortForms("short: long paths", packages=("kemu.linux",), stands_for=("kemu.linux",),
                   title="walks that begin where another has ended")

@statics
class g:
    start: Dentry = NULL            # where the last long walk began,
    prefix = b""                    # what of its path, which ends with a slash and begins with none,
    dir: Dentry = NULL              # led to which directory;
    then = -1                       # the count of moves then
    moved = 0                       # and now


def _beginning(start: Dentry, name: bytes) -> tuple[Dentry, int]:
    """The directory to which a beginning of ``name`` is known to lead from ``start``, and its length; (start, 0) if none is."""
    if g.start is not start or g.then != g.moved:
        return start, 0
    prefix: bytes = g.prefix
    if name.startswith(prefix):
        return g.dir, len(prefix)
    low, high = 0, min(len(prefix), len(name))      # how much is the same
    while low < high:
        mid = (low + high + 1) // 2
        if name[low:mid] == prefix[low:mid]:
            low = mid
        else:
            high = mid - 1
    n = prefix.rfind(b"/", 0, low) + 1
    dir = g.dir
    for part in prefix[n:].split(b"/"):
        if part:
            dir = dir.d_parent
    return (dir, n) if n else (start, 0)


def _leads(at: Dentry, names: bytes, dir: Dentry) -> bool:
    """Whether ``names`` are the plain directories between ``at`` and ``dir``."""
    for part in reversed(names.split(b"/")):
        if part:
            inode = dir.d_inode
            if (dir.d_name.name != part or dir is at or inode is None or dir.d_flags & DCACHE_MANAGED_DENTRY or not dir.d_hashed
                    or inode.i_op.lookup is not simple_lookup or inode.i_op.permission is not None):
                return False
            dir = dir.d_parent
    return dir is at


@short.replaces(link_path_walk)
def link_path_walk_on(name: Any, nd: nameidata) -> int:
    """link_path_walk(): the part of a long path that an earlier walk has gone is not gone again."""
    if type(name) is int or len(name) <= LONG or nd.flags & LOOKUP_IS_SCOPED or current_cred().caps != CAP_FULL_SET:
        return link_path_walk(name, nd)
    path = name.lstrip(b"/")
    start = at = nd.path.dentry
    op = nd.inode.i_op
    n = 0
    if op.lookup is simple_lookup and op.permission is None:
        at, n = _beginning(start, path)
        if n >= len(path) or path[n] == 0x2F:
            at, n = start, 0
    if n:
        nd.path = Path(nd.path.mnt, dget(at))
        dput(start)
        nd.inode = at.d_inode
        nd.state &= ~ND_JUMPED          # as after any name on the way
        name = path[n:]
    err = link_path_walk(name, nd)
    end = path.rstrip(b"/").rfind(b"/") + 1
    if not err and end > n and _leads(at, path[n:end], nd.path.dentry):
        g.start, g.prefix, g.dir, g.then = start, path[:end], nd.path.dentry, g.moved
    return err


@short.replaces(__d_drop)
def d_drop_and_count(dentry: Dentry) -> None:
    """__d_drop()"""
    if dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_DIRECTORY_TYPE:
        g.moved += 1
    __d_drop(dentry)


@short.replaces(dentry_unlink_inode)
def dentry_unlink_inode_and_count(dentry: Dentry) -> None:
    """dentry_unlink_inode()"""
    if dentry.d_flags & DCACHE_ENTRY_TYPE == DCACHE_DIRECTORY_TYPE:
        g.moved += 1
    dentry_unlink_inode(dentry)


@short.replaces(__d_move)
def d_move_and_count(dentry: Dentry, target: Dentry) -> None:
    """__d_move()"""
    g.moved += 1
    __d_move(dentry, target)


@short.replaces(d_set_mounted)
def d_set_mounted_and_count(dentry: Dentry) -> int:
    """d_set_mounted()"""
    g.moved += 1
    return d_set_mounted(dentry)
