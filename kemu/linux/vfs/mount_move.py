# SPDX-License-Identifier: GPL-2.0-only
"""Mounts that change place: bind, move, pivot_root, private clones (fs/namespace.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import CAP_SYS_ADMIN, capable
from kemu.linux.dcache import DCACHE_NORCU, Dentry, d_is_dir, d_unlinked, is_subdir
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EBUSY, EINVAL, ELOOP, ENOENT, EPERM
from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.honesty import dup
from kemu.linux.path import path_put
from kemu.linux.rwsem import down_read, up_read
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.fs_struct import chroot_fs_refs, current_fs, get_fs_root
from kemu.linux.vfs.mounts import (
    MNT_LOCKED,
    MNT_NS_INTERNAL,
    Mount,
    PinnedMountpoint,
    attach_mnt,
    g,
    lock_mount_hash,
    mnt_has_parent,
    next_mnt,
    umount_mnt,
    unlock_mount_hash,
)
from kemu.linux.vfs.namespace import (
    UMOUNT_SYNC,
    attach_recursive_mnt,
    check_mnt,
    clone_mnt,
    do_lock_mount,
    graft_tree,
    is_path_reachable,
    may_mount,
    path_mounted,
    umount_tree,
    unlock_mount,
)
from kemu.linux.vfs.pnode_list import (
    CL_COPY_MNT_NS_FILE,
    CL_COPY_UNBINDABLE,
    CL_PRIVATE,
    IS_MNT_LOCKED,
    IS_MNT_SHARED,
    IS_MNT_UNBINDABLE,
)


def _kern_path(name: str | None, flags: int, path: Path) -> int:
    from kemu.linux.vfs.walk import filename_lookup, getname

    return filename_lookup(AT_FDCWD, getname(name or ""), flags, path)


def has_locked_children(mnt: Mount, dentry: Dentry) -> bool:
    return any(c.mnt_flags & MNT_LOCKED and is_subdir(c.mnt_mountpoint, dentry) for c in mnt.mnt_mounts)


@dup("fs/namespace.c", "copy_tree")
def copy_tree(src_root: Mount, dentry: Dentry, flag: int) -> Any:
    """``struct mount *copy_tree(struct mount *src_root, struct dentry *dentry, int flag)``

    A copy of the mounts below ``dentry``; what is unbindable is left out. Return: or ERR_PTR() of -EINVAL (the root is unbindable), -EPERM, -ENOMEM.
    """
    if not flag & CL_COPY_UNBINDABLE and IS_MNT_UNBINDABLE(src_root):
        return ERR_PTR(-EINVAL)

    res = dst_mnt = clone_mnt(src_root, dentry, flag)
    if IS_ERR(dst_mnt):
        return dst_mnt

    copies: dict[Mount, Mount] = {src_root: res}
    for src_root_child in list(src_root.mnt_mounts):
        if not is_subdir(src_root_child.mnt_mountpoint, dentry):
            continue

        for src_mnt in next_mnt(src_root_child):
            dst_parent = copies.get(src_mnt.mnt_parent)
            if dst_parent is None:
                continue                # skip_mnt_tree()
            if not flag & CL_COPY_UNBINDABLE and IS_MNT_UNBINDABLE(src_mnt):
                if src_mnt.mnt_flags & MNT_LOCKED:
                    # Both unbindable and locked.
                    dst_mnt = ERR_PTR(-EPERM)
                    break
                continue
            dst_mnt = clone_mnt(src_mnt, src_mnt.mnt_root, flag)
            if IS_ERR(dst_mnt):
                break
            copies[src_mnt] = dst_mnt
            lock_mount_hash()
            if src_mnt.mnt_flags & MNT_LOCKED:
                dst_mnt.mnt_flags |= MNT_LOCKED
            assert src_mnt.mnt_mp is not None
            attach_mnt(dst_mnt, dst_parent, src_mnt.mnt_mp)
            unlock_mount_hash()
        if IS_ERR(dst_mnt):
            lock_mount_hash()
            umount_tree(res, UMOUNT_SYNC)
            unlock_mount_hash()
            return dst_mnt
    return res


@dup("fs/namespace.c", "__do_loopback")
def __do_loopback(old_path: Path, recurse: bool, copy_flags: int) -> Any:
    """``struct mount *__do_loopback(const struct path *old_path, bool recurse, unsigned int copy_flags)``: or ERR_PTR() of -EINVAL, -ENOMEM"""
    old = old_path.mnt

    if IS_MNT_UNBINDABLE(old):
        return ERR_PTR(-EINVAL)

    if not check_mnt(old):              # may_copy_tree(): there is one namespace
        return ERR_PTR(-EINVAL)

    # a pseudo dentry is freed without an RCU delay, no walk may find it
    if old_path.dentry.d_flags & DCACHE_NORCU:
        return ERR_PTR(-EINVAL)

    if not recurse and has_locked_children(old, old_path.dentry):
        return ERR_PTR(-EINVAL)

    if recurse:
        return copy_tree(old, old_path.dentry, copy_flags)

    return clone_mnt(old, old_path.dentry, copy_flags)


def do_loopback(path: Path, old_name: str | None, recurse: bool) -> int:
    """MS_BIND: what is at ``old_name`` also at ``path``."""
    if not old_name:
        return -EINVAL
    old_path = Path()
    err = _kern_path(old_name, 1 | 4, old_path)             # LOOKUP_FOLLOW | LOOKUP_AUTOMOUNT
    if err:
        return err
    mp = PinnedMountpoint()
    do_lock_mount(path, mp)
    if IS_ERR(mp.parent):
        path_put(old_path)
        return PTR_ERR(mp.parent)
    if not check_mnt(mp.parent):
        err = -EINVAL
    else:
        mnt = __do_loopback(old_path, recurse, CL_COPY_MNT_NS_FILE)
        if IS_ERR(mnt):
            err = PTR_ERR(mnt)
        else:
            err = graft_tree(mnt, mp)
            if err:
                umount_tree(mnt, UMOUNT_SYNC)
    unlock_mount(mp)
    path_put(old_path)
    return err


def mount_is_ancestor(p1: Mount, p2: Mount) -> bool:
    while p2 is not p1 and mnt_has_parent(p2):
        p2 = p2.mnt_parent
    return p2 is p1


def do_move_mount(old_path: Path, new_path: Path) -> int:
    old: Mount = old_path.mnt
    if not path_mounted(old_path) or d_is_dir(new_path.dentry) != d_is_dir(old_path.dentry):
        return -EINVAL
    mp = PinnedMountpoint()
    do_lock_mount(new_path, mp)
    if IS_ERR(mp.parent):
        return PTR_ERR(mp.parent)
    if not check_mnt(old) or not mnt_has_parent(old) or IS_MNT_LOCKED(old) or IS_MNT_SHARED(old.mnt_parent) or not check_mnt(mp.parent):
        err = -EINVAL
    elif IS_MNT_SHARED(mp.parent) and any(IS_MNT_UNBINDABLE(p) for p in next_mnt(old)):      # tree_contains_unbindable()
        err = -EINVAL
    elif mount_is_ancestor(old, mp.parent):
        err = -ELOOP
    else:
        err = attach_recursive_mnt(old, mp)
    unlock_mount(mp)
    return err


def do_move_mount_old(path: Path, old_name: str | None) -> int:
    """MS_MOVE."""
    if not old_name:
        return -EINVAL
    old_path = Path()
    err = _kern_path(old_name, 1, old_path)                 # LOOKUP_FOLLOW
    if err:
        return err
    err = do_move_mount(old_path, path)
    path_put(old_path)
    return err


@dup("fs/namespace.c")
def path_pivot_root(new: Path, old: Path) -> int:
    """``int path_pivot_root(struct path *new, struct path *old)``: ``new`` becomes the root, the old root goes to ``old``.

    Every task whose root or working directory was the old root moves. Return: 0; -EINVAL for what is no mountpoint, has no parent, is locked or
    cannot be reached; -EBUSY for the root itself; -ENOENT; -EPERM.
    """
    if not may_mount():
        return -EPERM
    root = Path()
    get_fs_root(current_fs(), root)
    old_mp = PinnedMountpoint()
    do_lock_mount(old, old_mp)
    if IS_ERR(old_mp.parent):
        path_put(root)
        return PTR_ERR(old_mp.parent)
    assert old_mp.mp is not None
    old_mnt: Mount = old_mp.parent
    new_mnt: Mount = new.mnt
    root_mnt: Mount = root.mnt
    error = 0
    if not check_mnt(root_mnt) or not check_mnt(new_mnt):
        error = -EINVAL
    elif IS_MNT_SHARED(old_mnt) or IS_MNT_SHARED(new_mnt.mnt_parent) or IS_MNT_SHARED(root_mnt.mnt_parent) or IS_MNT_LOCKED(new_mnt):
        error = -EINVAL
    elif d_unlinked(new.dentry):
        error = -ENOENT
    elif new_mnt is root_mnt or old_mnt is root_mnt:
        error = -EBUSY
    elif not path_mounted(root) or not mnt_has_parent(root_mnt) or not path_mounted(new) or not mnt_has_parent(new_mnt):
        error = -EINVAL
    elif not is_path_reachable(old_mnt, old_mp.mp.m_dentry, new) or not is_path_reachable(new_mnt, new.dentry, root):
        error = -EINVAL
    else:
        root_parent, root_mp = root_mnt.mnt_parent, root_mnt.mnt_mp
        assert root_mp is not None
        lock_mount_hash()
        umount_mnt(new_mnt)
        if root_mnt.mnt_flags & MNT_LOCKED:
            new_mnt.mnt_flags |= MNT_LOCKED
            root_mnt.mnt_flags &= ~MNT_LOCKED
        attach_mnt(new_mnt, root_parent, root_mp)
        umount_mnt(root_mnt)
        attach_mnt(root_mnt, old_mnt, old_mp.mp)
        unlock_mount_hash()
        chroot_fs_refs(root, new)
    unlock_mount(old_mp)
    path_put(root)
    return error


@dup("fs/namespace.c")
def clone_private_mount(path: Path) -> Any:
    """``struct vfsmount *clone_private_mount(const struct path *path)``: to be ended by kern_unmount(). Return: ERR_PTR of -EINVAL, -EPERM."""
    down_read(g.namespace_sem)                  # guard(namespace_shared)
    res = _clone_private_mount(path)
    up_read(g.namespace_sem)
    return res


def _clone_private_mount(path: Path) -> Any:
    """What clone_private_mount() does under its guard."""
    old_mnt: Mount = path.mnt
    if IS_MNT_UNBINDABLE(old_mnt) or not check_mnt(old_mnt):
        return ERR_PTR(-EINVAL)
    if not capable(CAP_SYS_ADMIN):
        return ERR_PTR(-EPERM)
    if has_locked_children(old_mnt, path.dentry):
        return ERR_PTR(-EINVAL)
    new_mnt = clone_mnt(old_mnt, path.dentry, CL_PRIVATE)
    if IS_ERR(new_mnt):
        return ERR_PTR(-EINVAL)
    new_mnt.mnt_ns = MNT_NS_INTERNAL
    return new_mnt
