# SPDX-License-Identifier: GPL-2.0-only
"""Extended attributes (fs/xattr.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import E2BIG, EEXIST, EINVAL, EIO, ENODATA, ENOMEM, EOPNOTSUPP, EPERM, ERANGE
from kemu.linux.fs.bad_inode import is_bad_inode
from kemu.linux.fs.inode import inode_owner_or_capable
from kemu.linux.fs.namei import inode_permission
from kemu.linux.fs.posix_acl import do_get_acl, do_set_acl
from kemu.linux.include.cred import CAP_SYS_ADMIN, capable
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.calls import inode_lock, inode_unlock
from kemu.linux.include.fs.constants import IOP_XATTR, MAY_READ, MAY_WRITE, S_APPEND, S_IMMUTABLE, S_NOSEC
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.posix_acl import PosixAcl
from kemu.linux.include.slab import kmalloc_obj, kvmalloc, kvzalloc, kzalloc
from kemu.linux.include.string import mem_read, mem_write
from kemu.linux.include.xattr import (
    XATTR_CREATE,
    XATTR_LIST_MAX,
    XATTR_NAME_MAX,
    XATTR_NAME_POSIX_ACL_ACCESS,
    XATTR_NAME_POSIX_ACL_DEFAULT,
    XATTR_REPLACE,
    XATTR_SECURITY_PREFIX,
    XATTR_SIZE_MAX,
    XATTR_SYSTEM_PREFIX,
    XATTR_TRUSTED_PREFIX,
    XATTR_USER_PREFIX,
    is_posix_acl_xattr,
    simple_xattr,
    xattr_prefix,
)
from kemu.linux.mm.slub import kfree, kvfree
from kemu.linux.port.honesty import custom, dup
from kemu.linux.stat import S_IFDIR, S_IFMT, S_IFREG, S_IFSOCK, S_ISVTX
from kemu.linux.super_types import SB_POSIXACL

C = "fs/xattr.c"


@dup(C)
@custom(C, "xattr_resolve_name", "gives the handler and the rest of the name together")
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


@dup(C)
@dup(C)
def xattr_permission(idmap: Any, inode: Inode, name: bytes, mask: int) -> int:
    """``int xattr_permission(idmap, inode, name, mask)``.

    Return: 0, -EPERM, -ENODATA (trusted and user attributes that are hidden), -EACCES.
    """
    """``int xattr_permission(struct mnt_idmap *idmap, struct inode *inode, const char *name, int mask)``"""
    error = -EPERM if mask & MAY_WRITE else -ENODATA
    if mask & MAY_WRITE and (inode.i_flags & (S_IMMUTABLE | S_APPEND) or inode.i_uid == 0xFFFF_FFFF
                             or inode.i_gid == 0xFFFF_FFFF):
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


@custom(C, "__vfs_setxattr", "value is bytes")
def __vfs_setxattr(idmap: Any, dentry: Dentry, inode: Inode, name: bytes, value: bytes | None, flags: int) -> int:
    """``int __vfs_setxattr(idmap, dentry, inode, name, value, size, flags)``: None removes.

    Return: 0, -EOPNOTSUPP, what the handler says.
    """
    if is_posix_acl_xattr(name):
        return -EOPNOTSUPP
    found = xattr_resolve_name(inode, name)
    if IS_ERR(found):
        return PTR_ERR(found)
    handler, rest = found
    if handler.set is None:
        return -EOPNOTSUPP
    return int(handler.set(handler, idmap, dentry, inode, rest, value, flags))


def _locked(idmap: Any, dentry: Dentry, name: bytes, value: bytes | None, flags: int) -> int:
    inode = dentry.d_inode
    error = xattr_permission(idmap, inode, name, MAY_WRITE)
    if error:
        return error
    if value is not None and name.startswith(XATTR_SECURITY_PREFIX):
        inode.i_flags &= ~S_NOSEC
    if value is not None and not inode.i_opflags & IOP_XATTR:
        return -EIO if is_bad_inode(inode) else -EOPNOTSUPP
    return __vfs_setxattr(idmap, dentry, inode, name, value, flags)


@custom(C, "vfs_setxattr", "value is bytes; no security module, no file capabilities of other namespaces")
def vfs_setxattr(idmap: Any, dentry: Dentry, name: bytes, value: bytes, flags: int) -> int:
    """``int vfs_setxattr(idmap, dentry, name, value, size, flags)``.

    Return: 0, -EPERM, -EOPNOTSUPP, -EEXIST, -ENODATA, -ENOSPC, ...
    """
    inode_lock(dentry.d_inode)
    error = _locked(idmap, dentry, name, value, flags)
    inode_unlock(dentry.d_inode)
    return error


@dup(C)
def xattr_getsecurity(dentry: Any, inode: Inode, name: bytes, value: int, size: int) -> int:
    """``static ssize_t xattr_getsecurity(idmap, inode, name, void *value, size_t size)``: -EOPNOTSUPP where no module knows the
    attribute.
    """
    from kemu.linux.security.commoncap import cap_inode_getsecurity  # noqa: PLC0415  (circle: security/commoncap.c needs this)

    found = cap_inode_getsecurity(dentry, inode, name)
    if isinstance(found, int):
        return found
    if value and size:
        if size < len(found):
            return -ERANGE
        mem_write(value, found)
    return len(found)


@custom(C, "vfs_getxattr_alloc", "gives the bytes instead of filling a buffer of the caller's")
def vfs_getxattr_alloc(dentry: Any, name: bytes) -> int | bytes:
    """``int vfs_getxattr_alloc(idmap, dentry, name, char **xattr_value, size_t xattr_size, gfp_t flags)``: the value, or a
    negative errno.
    """
    found = xattr_resolve_name(dentry.d_inode, name)
    if IS_ERR(found):
        return PTR_ERR(found)
    handler, rest = found
    if handler.get is None:
        return -EOPNOTSUPP
    error = int(handler.get(handler, dentry, dentry.d_inode, rest, 0, 0))
    if error < 0:
        return error
    value = kzalloc(error + 1, GFP_KERNEL)
    if not value:
        return -ENOMEM
    error = int(handler.get(handler, dentry, dentry.d_inode, rest, value, error))
    out = mem_read(value, error) if error > 0 else b""
    kfree(value)
    return error if error < 0 else out


@dup(C)
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


@dup(C)
def vfs_getxattr(idmap: Any, dentry: Dentry, name: bytes, value: int, size: int) -> int:
    """``ssize_t vfs_getxattr(idmap, dentry, name, value, size)``: the value to the address ``value``, or only its size if that is
    NULL.

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


