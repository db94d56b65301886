# SPDX-License-Identifier: GPL-2.0-only
"""struct posix_acl and its entries (include/linux/posix_acl.h, posix_acl_xattr.h)."""
from __future__ import annotations

from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.xattr import XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT, xattr_handler
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup
from kemu.linux.super_types import SB_POSIXACL
from kemu.machine.current import this

P = "include/linux/posix_acl.h"

ACL_TYPE_ACCESS, ACL_TYPE_DEFAULT = 0x8000, 0x4000
ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
POSIX_ACL_XATTR_VERSION = 2
ACL_UNDEFINED_ID = 0xFFFF_FFFF
_SENTINEL = -5              # uncached, and being read


@custom(P, "struct posix_acl", "entries are (tag, perm, id)")
class PosixAcl:
    """``struct posix_acl``"""

    __slots__ = ("a_entries", "a_refcount")

    def __init__(self) -> None:
        self.a_refcount = 1
        self.a_entries: list[tuple[int, int, int]] = []


@dup(P)
def posix_acl_dup(acl: PosixAcl | None) -> PosixAcl | None:
    """``struct posix_acl *posix_acl_dup(struct posix_acl *acl)``: one more reference; NULL is fine."""
    if acl is not None:
        acl.a_refcount += 1
        if this.watch is not None:
            this.watch.ref("posix_acl", acl, 1)
    return acl


@dup(P)
def posix_acl_release(acl: PosixAcl | None) -> None:
    """``void posix_acl_release(struct posix_acl *acl)``"""
    if acl is not None:
        acl.a_refcount -= 1
        if this.watch is not None:
            this.watch.ref("posix_acl", acl, -1)
        if not acl.a_refcount:
            kfree(acl)


def posix_acl_xattr_list(dentry: Dentry) -> bool:
    return bool(dentry.d_inode.i_sb.s_flags & SB_POSIXACL)


nop_posix_acl_access = xattr_handler(name=XATTR_NAME_POSIX_ACL_ACCESS, list=posix_acl_xattr_list)
nop_posix_acl_default = xattr_handler(name=XATTR_NAME_POSIX_ACL_DEFAULT, list=posix_acl_xattr_list)


@dup(P)
def cache_no_acl(inode: Inode) -> None:
    """``void cache_no_acl(struct inode *inode)``: there are no ACLs, no need to ask."""
    inode.i_acl = None
    inode.i_default_acl = None

