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
    inode_set_ctime_current,
    inode_set_ctime_to_ts,
    timestamp_truncate,
)
from kemu.linux.fs.libfs import simple_setattr
from kemu.linux.fs.namei import inode_permission
from kemu.linux.include.cred import CAP_CHOWN, CAP_FSETID, capable, current_fsuid, in_group_p, ns_capable
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.calls import (
    IS_APPEND,
    IS_IMMUTABLE,
    i_gid_update,
    i_uid_update,
    inode_is_locked,
    inode_set_atime_to_ts,
    inode_set_mtime_to_ts,
    is_mgtime,
    is_sxid,
)
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
    S_NOSEC,
)
from kemu.linux.include.fs.types import Inode, iattr
from kemu.linux.include.security import security_inode_killpriv, security_inode_need_killpriv
from kemu.linux.kernel.capability import capable_wrt_inode_uidgid
from kemu.linux.port.honesty import dup
from kemu.linux.stat import S_ISGID, S_ISLNK, S_ISREG, S_ISUID, S_IXGRP

C = "fs/attr.c"


@dup(C)
def setattr_should_drop_sgid(idmap: Any, inode: Inode) -> int:
    """``int setattr_should_drop_sgid(struct mnt_idmap *idmap, const struct inode *inode)``. Return: ATTR_KILL_SGID or 0."""
    mode = inode.i_mode

    if not mode & S_ISGID:
        return 0
    if mode & S_IXGRP:
        return ATTR_KILL_SGID
    if not in_group_or_capable(idmap, inode, inode.i_gid):
        return ATTR_KILL_SGID
    return 0


@dup(C)
def setattr_should_drop_suidgid(idmap: Any, inode: Inode) -> int:
    """``int setattr_should_drop_suidgid(struct mnt_idmap *idmap, struct inode *inode)``.

    Return: ATTR_KILL_SUID and ATTR_KILL_SGID, or 0.
    """
    mode = inode.i_mode
    kill = 0

    # suid always must be killed
    if mode & S_ISUID:
        kill = ATTR_KILL_SUID

    kill |= setattr_should_drop_sgid(idmap, inode)

    if kill and not capable(CAP_FSETID) and S_ISREG(mode):
        return kill

    return 0


@dup(C)
def chown_ok(idmap: Any, inode: Inode, ia_vfsuid: int) -> bool:
    """``static bool chown_ok(struct mnt_idmap *idmap, const struct inode *inode, vfsuid_t ia_vfsuid)``"""
    vfsuid = inode.i_uid
    if vfsuid == current_fsuid() and ia_vfsuid == vfsuid:
        return True
    if capable_wrt_inode_uidgid(idmap, inode, CAP_CHOWN):
        return True
    if vfsuid == INVALID_ID and ns_capable(inode.i_sb.s_user_ns, CAP_CHOWN):
        return True
    return False


@dup(C)
def chgrp_ok(idmap: Any, inode: Inode, ia_vfsgid: int) -> bool:
    """``static bool chgrp_ok(struct mnt_idmap *idmap, const struct inode *inode, vfsgid_t ia_vfsgid)``"""
    vfsgid = inode.i_gid
    vfsuid = inode.i_uid
    if vfsuid == current_fsuid():
        if ia_vfsgid == vfsgid:
            return True
        if in_group_p(ia_vfsgid):
            return True
    if capable_wrt_inode_uidgid(idmap, inode, CAP_CHOWN):
        return True
    if vfsgid == INVALID_ID and ns_capable(inode.i_sb.s_user_ns, CAP_CHOWN):
        return True
    return False


