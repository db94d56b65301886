# SPDX-License-Identifier: GPL-2.0-only
"""Extended attributes (include/linux/xattr.h, fs/xattr.c). Names are bytes; values are in kernel memory."""
from __future__ import annotations

from typing import Any

from kemu.linux.commoncap import xattr_getsecurity
from kemu.linux.cred import CAP_SYS_ADMIN, capable
from kemu.linux.dcache import Dentry
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import E2BIG, EINVAL, EIO, ENODATA, ENOMEM, EOPNOTSUPP, EPERM, ERANGE
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup
from kemu.linux.slab import kvfree, kvmalloc, kvzalloc
from kemu.linux.stat import S_IFDIR, S_IFMT, S_IFREG, S_IFSOCK, S_ISVTX
from kemu.linux.string import mem_read
from kemu.linux.super_types import _Ops
from kemu.linux.vfs.bad_inode import is_bad_inode
from kemu.linux.vfs.constants import IOP_XATTR, MAY_READ, MAY_WRITE, S_APPEND, S_IMMUTABLE
from kemu.linux.vfs.permission import inode_owner_or_capable, inode_permission
from kemu.linux.vfs.types import Inode

XATTR_OS2_PREFIX, XATTR_MAC_OSX_PREFIX, XATTR_SECURITY_PREFIX = b"os2.", b"osx.", b"security."
XATTR_SYSTEM_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_USER_PREFIX = b"system.", b"trusted.", b"user."
XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT = b"system.posix_acl_access", b"system.posix_acl_default"
XATTR_SIZE_MAX = XATTR_LIST_MAX = 65536
XATTR_NAME_MAX = 255
XATTR_CREATE, XATTR_REPLACE = 1, 2


@dup("include/linux/xattr.h")
class xattr_handler(_Ops):
    """``struct xattr_handler``: of a ``prefix``, or of one ``name``."""

    name: Any
    prefix: Any
    flags: Any
    list: Any
    get: Any
    set: Any
    __slots__ = tuple(__annotations__)


@dup("include/linux/xattr.h")
def xattr_prefix(handler: xattr_handler) -> bytes:
    """``const char *xattr_prefix(const struct xattr_handler *handler)``"""
    return handler.name if handler.prefix is None else handler.prefix           # type: ignore[no-any-return]


@dup("include/linux/xattr.h")
def xattr_handler_can_list(handler: xattr_handler | None, dentry: Dentry) -> bool:
    """``bool xattr_handler_can_list(const struct xattr_handler *handler, struct dentry *dentry)``"""
    return handler is not None and (handler.list is None or bool(handler.list(dentry)))


@dup("include/linux/xattr.h")
@dup("include/linux/posix_acl_xattr.h")
def is_posix_acl_xattr(name: bytes) -> bool:
    """``bool is_posix_acl_xattr(const char *name)``"""
    """``bool is_posix_acl_xattr(const char *name)``"""
    return name in (XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT)


@dup("fs/xattr.c")
@custom("fs/xattr.c", "xattr_resolve_name", "gives the handler and the rest of the name together")
def xattr_resolve_name(inode: Inode, name: bytes) -> Any:
    """(the handler, the name without its prefix), or an error pointer."""
    if not inode.i_opflags & IOP_XATTR:
        return ERR_PTR(-EIO if is_bad_inode(inode) else -EOPNOTSUPP)
    for handler in inode.i_sb.s_xattr or ():
        if handler is None:
            break
        prefix = xattr_prefix(handler)
        if name.startswith(prefix):
            n = name[len(prefix):]
            if (handler.prefix is None) ^ (not n):
                if n:
                    continue
                return ERR_PTR(-EINVAL)
            return handler, n
    return ERR_PTR(-EOPNOTSUPP)


@dup("fs/xattr.c")
@dup("fs/xattr.c")
def xattr_permission(idmap: Any, inode: Inode, name: bytes, mask: int) -> int:
    """``int xattr_permission(idmap, inode, name, mask)``. Return: 0, -EPERM, -ENODATA (trusted and user attributes that are hidden), -EACCES."""
    """``int xattr_permission(struct mnt_idmap *idmap, struct inode *inode, const char *name, int mask)``"""
    error = -EPERM if mask & MAY_WRITE else -ENODATA
    if mask & MAY_WRITE and (inode.i_flags & (S_IMMUTABLE | S_APPEND) or inode.i_uid == 0xFFFF_FFFF or inode.i_gid == 0xFFFF_FFFF):
        return -EPERM
    if name.startswith((XATTR_SECURITY_PREFIX, XATTR_SYSTEM_PREFIX)):
        return 0
    if name.startswith(XATTR_TRUSTED_PREFIX):
        return 0 if capable(CAP_SYS_ADMIN) else error
    if name.startswith(XATTR_USER_PREFIX):
        kind = inode.i_mode & S_IFMT
        if kind == S_IFDIR:
            if inode.i_mode & S_ISVTX and mask & MAY_WRITE and not inode_owner_or_capable(idmap, inode):
                return -EPERM
        elif kind not in (S_IFREG, S_IFSOCK):
            return error
    return inode_permission(idmap, inode, mask)


