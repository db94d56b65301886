# SPDX-License-Identifier: GPL-2.0-only
"""POSIX access control lists (include/linux/posix_acl.h, fs/posix_acl.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG
from kemu.linux.cred import current_fsuid, in_group_p, init_user_ns
from kemu.linux.dcache import Dentry
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EINVAL, EIO, ENODATA, ENOMEM, EOPNOTSUPP, ERANGE
from kemu.linux.gfp import GFP_NOFS
from kemu.linux.honesty import custom, dup, names
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.stat import S_ISLNK
from kemu.linux.super_types import SB_POSIXACL
from kemu.linux.vfs.constants import ACL_DONT_CACHE, ACL_NOT_CACHED
from kemu.linux.vfs.inode_attr import cache_no_acl
from kemu.linux.vfs.types import Inode
from kemu.linux.xattr import XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT, xattr_handler
from kemu.machine.current import NULL, this

ACL_TYPE_ACCESS, ACL_TYPE_DEFAULT = 0x8000, 0x4000
ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
POSIX_ACL_XATTR_VERSION = 2
ACL_UNDEFINED_ID = 0xFFFF_FFFF
_SENTINEL = -5              # uncached, and being read


@custom("include/linux/posix_acl.h", "struct posix_acl", "entries are (tag, perm, id)")
class PosixAcl:
    """``struct posix_acl``"""

    __slots__ = ("a_entries", "a_refcount")

    def __init__(self) -> None:
        self.a_refcount = 1
        self.a_entries: list[tuple[int, int, int]] = []


def _slot(type: int) -> str:
    """acl_by_type()"""
    if type not in (ACL_TYPE_ACCESS, ACL_TYPE_DEFAULT):
        BUG()
    return "i_acl" if type == ACL_TYPE_ACCESS else "i_default_acl"


def is_uncached_acl(acl: Any) -> bool:
    return type(acl) is int


@dup("include/linux/posix_acl.h")
def posix_acl_dup(acl: PosixAcl | None) -> PosixAcl | None:
    """``struct posix_acl *posix_acl_dup(struct posix_acl *acl)``: one more reference; NULL is fine."""
    if acl is not None:
        acl.a_refcount += 1
        if this.watch is not None:
            this.watch.ref("posix_acl", acl, 1)
    return acl


@dup("include/linux/posix_acl.h")
def posix_acl_release(acl: PosixAcl | None) -> None:
    """``void posix_acl_release(struct posix_acl *acl)``"""
    if acl is not None:
        acl.a_refcount -= 1
        if this.watch is not None:
            this.watch.ref("posix_acl", acl, -1)
        if not acl.a_refcount:
            kfree(acl)


@dup("fs/posix_acl.c")
def get_cached_acl(inode: Inode, type: int) -> Any:
    """``struct posix_acl *get_cached_acl(struct inode *inode, int type)``: referenced; None; or a negative int if it is not cached."""
    rcu_read_lock()
    acl = getattr(inode, _slot(type))
    if not is_uncached_acl(acl):
        posix_acl_dup(acl)
    rcu_read_unlock()
    return acl


@dup("fs/posix_acl.c")
def set_cached_acl(inode: Inode, type: int, acl: PosixAcl | None) -> None:
    """``void set_cached_acl(struct inode *inode, int type, struct posix_acl *acl)``"""
    old = getattr(inode, _slot(type))
    setattr(inode, _slot(type), posix_acl_dup(acl))
    if not is_uncached_acl(old):
        posix_acl_release(old)


@dup("fs/posix_acl.c")
def forget_cached_acl(inode: Inode, type: int) -> None:
    """``void forget_cached_acl(struct inode *inode, int type)``"""
    old = getattr(inode, _slot(type))
    if old == ACL_DONT_CACHE:
        return
    setattr(inode, _slot(type), ACL_NOT_CACHED)
    if not is_uncached_acl(old):
        posix_acl_release(old)


@dup("fs/posix_acl.c")
def forget_all_cached_acls(inode: Inode) -> None:
    """``void forget_all_cached_acls(struct inode *inode)``"""
    forget_cached_acl(inode, ACL_TYPE_ACCESS)
    forget_cached_acl(inode, ACL_TYPE_DEFAULT)


def __get_acl(idmap: Any, dentry: Dentry | None, inode: Inode, type: int) -> Any:
    acl = get_cached_acl(inode, type)
    if not is_uncached_acl(acl):
        return acl
    if not inode.i_sb.s_flags & SB_POSIXACL:
        return None
    slot = _slot(type)
    if getattr(inode, slot) == ACL_NOT_CACHED:
        setattr(inode, slot, _SENTINEL)
    if dentry is not None and inode.i_op.get_acl is not None:
        acl = inode.i_op.get_acl(idmap, dentry, type)
    elif inode.i_op.get_inode_acl is not None:
        acl = inode.i_op.get_inode_acl(inode, type, False)
    else:
        set_cached_acl(inode, type, None)
        return None
    if IS_ERR(acl):
        if getattr(inode, slot) == _SENTINEL:
            setattr(inode, slot, ACL_NOT_CACHED)
        return acl
    if getattr(inode, slot) == _SENTINEL:
        setattr(inode, slot, posix_acl_dup(acl))
    return acl


@dup("fs/posix_acl.c")
def get_inode_acl(inode: Inode, type: int) -> Any:
    """``struct posix_acl *get_inode_acl(struct inode *inode, int type)``: cached, or read and cached. Return: None if there is none; or ERR_PTR()."""
    return __get_acl(None, None, inode, type)


@dup("fs/posix_acl.c")
def posix_acl_permission(idmap: Any, inode: Inode, acl: PosixAcl, want: int) -> int:
    """``int posix_acl_permission(idmap, inode, acl, want)``. Return: 0, -EACCES, or -EIO for a list that makes no sense."""
    want &= 7
    found = False
    for i, (tag, perm, id) in enumerate(acl.a_entries):
        masked = True
        if tag == ACL_USER_OBJ:
            if inode.i_uid != current_fsuid():
                continue
            masked = False
        elif tag == ACL_USER:
            if id != current_fsuid():
                continue
        elif tag in (ACL_GROUP_OBJ, ACL_GROUP):
            if not in_group_p(inode.i_gid if tag == ACL_GROUP_OBJ else id):
                continue
            found = True
            if perm & want != want:
                continue
        elif tag == ACL_MASK:
            continue
        elif tag == ACL_OTHER:
            if found:
                return -EACCES
            masked = False
        else:
            return -EIO
        if masked:
            for mtag, mperm, _ in acl.a_entries[i + 1:]:
                if mtag == ACL_MASK:
                    return 0 if perm & mperm & want == want else -EACCES
        return 0 if perm & want == want else -EACCES
    return -EIO


@dup("fs/posix_acl.c")
def posix_acl_from_xattr(userns: Any, value: int, size: int) -> PosixAcl:
    """``struct posix_acl *posix_acl_from_xattr(struct user_namespace *userns, const void *value, size_t size)``: ``value`` is an address.

    Return: None for an empty list; ERR_PTR of -EINVAL (size, tag, id), -EOPNOTSUPP (version), -ENOMEM.
    """
    if not value or size < 4:
        return ERR_PTR(-EINVAL)
    if this.mem.ld32(value) != POSIX_ACL_XATTR_VERSION:
        return ERR_PTR(-EOPNOTSUPP)
    if (size - 4) % 8:
        return ERR_PTR(-EINVAL)
    if size == 4:
        return NULL             # type: ignore[no-any-return]
    acl = kzalloc_obj(PosixAcl, GFP_NOFS)
    if acl is None:
        return ERR_PTR(-ENOMEM)
    if this.watch is not None:
        this.watch.ref("posix_acl", acl, 1)
    for entry in range(value + 4, value + size, 8):
        tag, perm = this.mem.ld16(entry), this.mem.ld16(entry + 2)
        id = 0
        if tag in (ACL_USER, ACL_GROUP):
            id = this.mem.ld32(entry + 4)
            if id == ACL_UNDEFINED_ID:
                posix_acl_release(acl)
                return ERR_PTR(-EINVAL)
        elif tag not in (ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_MASK, ACL_OTHER):
            posix_acl_release(acl)
            return ERR_PTR(-EINVAL)
        acl.a_entries.append((tag, perm, id))
    return acl             # type: ignore[no-any-return]


@custom("fs/posix_acl.c", "posix_acl_to_xattr", "gives bytes")
def posix_acl_to_bytes(acl: PosixAcl) -> bytes:
    """The list as an attribute's value."""
    out = POSIX_ACL_XATTR_VERSION.to_bytes(4, "little")
    for tag, perm, id in acl.a_entries:
        if tag not in (ACL_USER, ACL_GROUP):
            id = ACL_UNDEFINED_ID
        out += tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + id.to_bytes(4, "little")
    return out


