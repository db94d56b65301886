# SPDX-License-Identifier: GPL-2.0-only
"""Renaming (fs/namei.c). Ports import it from kemu.linux.fs and kemu.linux.namei."""
from __future__ import annotations

from typing import Any

from kemu.linux.dcache import (
    Dentry,
    d_exchange,
    d_is_dir,
    d_move,
    d_unhashed,
    dget,
    dont_mount,
    dput,
    shrink_dcache_parent,
)
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EBUSY, EEXIST, EINVAL, EMLINK, ENOTDIR, ENOTEMPTY, EPERM, EXDEV
from kemu.linux.honesty import dup
from kemu.linux.mutex import mutex_lock, mutex_unlock
from kemu.linux.path import path_put
from kemu.linux.types import Ref
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.constants import FS_RENAME_DOES_D_MOVE, MAY_WRITE, S_DEAD, S_SWAPFILE
from kemu.linux.vfs.dir_ops import is_local_mountpoint, may_create_dentry, may_delete_dentry
from kemu.linux.vfs.libfs import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.mounts import mnt_drop_write, mnt_want_write
from kemu.linux.vfs.namespace import detach_mounts
from kemu.linux.vfs.one import lookup_one_common
from kemu.linux.vfs.permission import inode_permission
from kemu.linux.vfs.types import File, Inode
from kemu.linux.vfs.walk import (
    LAST_NORM,
    LOOKUP_CREATE,
    LOOKUP_EXCL,
    LOOKUP_RENAME_TARGET,
    filename_parentat,
    lookup_one_qstr_excl,
)


@dup("include/linux/fs.h")
class renamedata:
    """``struct renamedata``"""

    __slots__ = ("delegated_inode", "flags", "mnt_idmap", "new_dentry", "new_parent", "old_dentry", "old_parent")

    def __init__(self, mnt_idmap: Any = None, old_parent: Any = None, new_parent: Any = None, flags: int = 0):
        self.mnt_idmap = mnt_idmap
        self.old_parent = old_parent
        self.old_dentry: Any = None
        self.new_parent = new_parent
        self.new_dentry: Any = None
        self.delegated_inode: Any = None
        self.flags = flags


def lock_two_directories(p1: Dentry, p2: Dentry) -> Any:
    p, q = p1, p2
    while True:
        r = p.d_parent
        if r is p2 or r is p:
            break
        p = r
    if r is p2:
        # p is a child of p2 and an ancestor of p1 or p1 itself
        inode_lock(p2.d_inode)
        inode_lock(p1.d_inode)
        return p
    # p is the root of connected component that contains p1; p2 does not occur on the path from p to p1
    while True:
        r = q.d_parent
        if r is p1 or r is p or r is q:
            break
        q = r
    if r is p1:
        # q is a child of p1 and an ancestor of p2 or p2 itself
        inode_lock(p1.d_inode)
        inode_lock(p2.d_inode)
        return q
    if r is p:
        # both p2 and p1 are descendents of p
        inode_lock(p1.d_inode)
        inode_lock(p2.d_inode)
        return None
    mutex_unlock(p1.d_sb.s_vfs_rename_mutex)
    return ERR_PTR(-EXDEV)


def lock_rename(p1: Dentry, p2: Dentry) -> Any:
    """Lock both directories: None, the child of one that is an ancestor of the other, or ERR_PTR(-EXDEV)."""
    if p1 is p2:
        inode_lock(p1.d_inode)
        return None
    mutex_lock(p1.d_sb.s_vfs_rename_mutex)
    return lock_two_directories(p1, p2)


def lock_rename_child(c1: Dentry, p2: Dentry) -> Any:
    if c1.d_parent is p2:
        inode_lock(p2.d_inode)
        if c1.d_parent is p2:
            return None
        inode_unlock(p2.d_inode)
    mutex_lock(c1.d_sb.s_vfs_rename_mutex)
    if c1.d_parent is not p2:
        return lock_two_directories(c1.d_parent, p2)
    inode_lock(p2.d_inode)
    mutex_unlock(c1.d_sb.s_vfs_rename_mutex)
    return None


def unlock_rename(p1: Dentry, p2: Dentry) -> None:
    inode_unlock(p1.d_inode)
    if p1 is not p2:
        inode_unlock(p2.d_inode)
        mutex_unlock(p1.d_sb.s_vfs_rename_mutex)


def _target_flags(rd: renamedata) -> int:
    flags = 0 if rd.flags & RENAME_EXCHANGE else LOOKUP_RENAME_TARGET | LOOKUP_CREATE
    return flags | (LOOKUP_EXCL if rd.flags & RENAME_NOREPLACE else 0)


def _trapped(rd: renamedata, trap: Any, old: Dentry, new: Dentry) -> int:
    if trap is not None and old is trap:
        return -EINVAL                          # source is an ancestor of target
    if trap is not None and new is trap:
        return -EINVAL if rd.flags & RENAME_EXCHANGE else -ENOTEMPTY
    return 0