@dup(C)
def vfs_listxattr(dentry: Dentry, lst: int, size: int) -> int:
    """``ssize_t vfs_listxattr(struct dentry *dentry, char *list, size_t size)``: NUL-terminated names to the address ``lst``.

    Return: bytes.
    """
    op = dentry.d_inode.i_op.listxattr
    return 0 if op is None else int(op(dentry, lst, size))


@dup(C)
def vfs_removexattr(idmap: Any, dentry: Dentry, name: bytes) -> int:
    """``int vfs_removexattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name)``. Return: 0, -ENODATA, ..."""
    inode_lock(dentry.d_inode)
    error = _locked(idmap, dentry, name, None, XATTR_REPLACE)
    inode_unlock(dentry.d_inode)
    return error


@custom(C, "do_setxattr", "value is bytes; no context structure")
def do_setxattr(idmap: Any, dentry: Dentry, name: bytes, value: bytes, flags: int) -> int:
    """``int do_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, struct kernel_xattr_ctx *ctx)``: an attribute, or an
    access control list.
    """
    if is_posix_acl_xattr(name):
        return do_set_acl(idmap, dentry, name, value)
    return vfs_setxattr(idmap, dentry, name, value, flags)


@custom(C, "do_getxattr", "gives the bytes instead of copying them to the user")
def do_getxattr(idmap: Any, dentry: Dentry, name: bytes, size: int = XATTR_SIZE_MAX) -> int | bytes:
    """``getxattr(path, name, value, size)`` with a buffer of ``size`` bytes: the value, or a negative errno (-ERANGE if it does
    not fit).
    """
    if not 0 < len(name) <= XATTR_NAME_MAX:
        return -ERANGE
    size = min(size, XATTR_SIZE_MAX)
    kvalue = kvzalloc(size, GFP_KERNEL) if size else 0
    if size and not kvalue:
        return -ENOMEM
    if is_posix_acl_xattr(name):
        error = do_get_acl(idmap, dentry, name, kvalue, size)
    else:
        error = vfs_getxattr(idmap, dentry, name, kvalue, size)
    out = mem_read(kvalue, error) if error > 0 and size else b""
    kvfree(kvalue)
    if error == -ERANGE and size >= XATTR_SIZE_MAX:
        error = -E2BIG
    return error if error < 0 else out


