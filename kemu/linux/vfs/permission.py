# SPDX-License-Identifier: GPL-2.0-only
"""May the current task do this to an inode (the first part of fs/namei.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    capable,
    capable_wrt_inode_uidgid,
    current_fsuid,
    in_group_p,
)
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EAGAIN, EPERM, EROFS
from kemu.linux.honesty import dup
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.super_types import SB_POSIXACL, SB_RDONLY
from kemu.linux.vfs.constants import IOP_FASTPERM, IOP_FASTPERM_MAY_EXEC, MAY_EXEC, MAY_READ, MAY_WRITE, S_IMMUTABLE
from kemu.linux.vfs.types import Inode

ACL_TYPE_ACCESS = 0x8000


def check_acl(idmap: Any, inode: Inode, mask: int) -> int:
    from kemu.linux.posix_acl import get_inode_acl, posix_acl_permission, posix_acl_release

    acl = get_inode_acl(inode, ACL_TYPE_ACCESS)
    if acl is None:
        return -EAGAIN
    if IS_ERR(acl):
        return PTR_ERR(acl)
    error = posix_acl_permission(idmap, inode, acl, mask)
    posix_acl_release(acl)
    return error


def acl_permission_check(idmap: Any, inode: Inode, mask: int) -> int:
    mode = inode.i_mode
    if not (mask & 7) * 0o111 & ~mode and (inode.i_acl is None or not inode.i_sb.s_flags & SB_POSIXACL):
        return 0
    if inode.i_uid == current_fsuid():
        return -EACCES if mask & 7 & ~(mode >> 6) else 0
    if inode.i_sb.s_flags & SB_POSIXACL and mode & 0o070:
        error = check_acl(idmap, inode, mask)
        if error != -EAGAIN:
            return error
    mask &= 7
    if mask & (mode ^ (mode >> 3)) and in_group_p(inode.i_gid):
        mode >>= 3
    return -EACCES if mask & ~mode else 0


@dup("fs/namei.c")
def generic_permission(idmap: Any, inode: Inode, mask: int) -> int:
    """``int generic_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)``: mode bits, ACL, then capabilities.

    Return: 0, -EACCES, or an error of reading the ACL.
    """
    ret = acl_permission_check(idmap, inode, mask)
    if ret != -EACCES:
        return ret
    if inode.i_mode & 0o170000 == 0o040000:
        if not mask & MAY_WRITE and capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_READ_SEARCH):
            return 0
        return 0 if capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_OVERRIDE) else -EACCES
    mask &= MAY_READ | MAY_WRITE | MAY_EXEC
    if mask == MAY_READ and capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_READ_SEARCH):
        return 0
    if (not mask & MAY_EXEC or inode.i_mode & 0o111) and capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_OVERRIDE):
        return 0
    return -EACCES


@dup("fs/namei.c")
def inode_permission(idmap: Any, inode: Inode, mask: int) -> int:
    """``int inode_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)``: MAY_READ, MAY_WRITE, MAY_EXEC.

    Return: 0; -EROFS, -EPERM (immutable) or -EACCES for writing; what ->permission or generic_permission() says.
    """
    if mask & MAY_WRITE:
        if inode.i_sb.s_flags & SB_RDONLY and inode.i_mode & 0o170000 in (0o100000, 0o040000, 0o120000):
            return -EROFS
        if inode.i_flags & S_IMMUTABLE:
            return -EPERM
        if inode.i_uid == 0xFFFF_FFFF or inode.i_gid == 0xFFFF_FFFF:
            return -EACCES
    if not inode.i_opflags & IOP_FASTPERM:
        if inode.i_op.permission is not None:
            return int(inode.i_op.permission(idmap, inode, mask))

        # This gets set once for the inode lifetime
        spin_lock(inode.i_lock)
        inode.i_opflags |= IOP_FASTPERM
        spin_unlock(inode.i_lock)
    return generic_permission(idmap, inode, mask)


def lookup_inode_permission_may_exec(idmap: Any, inode: Inode) -> int:
    """May the directory be searched; the common case costs three tests."""
    if not inode.i_opflags & (IOP_FASTPERM | IOP_FASTPERM_MAY_EXEC) or inode.i_mode & 0o111 != 0o111 or inode.i_acl is not None:
        return inode_permission(idmap, inode, MAY_EXEC)
    return 0


@dup("fs/inode.c")
def inode_owner_or_capable(idmap: Any, inode: Inode) -> bool:
    """``bool inode_owner_or_capable(struct mnt_idmap *idmap, const struct inode *inode)``"""
    return inode.i_uid == current_fsuid() or inode.i_uid != 0xFFFF_FFFF and capable(CAP_FOWNER)