@dup(C)
def setattr_prepare(idmap: Any, dentry: Dentry, attr: iattr) -> int:
    """``int setattr_prepare(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)``.

    Return: 0, -EPERM, -EINVAL, -EFBIG.
    """
    inode = dentry.d_inode
    ia_valid = attr.ia_valid

    # First check size constraints.  These can't be overridden using ATTR_FORCE.
    if ia_valid & ATTR_SIZE:
        error = inode_newsize_ok(inode, attr.ia_size)
        if error:
            return error

    # If force is set do it anyway.
    if not ia_valid & ATTR_FORCE:                               # else goto kill_priv
        # Make sure a caller can chown.
        if ia_valid & ATTR_UID and not chown_ok(idmap, inode, attr.ia_uid):
            return -EPERM

        # Make sure caller can chgrp.
        if ia_valid & ATTR_GID and not chgrp_ok(idmap, inode, attr.ia_gid):
            return -EPERM

        # Make sure a caller can chmod.
        if ia_valid & ATTR_MODE:
            if not inode_owner_or_capable(idmap, inode):
                return -EPERM

            if ia_valid & ATTR_GID:
                vfsgid = attr.ia_gid
            else:
                vfsgid = inode.i_gid

            # Also check the setgid bit!
            if not in_group_or_capable(idmap, inode, vfsgid):
                attr.ia_mode &= ~S_ISGID

        # Check for setting the inode time.
        if ia_valid & (ATTR_MTIME_SET | ATTR_ATIME_SET | ATTR_TIMES_SET):
            if not inode_owner_or_capable(idmap, inode):
                return -EPERM

    # User has permission for the change
    if ia_valid & ATTR_KILL_PRIV:
        error = security_inode_killpriv(idmap, dentry)
        if error:
            return error

    return 0


@dup(C)
def inode_newsize_ok(inode: Inode, offset: int) -> int:
    """``int inode_newsize_ok(const struct inode *inode, loff_t offset)``: there are no resource limits.

    Return: 0, -EINVAL, -EFBIG.
    """
    if offset < 0:
        return -EINVAL
    if inode.i_size < offset:
        if offset > inode.i_sb.s_maxbytes:
            return -EFBIG
    return 0


@dup(C)
def setattr_copy_mgtime(inode: Inode, attr: iattr) -> None:
    """``static void setattr_copy_mgtime(struct inode *inode, const struct iattr *attr)``"""
    ia_valid = attr.ia_valid

    if ia_valid & ATTR_CTIME_SET:
        now = inode_set_ctime_to_ts(inode, attr.ia_ctime)       # inode_set_ctime_deleg(): nobody has a delegation
    elif ia_valid & ATTR_CTIME:
        now = inode_set_ctime_current(inode)
    else:
        now = current_time(inode)

    if ia_valid & ATTR_ATIME_SET:
        inode_set_atime_to_ts(inode, attr.ia_atime)
    elif ia_valid & ATTR_ATIME:
        inode_set_atime_to_ts(inode, now)

    if ia_valid & ATTR_MTIME_SET:
        inode_set_mtime_to_ts(inode, attr.ia_mtime)
    elif ia_valid & ATTR_MTIME:
        inode_set_mtime_to_ts(inode, now)


@dup(C)
def setattr_copy(idmap: Any, inode: Inode, attr: iattr) -> None:
    """``void setattr_copy(struct mnt_idmap *idmap, struct inode *inode, const struct iattr *attr)``"""
    ia_valid = attr.ia_valid

    i_uid_update(idmap, attr, inode)
    i_gid_update(idmap, attr, inode)
    if ia_valid & ATTR_MODE:
        mode = attr.ia_mode
        if not in_group_or_capable(idmap, inode, inode.i_gid):
            mode &= ~S_ISGID
        inode.i_mode = mode

    if is_mgtime(inode):
        return setattr_copy_mgtime(inode, attr)

    if ia_valid & ATTR_ATIME:
        inode_set_atime_to_ts(inode, attr.ia_atime)
    if ia_valid & ATTR_MTIME:
        inode_set_mtime_to_ts(inode, attr.ia_mtime)

    if ia_valid & ATTR_CTIME_SET:
        inode_set_ctime_to_ts(inode, attr.ia_ctime)             # inode_set_ctime_deleg(): nobody has a delegation
    elif ia_valid & ATTR_CTIME:
        inode_set_ctime_to_ts(inode, attr.ia_ctime)
    return None


