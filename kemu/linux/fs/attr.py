# SPDX-License-Identifier: GPL-2.0-only
"""Changing attributes (fs/attr.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG, WARN_ON_ONCE
from kemu.linux.errno import EFBIG, EINVAL, EOPNOTSUPP, EOVERFLOW, EPERM
from kemu.linux.fs.inode import (
    current_time,
    in_group_or_capable,
    inode_owner_or_capable,
    inode_set_ctime_to_ts,
    timestamp_truncate,
)
from kemu.linux.fs.libfs import simple_setattr
from kemu.linux.fs.namei import inode_permission
from kemu.linux.fs.open import _kill_priv, _need_killpriv
from kemu.linux.include.cred import CAP_CHOWN, current_fsuid, in_group_p
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.calls import inode_is_locked, inode_set_atime_to_ts, inode_set_mtime_to_ts
from kemu.linux.include.fs.constants import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_CTIME_SET,
    ATTR_FORCE,
    ATTR_GID,
    ATTR_KILL_PRIV,
    ATTR_KILL_SGID,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    ATTR_SIZE,
    ATTR_TIMES_SET,
    ATTR_TOUCH,
    ATTR_UID,
    INVALID_ID,
    MAY_WRITE,
    S_APPEND,
    S_IMMUTABLE,
    S_NOSEC,
)
from kemu.linux.include.fs.types import Inode, iattr
from kemu.linux.kernel.capability import capable_wrt_inode_uidgid
from kemu.linux.port.honesty import dup
from kemu.linux.stat import S_ISGID, S_ISLNK, S_ISUID

C = "fs/attr.c"


@dup(C)
def inode_newsize_ok(inode: Inode, offset: int) -> int:
    """``int inode_newsize_ok(const struct inode *inode, loff_t offset)``. Return: 0, -EINVAL, -EFBIG."""
    if offset < 0:
        return -EINVAL
    if inode.i_size < offset and offset > inode.i_sb.s_maxbytes:
        return -EFBIG
    return 0


@dup(C)
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
    if valid & ATTR_UID and not ((owner and attr.ia_uid == inode.i_uid) or chown):
        return -EPERM
    if valid & ATTR_GID and not ((owner and (attr.ia_gid == inode.i_gid or in_group_p(attr.ia_gid))) or chown):
        return -EPERM
    if valid & ATTR_MODE:
        if not inode_owner_or_capable(idmap, inode):
            return -EPERM
        if not in_group_or_capable(idmap, inode, attr.ia_gid if valid & ATTR_GID else inode.i_gid):
            attr.ia_mode &= ~S_ISGID
    if valid & (ATTR_MTIME_SET | ATTR_ATIME_SET | ATTR_TIMES_SET) and not inode_owner_or_capable(idmap, inode):
        return -EPERM
    return _kill_priv(idmap, dentry) if valid & ATTR_KILL_PRIV else 0


@dup(C)
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


@dup(C)
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
    if (not valid & ATTR_UID and inode.i_uid == INVALID_ID) or (not valid & ATTR_GID and inode.i_gid == INVALID_ID):
        return -EOVERFLOW
    if inode.i_op.setattr is not None:
        return int(inode.i_op.setattr(idmap, dentry, attr))
    return simple_setattr(idmap, dentry, attr)
