# SPDX-License-Identifier: GPL-2.0-only
"""The directory that the last long path led to, where nobody listens.

An archive with a deep tree names each of its directories from the root: component by component that is a square number of steps. A walk by a task
that may do everything, through directories that live in the dcache alone, has no effect but its end; so the next path with the same beginning
goes on from there. Whatever takes a name away or puts something over it (``dentry_g.moved`` counts that) ends this knowledge.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import CAP_FULL_SET
from kemu.linux.cred import g as cred_g
from kemu.linux.statics import statics
from kemu.linux.vfs.dentry import DCACHE_MANAGED_DENTRY, Dentry
from kemu.linux.vfs.dentry import g as dentry_g
from kemu.machine.current import this

LONG = 128                  # bytes: shorter paths are walked

g = statics(start=None, prefix=b"", dir=None, moved=-1)


def plain_lookup() -> Any:
    """->lookup of directories that live in the dcache alone, where nobody listens and the task may do everything; else None."""
    if this.chooser is not None or this.watch is not None:
        return None
    cred = this.task.cred
    if (cred_g.init_cred if cred is None else cred).caps != CAP_FULL_SET:
        return None
    from kemu.linux.vfs.libfs import simple_lookup

    return simple_lookup


def beginning(start: Dentry, name: bytes) -> tuple[Dentry, int]:
    """The directory to which a beginning of ``name`` is known to lead from ``start``, and its length; (start, 0) if none is."""
    if g.start is not start or g.moved != dentry_g.moved:
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


def remember(start: Dentry, prefix: bytes, dir: Dentry) -> None:
    """``prefix``, which ends with a slash and begins with none, leads from ``start`` to ``dir``."""
    g.start, g.prefix, g.dir, g.moved = start, prefix, dir, dentry_g.moved


def is_step(parent: Any, child: Dentry, lookup: Any) -> bool:
    """Whether the step from ``parent`` to the directory ``child`` is one that may be left out next time."""
    inode = child.d_inode
    return (child.d_parent is parent and inode is not None and not child.d_flags & DCACHE_MANAGED_DENTRY and inode.i_op.lookup is lookup
            and inode.i_op.permission is None)