def __start_renaming(rd: renamedata, lookup_flags: int, old_last: Qstr, new_last: Qstr) -> int:
    trap = lock_rename(rd.old_parent, rd.new_parent)
    if IS_ERR(trap):
        return PTR_ERR(trap)
    d1 = lookup_one_qstr_excl(old_last, rd.old_parent, lookup_flags)
    if IS_ERR(d1):
        unlock_rename(rd.old_parent, rd.new_parent)
        return PTR_ERR(d1)
    d2 = lookup_one_qstr_excl(new_last, rd.new_parent, lookup_flags | _target_flags(rd))
    err = PTR_ERR(d2) if IS_ERR(d2) else _trapped(rd, trap, d1, d2)
    if err:
        if not IS_ERR(d2):
            dput(d2)
        dput(d1)
        unlock_rename(rd.old_parent, rd.new_parent)
        return err
    rd.old_dentry, rd.new_dentry = d1, d2
    dget(rd.old_parent)
    return 0


@dup("fs/namei.c")
def start_renaming(rd: renamedata, lookup_flags: int, old_last: Qstr, new_last: Qstr) -> int:
    """``int start_renaming(struct renamedata *rd, int lookup_flags, struct qstr *old_last, struct qstr *new_last)``. Return: 0, -ENOENT, -EINVAL, ..."""
    err = lookup_one_common(rd.mnt_idmap, old_last, rd.old_parent) or lookup_one_common(rd.mnt_idmap, new_last, rd.new_parent)
    return err or __start_renaming(rd, lookup_flags, old_last, new_last)


def _locked_child(rd: renamedata, old_dentry: Dentry) -> tuple[Any, int]:
    """Lock for a source that is known: (trap, error); nothing is locked after an error."""
    trap = lock_rename_child(old_dentry, rd.new_parent)
    if IS_ERR(trap):
        return None, PTR_ERR(trap)
    if d_unhashed(old_dentry) or rd.old_parent is not None and rd.old_parent is not old_dentry.d_parent:
        unlock_rename(old_dentry.d_parent, rd.new_parent)
        return None, -EINVAL                    # removed, or moved and explicit parent requested
    return trap, 0


@dup("fs/namei.c")
def start_renaming_dentry(rd: renamedata, lookup_flags: int, old_dentry: Dentry, new_last: Qstr) -> int:
    """``int start_renaming_dentry(struct renamedata *rd, int lookup_flags, struct dentry *old_dentry, struct qstr *new_last)``"""
    err = lookup_one_common(rd.mnt_idmap, new_last, rd.new_parent)
    if err:
        return err
    trap, err = _locked_child(rd, old_dentry)
    if err:
        return err
    d2 = lookup_one_qstr_excl(new_last, rd.new_parent, lookup_flags | _target_flags(rd))
    err = PTR_ERR(d2) if IS_ERR(d2) else _trapped(rd, trap, old_dentry, d2)
    if err:
        if not IS_ERR(d2):
            dput(d2)
        unlock_rename(old_dentry.d_parent, rd.new_parent)
        return err
    rd.old_dentry, rd.new_dentry = dget(old_dentry), d2
    rd.old_parent = dget(old_dentry.d_parent)
    return 0


@dup("fs/namei.c")
def start_renaming_two_dentries(rd: renamedata, old_dentry: Dentry, new_dentry: Dentry) -> int:
    """``int start_renaming_two_dentries(struct renamedata *rd, struct dentry *old_dentry, struct dentry *new_dentry)``"""
    trap, err = _locked_child(rd, old_dentry)
    if err:
        return err
    if d_unhashed(new_dentry) or rd.new_parent is not new_dentry.d_parent:
        err = -EINVAL                           # removed or moved
    else:
        err = _trapped(rd, trap, old_dentry, new_dentry)
    if not err and new_dentry.d_inode is not None and rd.flags & RENAME_NOREPLACE:
        err = -EEXIST
    if err:
        unlock_rename(old_dentry.d_parent, rd.new_parent)
        return err
    rd.old_dentry, rd.new_dentry = dget(old_dentry), dget(new_dentry)
    rd.old_parent = dget(old_dentry.d_parent)
    return 0


@dup("fs/namei.c")
def end_renaming(rd: renamedata) -> None:
    """``void end_renaming(struct renamedata *rd)``"""
    unlock_rename(rd.old_parent, rd.new_parent)
    dput(rd.old_dentry)
    dput(rd.new_dentry)
    dput(rd.old_parent)


def lock_two_nondirectories(a: Inode | None, b: Inode | None) -> None:
    first = [i for i in (a, b) if i is not None]
    for inode in sorted(first, key=lambda i: i.i_ino) if len(first) == 2 and a is not b else first[:1]:
        inode_lock(inode)