def posix_acl_type(name: bytes) -> int:
    return {XATTR_NAME_POSIX_ACL_ACCESS: ACL_TYPE_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT: ACL_TYPE_DEFAULT}.get(name, -1)


@dup("fs/posix_acl.c")
def vfs_get_acl(idmap: Any, dentry: Dentry, acl_name: bytes) -> Any:
    """``struct posix_acl *vfs_get_acl(idmap, dentry, acl_name)``. Return: ERR_PTR of -EOPNOTSUPP, -ENODATA, or of reading it."""
    inode = dentry.d_inode
    acl_type = posix_acl_type(acl_name)
    if acl_type < 0:
        return ERR_PTR(-EINVAL)
    if not inode.i_sb.s_flags & SB_POSIXACL or S_ISLNK(inode.i_mode):
        return ERR_PTR(-EOPNOTSUPP)
    acl = __get_acl(idmap, dentry, inode, acl_type)
    return ERR_PTR(-ENODATA) if acl is None else acl


@dup("fs/posix_acl.c")
def do_get_acl(idmap: Any, dentry: Dentry, acl_name: bytes, kvalue: int, size: int) -> int:
    """``ssize_t do_get_acl(idmap, dentry, acl_name, kvalue, size)``: the value into kernel memory. Return: its size, -ERANGE, ..."""
    acl = vfs_get_acl(idmap, dentry, acl_name)
    if IS_ERR(acl):
        return PTR_ERR(acl)
    value = posix_acl_to_bytes(acl)
    error = len(value)
    if kvalue:
        if len(value) > size:
            error = -ERANGE
        else:
            this.mem.store(kvalue, value)
    posix_acl_release(acl)
    return error


def posix_acl_xattr_list(dentry: Dentry) -> bool:
    return bool(dentry.d_inode.i_sb.s_flags & SB_POSIXACL)


nop_posix_acl_access = xattr_handler(name=XATTR_NAME_POSIX_ACL_ACCESS, list=posix_acl_xattr_list)
nop_posix_acl_default = xattr_handler(name=XATTR_NAME_POSIX_ACL_DEFAULT, list=posix_acl_xattr_list)

names("custom", "fs/posix_acl.c", "posix_acl_to_bytes", how="the xattr form as Python bytes")

__all__ = ["ACL_TYPE_ACCESS", "ACL_TYPE_DEFAULT", "PosixAcl", "cache_no_acl", "do_get_acl", "forget_all_cached_acls", "forget_cached_acl",
           "get_cached_acl", "get_inode_acl", "init_user_ns", "nop_posix_acl_access", "nop_posix_acl_default", "posix_acl_dup", "posix_acl_from_xattr",
           "posix_acl_permission", "posix_acl_release", "posix_acl_to_bytes", "set_cached_acl", "vfs_get_acl"]