@dup("fs/xattr.c")
def __vfs_getxattr(dentry: Dentry, inode: Inode, name: bytes, value: int, size: int) -> int:
    """``ssize_t __vfs_getxattr(dentry, inode, name, value, size)``: no permission checks."""
    if is_posix_acl_xattr(name):
        return -EOPNOTSUPP
    found = xattr_resolve_name(inode, name)
    if IS_ERR(found):
        return PTR_ERR(found)
    handler, rest = found
    if handler.get is None:
        return -EOPNOTSUPP
    return int(handler.get(handler, dentry, inode, rest, value, size))


@dup("fs/xattr.c")
def vfs_getxattr(idmap: Any, dentry: Dentry, name: bytes, value: int, size: int) -> int:
    """``ssize_t vfs_getxattr(idmap, dentry, name, value, size)``: the value to the address ``value``, or only its size if that is NULL.

    Return: its size; -ENODATA, -ERANGE, -EOPNOTSUPP (no handler for the prefix), -EINVAL, ...
    """
    error = xattr_permission(idmap, dentry.d_inode, name, MAY_READ)
    if error:
        return error
    if name.startswith(XATTR_SECURITY_PREFIX):
        error = xattr_getsecurity(dentry, dentry.d_inode, name[len(XATTR_SECURITY_PREFIX):], value, size)
        if error != -EOPNOTSUPP:
            return error
    return __vfs_getxattr(dentry, dentry.d_inode, name, value, size)


@dup("fs/xattr.c")
def vfs_listxattr(dentry: Dentry, lst: int, size: int) -> int:
    """``ssize_t vfs_listxattr(struct dentry *dentry, char *list, size_t size)``: NUL-terminated names to the address ``lst``. Return: bytes."""
    op = dentry.d_inode.i_op.listxattr
    return 0 if op is None else int(op(dentry, lst, size))


# ------------------------------------------------------------------------- for user space

@custom("fs/xattr.c", "listxattr", "gives the bytes instead of copying them to the user")
def listxattr(dentry: Dentry, size: int = XATTR_LIST_MAX) -> int | bytes:
    """``listxattr(path, list, size)`` with a buffer of ``size`` bytes: the list, or a negative errno (-E2BIG if it is larger than 64 KiB)."""
    size = min(size, XATTR_LIST_MAX)
    klist = kvmalloc(size, GFP_KERNEL)
    if not klist:
        return -ENOMEM
    error = vfs_listxattr(dentry, klist, size)
    out = mem_read(klist, error) if error > 0 else b""
    kvfree(klist)
    if error == -ERANGE and size >= XATTR_LIST_MAX:
        error = -E2BIG
    return error if error < 0 else out


@custom("fs/xattr.c", "do_getxattr", "gives the bytes instead of copying them to the user")
def do_getxattr(idmap: Any, dentry: Dentry, name: bytes, size: int = XATTR_SIZE_MAX) -> int | bytes:
    """``getxattr(path, name, value, size)`` with a buffer of ``size`` bytes: the value, or a negative errno (-ERANGE if it does not fit)."""
    if not 0 < len(name) <= XATTR_NAME_MAX:
        return -ERANGE
    size = min(size, XATTR_SIZE_MAX)
    kvalue = kvzalloc(size, GFP_KERNEL) if size else 0
    if size and not kvalue:
        return -ENOMEM
    if is_posix_acl_xattr(name):
        from kemu.linux.posix_acl import do_get_acl

        error = do_get_acl(idmap, dentry, name, kvalue, size)
    else:
        error = vfs_getxattr(idmap, dentry, name, kvalue, size)
    out = mem_read(kvalue, error) if error > 0 and size else b""
    kvfree(kvalue)
    if error == -ERANGE and size >= XATTR_SIZE_MAX:
        error = -E2BIG
    return error if error < 0 else out
