# SPDX-License-Identifier: GPL-2.0-only
"""Changing attributes (fs/attr.c and the attribute calls of fs/open.c). Ports import it from kemu.linux.fs."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG, WARN_ON_ONCE
from kemu.linux.cred import CAP_CHOWN, CAP_FSETID, capable_wrt_inode_uidgid, current_fsuid, in_group_p
from kemu.linux.dcache import Dentry
from kemu.linux.errno import EFBIG, EINVAL, EISDIR, EOPNOTSUPP, EOVERFLOW, EPERM
from kemu.linux.honesty import dup
from kemu.linux.stat import S_IALLUGO, S_IFDIR, S_IFMT, S_IFREG, S_ISDIR, S_ISGID, S_ISLNK, S_ISUID
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_CTIME_SET,
    ATTR_FILE,
    ATTR_FORCE,
    ATTR_GID,
    ATTR_KILL_PRIV,
    ATTR_KILL_SGID,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    ATTR_OPEN,
    ATTR_SIZE,
    ATTR_TIMES_SET,
    ATTR_TOUCH,
    ATTR_UID,
    MAY_WRITE,
    S_APPEND,
    S_IMMUTABLE,
    S_NOSEC,
)
from kemu.linux.vfs.inode_attr import (
    current_time,
    inode_set_atime_to_ts,
    inode_set_ctime_to_ts,
    inode_set_mtime_to_ts,
    timestamp_truncate,
)
from kemu.linux.vfs.locking import inode_is_locked, inode_lock, inode_unlock
from kemu.linux.vfs.mounts import mnt_drop_write, mnt_want_write
from kemu.linux.vfs.permission import inode_owner_or_capable, inode_permission
from kemu.linux.vfs.types import File, Inode, iattr

INVALID_ID = 0xFFFF_FFFF


@dup("fs/attr.c")
def inode_newsize_ok(inode: Inode, offset: int) -> int:
    """``int inode_newsize_ok(const struct inode *inode, loff_t offset)``. Return: 0, -EINVAL, -EFBIG."""
    if offset < 0:
        return -EINVAL
    if inode.i_size < offset and offset > inode.i_sb.s_maxbytes:
        return -EFBIG
    return 0


def in_group_or_capable(idmap: Any, inode: Inode, gid: int) -> bool:
    return in_group_p(gid) or capable_wrt_inode_uidgid(idmap, inode, CAP_FSETID)


@dup("fs/attr.c")
def setattr_prepare(idmap: Any, dentry: Dentry, attr: iattr) -> int:
    """``int setattr_prepare(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)``. Return: 0, -EPERM, -EINVAL, -EFBIG."""
    inode = dentry.d_inode
    valid = attr.ia_valid
    if valid & ATTR_SIZE:
        error = inode_newsize_ok(inode, attr.ia_size)
        if error:
            return error
    if valid & ATTR_FORCE:
        return _kill_priv(idmap, dentry) if valid & ATTR_KILL_PRIV else 0
    owner = inode.i_uid == current_fsuid()
    chown = capable_wrt_inode_uidgid(idmap, inode, CAP_CHOWN)
    if valid & ATTR_UID and not (owner and attr.ia_uid == inode.i_uid or chown):
        return -EPERM
    if valid & ATTR_GID and not (owner and (attr.ia_gid == inode.i_gid or in_group_p(attr.ia_gid)) or chown):
        return -EPERM
    if valid & ATTR_MODE:
        if not inode_owner_or_capable(idmap, inode):
            return -EPERM
        if not in_group_or_capable(idmap, inode, attr.ia_gid if valid & ATTR_GID else inode.i_gid):
            attr.ia_mode &= ~S_ISGID
    if valid & (ATTR_MTIME_SET | ATTR_ATIME_SET | ATTR_TIMES_SET) and not inode_owner_or_capable(idmap, inode):
        return -EPERM
    return _kill_priv(idmap, dentry) if valid & ATTR_KILL_PRIV else 0


def _kill_priv(idmap: Any, dentry: Dentry) -> int:
    """kill_priv: of setattr_prepare()"""
    from kemu.linux.commoncap import cap_inode_killpriv

    return cap_inode_killpriv(idmap, dentry)


@dup("fs/attr.c")
def setattr_copy(idmap: Any, inode: Inode, attr: iattr) -> None:
    """``void setattr_copy(struct mnt_idmap *idmap, struct inode *inode, const struct iattr *attr)``"""
    valid = attr.ia_valid
    if valid & ATTR_UID:
        inode.i_uid = attr.ia_uid
    if valid & ATTR_GID:
        inode.i_gid = attr.ia_gid
    if valid & ATTR_MODE:
        mode = attr.ia_mode
        if not in_group_or_capable(idmap, inode, inode.i_gid):
            mode &= ~S_ISGID
        inode.i_mode = mode
    if valid & ATTR_ATIME:
        inode_set_atime_to_ts(inode, attr.ia_atime)
    if valid & ATTR_MTIME:
        inode_set_mtime_to_ts(inode, attr.ia_mtime)
    if valid & (ATTR_CTIME | ATTR_CTIME_SET):
        inode_set_ctime_to_ts(inode, attr.ia_ctime)


def _need_killpriv(dentry: Dentry) -> int:
    """security_inode_need_killpriv(): above 0 if the file has capabilities; asks only where there may be attributes at all."""
    if dentry.d_inode.i_sb.s_xattr is None:
        return 0
    from kemu.linux.commoncap import cap_inode_need_killpriv

    return cap_inode_need_killpriv(dentry)


@dup("fs/attr.c")
def notify_change(idmap: Any, dentry: Dentry, attr: iattr, delegated_inode: Any = None) -> int:
    """``int notify_change(idmap, dentry, attr, delegated_inode)``. Context: the inode is locked for writing.

    Return: 0, -EPERM, -EOPNOTSUPP (mode of a symlink), -EOVERFLOW, or what ->setattr says.
    """
    inode = dentry.d_inode
    valid = attr.ia_valid
    WARN_ON_ONCE(not inode_is_locked(inode))
    if valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES_SET) and inode.i_flags & (S_IMMUTABLE | S_APPEND):
        return -EPERM
    if valid & ATTR_TOUCH:
        if inode.i_flags & S_IMMUTABLE:
            return -EPERM
        if not inode_owner_or_capable(idmap, inode):
            error = inode_permission(idmap, inode, MAY_WRITE)
            if error:
                return error
    if valid & ATTR_MODE:
        if S_ISLNK(inode.i_mode):
            return -EOPNOTSUPP
        if attr.ia_mode & S_ISUID or attr.ia_mode & 0o2010 == 0o2010:
            inode.i_flags &= ~S_NOSEC
    now = current_time(inode)
    attr.ia_atime = timestamp_truncate(attr.ia_atime, inode) if valid & ATTR_ATIME_SET else now
    attr.ia_ctime = timestamp_truncate(attr.ia_ctime, inode) if valid & ATTR_CTIME_SET else now
    attr.ia_mtime = timestamp_truncate(attr.ia_mtime, inode) if valid & ATTR_MTIME_SET else now
    if valid & ATTR_KILL_PRIV:
        error = _need_killpriv(dentry)
        if error < 0:
            return error
        if not error:
            valid = attr.ia_valid = valid & ~ATTR_KILL_PRIV
    if valid & (ATTR_KILL_SUID | ATTR_KILL_SGID) and valid & ATTR_MODE:
        BUG()
    for kill, bit in ((ATTR_KILL_SUID, S_ISUID), (ATTR_KILL_SGID, S_ISGID)):
        if valid & kill and inode.i_mode & bit:
            if not attr.ia_valid & ATTR_MODE:
                attr.ia_valid |= ATTR_MODE
                attr.ia_mode = inode.i_mode
            attr.ia_mode &= ~bit
    valid = attr.ia_valid
    if not valid & ~(ATTR_KILL_SUID | ATTR_KILL_SGID):
        return 0
    if not valid & ATTR_UID and inode.i_uid == INVALID_ID or not valid & ATTR_GID and inode.i_gid == INVALID_ID:
        return -EOVERFLOW
    if inode.i_op.setattr is not None:
        return int(inode.i_op.setattr(idmap, dentry, attr))
    from kemu.linux.vfs.libfs import simple_setattr

    return simple_setattr(idmap, dentry, attr)


def _locked_change(path: Path, attr: iattr) -> int:
    inode = path.dentry.d_inode
    inode_lock(inode)
    error = notify_change(path.mnt.mnt_idmap, path.dentry, attr)
    inode_unlock(inode)
    return error


@dup("fs/open.c")
def do_truncate(idmap: Any, dentry: Dentry, length: int, time_attrs: int, filp: File | None) -> int:
    """``int do_truncate(idmap, dentry, length, time_attrs, filp)``"""
    if length < 0:
        return -EINVAL
    attr = iattr(ia_size=length, ia_valid=ATTR_SIZE | time_attrs)
    if filp is not None:
        attr.ia_file = filp
        attr.ia_valid |= ATTR_FILE
    mode = dentry.d_inode.i_mode
    if mode & (S_ISUID | S_ISGID) and not capable_wrt_inode_uidgid(idmap, dentry.d_inode, CAP_FSETID):
        attr.ia_valid |= ATTR_KILL_SUID | (ATTR_KILL_SGID if mode & 0o010 else 0) | ATTR_FORCE
    inode = dentry.d_inode
    ret = 0 if inode.i_flags & S_NOSEC else _need_killpriv(dentry)
    if ret < 0:
        return ret
    if ret:
        attr.ia_valid |= ATTR_KILL_PRIV | ATTR_FORCE
    inode_lock(inode)
    ret = notify_change(idmap, dentry, attr)
    inode_unlock(inode)
    return ret


@dup("fs/open.c")
def vfs_truncate(path: Path, length: int) -> int:
    """``int vfs_truncate(const struct path *path, loff_t length)``. Return: 0, -EISDIR, -EINVAL, -EPERM, -EROFS, ..."""
    inode = path.dentry.d_inode
    kind = inode.i_mode & S_IFMT
    if kind == S_IFDIR:
        return -EISDIR
    if kind != S_IFREG:
        return -EINVAL
    error = inode_permission(path.mnt.mnt_idmap, inode, MAY_WRITE)
    if error:
        return error
    error = mnt_want_write(path.mnt)
    if error:
        return error
    error = -EPERM if inode.i_flags & S_APPEND else do_truncate(path.mnt.mnt_idmap, path.dentry, length, 0, None)
    mnt_drop_write(path.mnt)
    return error


@dup("fs/open.c")
def chmod_common(path: Path, mode: int) -> int:
    """``int chmod_common(const struct path *path, umode_t mode)``"""
    inode = path.dentry.d_inode
    error = mnt_want_write(path.mnt)
    if error:
        return error
    error = _locked_change(path, iattr(ia_mode=mode & S_IALLUGO | inode.i_mode & ~S_IALLUGO, ia_valid=ATTR_MODE | ATTR_CTIME))
    mnt_drop_write(path.mnt)
    return error


@dup("fs/open.c")
def chown_common(path: Path, user: int, group: int) -> int:
    """``int chown_common(const struct path *path, uid_t user, gid_t group)``: (uid_t)-1 leaves it. Context: write access to the mount."""
    inode = path.dentry.d_inode
    attr = iattr(ia_valid=ATTR_CTIME)
    if user & INVALID_ID != INVALID_ID:
        attr.ia_valid |= ATTR_UID
        attr.ia_uid = user
    if group & INVALID_ID != INVALID_ID:
        attr.ia_valid |= ATTR_GID
        attr.ia_gid = group
    mode = inode.i_mode
    if not S_ISDIR(mode):
        attr.ia_valid |= ATTR_KILL_SUID | (ATTR_KILL_SGID if mode & 0o010 else 0) | ATTR_KILL_PRIV
    return _locked_change(path, attr)


@dup("fs/open.c")
def vfs_fchown(file: File, user: int, group: int) -> int:
    """``int vfs_fchown(struct file *file, uid_t user, gid_t group)``"""
    path = file.f_path
    mnt = path.mnt
    error = mnt_want_write(mnt)
    if error:
        return error
    error = chown_common(path, user, group)
    mnt_drop_write(mnt)
    return error


@dup("fs/open.c")
def vfs_fchmod(file: File, mode: int) -> int:
    """``int vfs_fchmod(struct file *file, umode_t mode)``"""
    return chmod_common(file.f_path, mode)


@dup("fs/utimes.c")
def vfs_utimes(path: Path, times: Any) -> int:
    """``int vfs_utimes(const struct path *path, struct timespec64 *times)``: (atime, mtime), or None for now.

    Return: 0, -EINVAL for nanoseconds out of range, -EPERM, -EROFS.
    """
    error = mnt_want_write(path.mnt)
    if error:
        return error
    attr = iattr(ia_valid=ATTR_CTIME | ATTR_MTIME | ATTR_ATIME)
    if times is not None:
        if any(not 0 <= t.tv_nsec < 1_000_000_000 for t in times):
            mnt_drop_write(path.mnt)
            return -EINVAL
        attr.ia_atime, attr.ia_mtime = times
        attr.ia_valid |= ATTR_ATIME_SET | ATTR_MTIME_SET | ATTR_TIMES_SET
    else:
        attr.ia_valid |= ATTR_TOUCH
    error = _locked_change(path, attr)
    mnt_drop_write(path.mnt)
    return error


__all__ = ["ATTR_CTIME", "ATTR_MTIME", "ATTR_OPEN", "S_IFMT", "chmod_common", "chown_common", "do_truncate", "in_group_or_capable", "inode_newsize_ok",
           "notify_change", "setattr_copy", "setattr_prepare", "vfs_fchmod", "vfs_fchown", "vfs_truncate", "vfs_utimes"]