@dup(C)
def may_setattr(idmap: Any, inode: Inode, ia_valid: int) -> int:
    """``int may_setattr(struct mnt_idmap *idmap, struct inode *inode, unsigned int ia_valid)``.

    Return: 0, -EPERM, or what the permission says.
    """
    if ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES_SET):
        if IS_IMMUTABLE(inode) or IS_APPEND(inode):
            return -EPERM

    # If utimes(2) and friends are called with times == NULL (or both times are UTIME_NOW), then we need to check for write
    # permission
    if ia_valid & ATTR_TOUCH:
        if IS_IMMUTABLE(inode):
            return -EPERM

        if not inode_owner_or_capable(idmap, inode):
            error = inode_permission(idmap, inode, MAY_WRITE)
            if error:
                return error
    return 0


@dup(C)
def notify_change(idmap: Any, dentry: Dentry, attr: iattr, delegated_inode: Any = None) -> int:
    """``int notify_change(idmap, dentry, attr, delegated_inode)``. Context: the inode is locked for writing.

    Return: 0, -EPERM, -EOPNOTSUPP (mode of a symlink), -EOVERFLOW, or what ->setattr says.
    """
    inode = dentry.d_inode
    mode = inode.i_mode
    ia_valid = attr.ia_valid

    WARN_ON_ONCE(not inode_is_locked(inode))

    error = may_setattr(idmap, inode, ia_valid)
    if error:
        return error

    if ia_valid & ATTR_MODE:
        # Don't allow changing the mode of symlinks
        if S_ISLNK(inode.i_mode):
            return -EOPNOTSUPP

        # Flag setting protected by i_rwsem
        if is_sxid(attr.ia_mode):
            inode.i_flags &= ~S_NOSEC

    now = current_time(inode)

    if ia_valid & ATTR_ATIME_SET:
        attr.ia_atime = timestamp_truncate(attr.ia_atime, inode)
    else:
        attr.ia_atime = now
    if ia_valid & ATTR_CTIME_SET:
        attr.ia_ctime = timestamp_truncate(attr.ia_ctime, inode)
    else:
        attr.ia_ctime = now
    if ia_valid & ATTR_MTIME_SET:
        attr.ia_mtime = timestamp_truncate(attr.ia_mtime, inode)
    else:
        attr.ia_mtime = now

    if ia_valid & ATTR_KILL_PRIV:
        error = security_inode_need_killpriv(dentry)
        if error < 0:
            return error
        if error == 0:
            attr.ia_valid &= ~ATTR_KILL_PRIV
            ia_valid = attr.ia_valid

    # We now pass ATTR_KILL_S*ID to the lower level setattr function so that the function has the ability to reinterpret a mode
    # change that's due to these bits. No function will ever call notify_change with both ATTR_MODE and ATTR_KILL_S*ID set.
    if ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID) and ia_valid & ATTR_MODE:
        BUG()

    if ia_valid & ATTR_KILL_SUID:
        if mode & S_ISUID:
            attr.ia_valid |= ATTR_MODE
            ia_valid = attr.ia_valid
            attr.ia_mode = inode.i_mode & ~S_ISUID
    if ia_valid & ATTR_KILL_SGID:
        if mode & S_ISGID:
            if not ia_valid & ATTR_MODE:
                attr.ia_valid |= ATTR_MODE
                ia_valid = attr.ia_valid
                attr.ia_mode = inode.i_mode
            attr.ia_mode &= ~S_ISGID
    if not attr.ia_valid & ~(ATTR_KILL_SUID | ATTR_KILL_SGID):
        return 0

    # Don't allow modifications of files with invalid uids or gids unless those uids & gids are being made valid.
    if not ia_valid & ATTR_UID and inode.i_uid == INVALID_ID:
        return -EOVERFLOW
    if not ia_valid & ATTR_GID and inode.i_gid == INVALID_ID:
        return -EOVERFLOW

    if inode.i_op.setattr:
        error = inode.i_op.setattr(idmap, dentry, attr)
    else:
        error = simple_setattr(idmap, dentry, attr)

    return error
