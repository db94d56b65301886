# SPDX-License-Identifier: GPL-2.0-only
"""From a mountpoint to what is mounted on it, and back (fs/namei.c). Ports import it from kemu.linux.namei."""
from __future__ import annotations

from kemu.linux.dcache import (
    DCACHE_ENTRY_TYPE,
    DCACHE_MANAGE_TRANSIT,
    DCACHE_MANAGED_DENTRY,
    DCACHE_MOUNTED,
    DCACHE_NEED_AUTOMOUNT,
    dget,
    dput,
)
from kemu.linux.errno import ENOENT, EXDEV
from kemu.linux.honesty import dup
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.mounts import Mount, g, lookup_mnt, mnt_has_parent, mntget, mntput
from kemu.linux.vfs.nameidata import (
    LOOKUP_NO_XDEV,
)


@dup("fs/namei.c")
def follow_up(path: Path) -> int:
    """``int follow_up(struct path *path)``: to the mountpoint in the parent mount. Return: 1, or 0 at the root."""
    mnt = path.mnt
    read_seqlock_excl(g.mount_lock)
    parent = mnt.mnt_parent
    if parent is mnt:
        read_sequnlock_excl(g.mount_lock)
        return 0
    mntget(parent)
    mountpoint = dget(mnt.mnt_mountpoint)
    read_sequnlock_excl(g.mount_lock)
    dput(path.dentry)
    path.dentry = mountpoint
    mntput(path.mnt)
    path.mnt = parent
    return 1


def choose_mountpoint(m: Mount, root: Path, path: Path) -> bool:
    while mnt_has_parent(m):
        mountpoint = m.mnt_mountpoint
        m = m.mnt_parent
        if root.dentry is mountpoint and root.mnt is m:
            return False
        if mountpoint is not m.mnt_root:
            path.mnt = mntget(m)
            path.dentry = dget(mountpoint)
            return True
    return False


def traverse_mounts(path: Path, lookup_flags: int) -> tuple[int, bool]:
    """Descend into what is mounted on ``path``: (0 or an error, whether a mount was crossed)."""
    flags = path.dentry.d_flags
    mnt = path.mnt
    need_mntput = False
    ret = 0
    while flags & DCACHE_MANAGED_DENTRY:
        if flags & DCACHE_MANAGE_TRANSIT:
            if lookup_flags & LOOKUP_NO_XDEV:
                ret = -EXDEV
                break
            ret = path.dentry.d_op.d_manage(path, False)
            flags = path.dentry.d_flags
            if ret < 0:
                break
        if flags & DCACHE_MOUNTED:
            mounted = lookup_mnt(path)
            if mounted is not None:
                dput(path.dentry)
                if need_mntput:
                    mntput(path.mnt)
                path.mnt = mounted
                path.dentry = dget(mounted.mnt_root)
                flags = path.dentry.d_flags
                need_mntput = True
                if lookup_flags & LOOKUP_NO_XDEV:
                    ret = -EXDEV
                    break
                continue
        if not flags & DCACHE_NEED_AUTOMOUNT:
            break
        break                                   # no file system here has automount points
    if need_mntput and path.mnt is mnt:
        mntput(path.mnt)
    if not ret and not flags & DCACHE_ENTRY_TYPE:
        ret = -ENOENT
    return ret, need_mntput


@dup("fs/namei.c")
def follow_down(path: Path, flags: int) -> int:
    """``int follow_down(struct path *path, unsigned int flags)``"""
    mnt = path.mnt
    ret, _ = traverse_mounts(path, flags)
    if path.mnt is not mnt:
        mntput(mnt)
    return ret