@custom(C, "listxattr", "gives the bytes instead of copying them to the user")
def listxattr(dentry: Dentry, size: int = XATTR_LIST_MAX) -> int | bytes:
    """``listxattr(path, list, size)`` with a buffer of ``size`` bytes: the list, or a negative errno (-E2BIG if it is larger than
    64 KiB).
    """
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


@dup(C)
def simple_xattr_space(name: bytes, size: int) -> int:
    """``size_t simple_xattr_space(const char *name, size_t size)``"""
    return 64 + size + len(name)


@custom(C, "simple_xattr_get", "xattrs is a dict in the order of insertion")
def simple_xattr_get(xattrs: dict[bytes, simple_xattr], name: bytes, buffer: int, size: int) -> int:
    """``int simple_xattr_get(cache, xattrs, name, buffer, size)``. Return: the size, -ENODATA, -ERANGE."""
    x = xattrs.get(name)
    if x is None:
        return -ENODATA
    if buffer:
        if size < len(x.value):
            return -ERANGE
        if x.value:
            mem_write(buffer, x.value)
    return len(x.value)


@custom(C, "simple_xattr_set", "xattrs is a dict in the order of insertion")
def simple_xattr_set(xattrs: dict[bytes, simple_xattr], name: bytes, value: bytes | None, flags: int) -> Any:
    """``struct simple_xattr *simple_xattr_set(cache, xattrs, name, value, size, flags)``: the old one (None). ERR_PTR of -ENOMEM,
    -EEXIST, -ENODATA.
    """
    new = None
    if value is not None:
        new = kmalloc_obj(simple_xattr, GFP_KERNEL)
        if new is None:
            return ERR_PTR(-ENOMEM)
        new.name, new.value = name, value
    old = xattrs.get(name)
    if (old is not None and flags & XATTR_CREATE) or (old is None and flags & XATTR_REPLACE):
        if new is not None:
            kfree(new)
        return ERR_PTR(-ENODATA if old is None else -EEXIST)
    if new is not None:
        xattrs[name] = new
    elif old is not None:
        del xattrs[name]
    return old


@custom(C, "simple_xattr_list", "no security module has labels")
def simple_xattr_list(inode: Inode, xattrs: dict[bytes, simple_xattr], buffer: int, size: int) -> int:
    """``ssize_t simple_xattr_list(struct inode *inode, struct list_head *xattrs, char *buffer, size_t size)``.

    Return: bytes, -ERANGE.
    """
    out = b""
    for slot, name in (("i_acl", XATTR_NAME_POSIX_ACL_ACCESS), ("i_default_acl", XATTR_NAME_POSIX_ACL_DEFAULT)):
        if inode.i_sb.s_flags & SB_POSIXACL and isinstance(getattr(inode, slot), PosixAcl):
            out += name + b"\0"
    trusted = capable(CAP_SYS_ADMIN)
    out += b"".join(n + b"\0" for n in xattrs if trusted or not n.startswith(b"trusted."))
    if buffer:
        if len(out) > size:
            return -ERANGE
        if out:
            mem_write(buffer, out)
    return len(out)


@custom(C, "simple_xattrs_free", "xattrs is a dict")
def simple_xattrs_free(xattrs: dict[bytes, simple_xattr]) -> int:
    """``void simple_xattrs_free(cache, xattrs, &freed)``. Return: what simple_xattr_space() says of them."""
    freed = 0
    for x in xattrs.values():
        freed += simple_xattr_space(x.name, len(x.value))
        kfree(x)
    xattrs.clear()
    return freed