@dup("fs/namei.c")
def vfs_rename(rd: renamedata) -> int:
    """``int vfs_rename(struct renamedata *rd)``: between start_renaming() and end_renaming().

    Return: 0, -EPERM, -EBUSY (a mountpoint), -EXDEV, -ENOTDIR, -EISDIR, -ENOTEMPTY, -EMLINK, what ->rename says.
    """
    old_dir, new_dir = rd.old_parent.d_inode, rd.new_parent.d_inode
    old_dentry, new_dentry = rd.old_dentry, rd.new_dentry
    flags = rd.flags
    is_dir = d_is_dir(old_dentry)
    source, target = old_dentry.d_inode, new_dentry.d_inode
    new_is_dir = False
    max_links = new_dir.i_sb.s_max_links

    if source is target:
        return 0
    error = may_delete_dentry(rd.mnt_idmap, old_dir, old_dentry, is_dir)
    if error:
        return error
    if target is None:
        error = may_create_dentry(rd.mnt_idmap, new_dir, new_dentry)
    else:
        new_is_dir = d_is_dir(new_dentry)
        error = may_delete_dentry(rd.mnt_idmap, new_dir, new_dentry, new_is_dir if flags & RENAME_EXCHANGE else is_dir)
    if error:
        return error
    if old_dir.i_op.rename is None:
        return -EPERM
    # If we are going to change the parent - check write permissions, we'll need to flip '..'.
    if new_dir is not old_dir:
        if is_dir:
            error = inode_permission(rd.mnt_idmap, source, MAY_WRITE)
            if error:
                return error
        if flags & RENAME_EXCHANGE and new_is_dir:
            error = inode_permission(rd.mnt_idmap, target, MAY_WRITE)
            if error:
                return error
    dget(new_dentry)
    lock_old_subdir = new_dir is not old_dir
    lock_new_subdir = new_dir is not old_dir or not flags & RENAME_EXCHANGE
    if is_dir:
        if lock_old_subdir:
            inode_lock(source)
        if target is not None and (not new_is_dir or lock_new_subdir):
            inode_lock(target)
    elif new_is_dir:
        if lock_new_subdir:
            inode_lock(target)
        inode_lock(source)
    else:
        lock_two_nondirectories(source, target)

    if source.i_flags & S_SWAPFILE or target is not None and target.i_flags & S_SWAPFILE:
        error = -EPERM
    elif is_local_mountpoint(old_dentry) or is_local_mountpoint(new_dentry):
        error = -EBUSY
    elif max_links and new_dir is not old_dir and (
            is_dir and not new_is_dir and new_dir.i_nlink >= max_links
            or flags & RENAME_EXCHANGE and not is_dir and new_is_dir and old_dir.i_nlink >= max_links):
        error = -EMLINK
    else:
        error = old_dir.i_op.rename(rd.mnt_idmap, old_dir, old_dentry, new_dir, new_dentry, flags)
    if not error:
        if not flags & RENAME_EXCHANGE and target is not None:
            if is_dir:
                shrink_dcache_parent(new_dentry)
                target.i_flags |= S_DEAD
            dont_mount(new_dentry)
            detach_mounts(new_dentry)
        if not old_dir.i_sb.s_type.fs_flags & FS_RENAME_DOES_D_MOVE:
            if not flags & RENAME_EXCHANGE:
                d_move(old_dentry, new_dentry)
            else:
                d_exchange(old_dentry, new_dentry)
    if not is_dir or lock_old_subdir:
        inode_unlock(source)
    if target is not None and (not new_is_dir or lock_new_subdir):
        inode_unlock(target)
    dput(new_dentry)
    return int(error)


@dup("fs/namei.c")
def filename_renameat2(olddfd: int | File, from_: Any, newdfd: int | File, to: Any, flags: int) -> int:
    """``int filename_renameat2(int olddfd, struct filename *from, int newdfd, struct filename *to, unsigned int flags)``"""
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        return -EINVAL
    if flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) and flags & RENAME_EXCHANGE:
        return -EINVAL
    old_path, new_path, old_last, new_last = Path(), Path(), Ref(), Ref()
    error = filename_parentat(olddfd, from_, 0, old_path, old_last)
    if error:
        return error
    error = filename_parentat(newdfd, to, 0, new_path, new_last)
    if error:
        path_put(old_path)
        return error
    old_name, old_slash, old_type = old_last.v
    new_name, new_slash, new_type = new_last.v
    if old_path.mnt is not new_path.mnt:
        error = -EXDEV
    elif old_type != LAST_NORM:
        error = -EBUSY
    elif new_type != LAST_NORM:
        error = -EEXIST if flags & RENAME_NOREPLACE else -EBUSY
    else:
        error = mnt_want_write(old_path.mnt)
        if not error:
            rd = renamedata(old_path.mnt.mnt_idmap, old_path.dentry, new_path.dentry, flags)
            error = __start_renaming(rd, 0, Qstr(old_name), Qstr(new_name))
            if not error:
                if flags & RENAME_EXCHANGE and not d_is_dir(rd.new_dentry) and new_slash:
                    error = -ENOTDIR
                elif not d_is_dir(rd.old_dentry) and (old_slash or not flags & RENAME_EXCHANGE and new_slash):
                    error = -ENOTDIR
                else:
                    error = vfs_rename(rd)
                end_renaming(rd)
            mnt_drop_write(old_path.mnt)
    path_put(new_path)
    path_put(old_path)
    return error
