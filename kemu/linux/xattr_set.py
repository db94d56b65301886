# SPDX-License-Identifier: GPL-2.0-only
"""Setting and removing extended attributes, attributes kept in memory, ACLs kept in the inode (fs/xattr.c, fs/posix_acl.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.dcache import Dentry
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EEXIST, EINVAL, EIO, ENODATA, ENOMEM, EOPNOTSUPP, EPERM, ERANGE
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup
from kemu.linux.posix_acl import (
    ACL_GROUP,
    ACL_GROUP_OBJ,
    ACL_MASK,
    ACL_OTHER,
    ACL_TYPE_ACCESS,
    ACL_TYPE_DEFAULT,
    ACL_USER,
    ACL_USER_OBJ,
    PosixAcl,
    get_inode_acl,
    posix_acl_from_xattr,
    posix_acl_release,
    posix_acl_type,
    set_cached_acl,
)
from kemu.linux.slab import kfree, kmalloc, kmalloc_obj
from kemu.linux.stat import S_ISDIR, S_ISGID, S_ISLNK
from kemu.linux.string import mem_write
from kemu.linux.super_types import SB_POSIXACL
from kemu.linux.vfs.attr import in_group_or_capable
from kemu.linux.vfs.bad_inode import is_bad_inode
from kemu.linux.vfs.constants import IOP_XATTR, MAY_WRITE, S_APPEND, S_IMMUTABLE, S_NOSEC
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.inode_attr import inode_set_ctime_current
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.permission import inode_owner_or_capable
from kemu.linux.vfs.types import Inode
from kemu.linux.xattr import (
    XATTR_CREATE,
    XATTR_NAME_POSIX_ACL_ACCESS,
    XATTR_NAME_POSIX_ACL_DEFAULT,
    XATTR_REPLACE,
    XATTR_SECURITY_PREFIX,
    is_posix_acl_xattr,
    xattr_handler,
    xattr_permission,
    xattr_resolve_name,
)

C = "fs/xattr.c"


@custom(C, "__vfs_setxattr", "value is bytes")
def __vfs_setxattr(idmap: Any, dentry: Dentry, inode: Inode, name: bytes, value: bytes | None, flags: int) -> int:
    """``int __vfs_setxattr(idmap, dentry, inode, name, value, size, flags)``: None removes. Return: 0, -EOPNOTSUPP, what the handler says."""
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
    """``int vfs_setxattr(idmap, dentry, name, value, size, flags)``. Return: 0, -EPERM, -EOPNOTSUPP, -EEXIST, -ENODATA, -ENOSPC, ..."""
    inode_lock(dentry.d_inode)
    error = _locked(idmap, dentry, name, value, flags)
    inode_unlock(dentry.d_inode)
    return error


@dup(C)
def vfs_removexattr(idmap: Any, dentry: Dentry, name: bytes) -> int:
    """``int vfs_removexattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name)``. Return: 0, -ENODATA, ..."""
    inode_lock(dentry.d_inode)
    error = _locked(idmap, dentry, name, None, XATTR_REPLACE)
    inode_unlock(dentry.d_inode)
    return error


# ------------------------------------------------------------------------- attributes kept in memory

@dup("include/linux/xattr.h")
class simple_xattr:
    """``struct simple_xattr``"""

    __slots__ = ("name", "value")

    def __init__(self) -> None:
        self.name = b""
        self.value = b""


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
    """``struct simple_xattr *simple_xattr_set(cache, xattrs, name, value, size, flags)``: the old one (None). ERR_PTR of -ENOMEM, -EEXIST, -ENODATA."""
    new = None
    if value is not None:
        new = kmalloc_obj(simple_xattr, GFP_KERNEL)
        if new is None:
            return ERR_PTR(-ENOMEM)
        new.name, new.value = name, value
    old = xattrs.get(name)
    if old is not None and flags & XATTR_CREATE or old is None and flags & XATTR_REPLACE:
        if new is not None:
            kfree(new)
        return ERR_PTR(-ENODATA if old is None else -EEXIST)
    if new is not None:
        xattrs[name] = new
    elif old is not None:
        del xattrs[name]
    return old


@custom(C, "simple_xattrs_free", "xattrs is a dict")
def simple_xattrs_free(xattrs: dict[bytes, simple_xattr]) -> int:
    """``void simple_xattrs_free(cache, xattrs, &freed)``. Return: what simple_xattr_space() says of them."""
    freed = 0
    for x in xattrs.values():
        freed += simple_xattr_space(x.name, len(x.value))
        kfree(x)
    xattrs.clear()
    return freed


@custom(C, "simple_xattr_list", "no security module has labels")
def simple_xattr_list(inode: Inode, xattrs: dict[bytes, simple_xattr], buffer: int, size: int) -> int:
    """``ssize_t simple_xattr_list(struct inode *inode, struct list_head *xattrs, char *buffer, size_t size)``. Return: bytes, -ERANGE."""
    from kemu.linux.cred import CAP_SYS_ADMIN, capable

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


# ------------------------------------------------------------------------- access control lists kept in the inode

@custom("fs/posix_acl.c", "posix_acl_equiv_mode", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def posix_acl_equiv_mode(acl: PosixAcl, mode: int) -> tuple[int, int]:
    """``int posix_acl_equiv_mode(const struct posix_acl *acl, umode_t *mode_p)``: (0 if the mode says it all, else 1; the mode)."""
    bits, more = 0, 0
    mask = None
    for tag, perm, _ in acl.a_entries:
        if tag == ACL_USER_OBJ:
            bits |= perm << 6
        elif tag == ACL_GROUP_OBJ:
            bits |= perm << 3
        elif tag == ACL_OTHER:
            bits |= perm
        elif tag == ACL_MASK:
            mask = perm
            more = 1
        else:
            more = 1
    if mask is not None:
        bits = bits & ~0o070 | mask << 3
    return more, mode & ~0o777 | bits


def _create_masq(acl: PosixAcl, mode: int) -> tuple[bool, int]:
    """posix_acl_create_masq(): (whether the mode does not say it all, the mode); the entries are cut to the mode."""
    entries, more = [], False
    mask = any(tag == ACL_MASK for tag, _, _ in acl.a_entries)
    shift = {ACL_USER_OBJ: 6, ACL_OTHER: 0, ACL_MASK if mask else ACL_GROUP_OBJ: 3}
    for tag, perm, id in acl.a_entries:
        if tag in shift:
            perm &= mode >> shift[tag] & 7
            mode = mode & ~(7 << shift[tag]) | perm << shift[tag]
        entries.append((tag, perm, id))
        more = more or tag not in (ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER)
    acl.a_entries = entries
    return more, mode


@custom("fs/posix_acl.c", "posix_acl_create", "gives (error, mode, default_acl, acl)")
def posix_acl_create(dir: Inode, mode: int) -> tuple[int, int, PosixAcl | None, PosixAcl | None]:
    """``int posix_acl_create(struct inode *dir, umode_t *mode, struct posix_acl **default_acl, struct posix_acl **acl)``: the umask, or what the
    directory's default list says. Return: the error is 0, -ENOMEM."""
    if S_ISLNK(mode) or not dir.i_sb.s_flags & SB_POSIXACL:
        return 0, mode, None, None
    p = get_inode_acl(dir, ACL_TYPE_DEFAULT)
    if p is None or p == ERR_PTR(-EOPNOTSUPP):
        return 0, mode & ~current_fs().umask, None, None
    if IS_ERR(p):
        return PTR_ERR(p), mode, None, None
    clone = kmalloc_obj(PosixAcl, GFP_KERNEL)
    if clone is None:
        posix_acl_release(p)
        return -ENOMEM, mode, None, None
    clone.a_entries = list(p.a_entries)
    more, mode = _create_masq(clone, mode)
    acl: PosixAcl | None = clone
    if not more:
        posix_acl_release(clone)
        acl = None
    if not S_ISDIR(mode):
        posix_acl_release(p)
        p = None
    return 0, mode, p, acl


@dup("fs/posix_acl.c")
def simple_acl_create(dir: Inode, inode: Inode) -> int:
    """``int simple_acl_create(struct inode *dir, struct inode *inode)``"""
    error, inode.i_mode, default_acl, acl = posix_acl_create(dir, inode.i_mode)
    if error:
        return error
    if inode.i_sb.s_flags & SB_POSIXACL:
        for kind, a in ((ACL_TYPE_DEFAULT, default_acl), (ACL_TYPE_ACCESS, acl)):
            set_cached_acl(inode, kind, a)
            if a is not None:
                posix_acl_release(a)
    return 0


@dup("fs/posix_acl.c")
def simple_set_acl(idmap: Any, dentry: Dentry, acl: PosixAcl | None, type: int) -> int:
    """``int simple_set_acl(idmap, dentry, acl, type)``: 0."""
    inode = dentry.d_inode
    if type == ACL_TYPE_ACCESS and acl is not None:
        more, mode = posix_acl_equiv_mode(acl, inode.i_mode)
        if not more:
            acl = None
        if not in_group_or_capable(idmap, inode, inode.i_gid):
            mode &= ~S_ISGID
        inode.i_mode = mode
    inode_set_ctime_current(inode)
    set_cached_acl(inode, type, acl)
    return 0


def _chmod_masq(acl: PosixAcl, mode: int) -> int:
    """__posix_acl_chmod_masq(): owner, mask (or group) and others become the mode's. Return: 0, -EIO for a list that makes no sense."""
    tags = {tag for tag, _, _ in acl.a_entries}
    middle = ACL_MASK if ACL_MASK in tags else ACL_GROUP_OBJ
    if middle not in tags or tags - {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER}:
        return -EIO
    shift = {ACL_USER_OBJ: 6, middle: 3, ACL_OTHER: 0}
    acl.a_entries = [(tag, mode >> shift[tag] & 7 if tag in shift else perm, id) for tag, perm, id in acl.a_entries]
    return 0


@custom("include/linux/posix_acl.h", "posix_acl_chmod", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def posix_acl_chmod(idmap: Any, dentry: Dentry, mode: int) -> int:
    """``int posix_acl_chmod(struct mnt_idmap *idmap, struct dentry *dentry, umode_t mode)``. Return: 0, -EOPNOTSUPP, -ENOMEM, -EIO."""
    inode = dentry.d_inode
    if not inode.i_sb.s_flags & SB_POSIXACL:
        return 0
    if inode.i_op.set_acl is None:
        return -EOPNOTSUPP
    acl = get_inode_acl(inode, ACL_TYPE_ACCESS)
    if acl is None or acl == ERR_PTR(-EOPNOTSUPP):
        return 0
    if IS_ERR(acl):
        return PTR_ERR(acl)
    clone = kmalloc_obj(PosixAcl, GFP_KERNEL)
    ret = -ENOMEM
    if clone is not None:
        clone.a_entries = list(acl.a_entries)
        ret = _chmod_masq(clone, mode) or int(inode.i_op.set_acl(idmap, dentry, clone, ACL_TYPE_ACCESS))
        posix_acl_release(clone)
    posix_acl_release(acl)
    return ret


@custom("fs/posix_acl.c", "set_posix_acl", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def set_posix_acl(idmap: Any, dentry: Dentry, type: int, acl: PosixAcl | None) -> int:
    """``int set_posix_acl(idmap, dentry, type, acl)``. Return: 0, -EOPNOTSUPP, -EACCES (a default one of what is no directory), -EPERM."""
    inode = dentry.d_inode
    if not inode.i_sb.s_flags & SB_POSIXACL or inode.i_op.set_acl is None:
        return -EOPNOTSUPP
    if type == ACL_TYPE_DEFAULT and not S_ISDIR(inode.i_mode):
        return -13 if acl is not None else 0
    if not inode_owner_or_capable(idmap, inode):
        return -EPERM
    return int(inode.i_op.set_acl(idmap, dentry, acl, type))


@custom("fs/posix_acl.c", "vfs_set_acl", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def vfs_set_acl(idmap: Any, dentry: Dentry, acl_name: bytes, kacl: PosixAcl | None) -> int:
    """``int vfs_set_acl(idmap, dentry, acl_name, kacl)``. Return: 0, -EOPNOTSUPP, -EPERM, ..."""
    inode = dentry.d_inode
    acl_type = posix_acl_type(acl_name)
    if acl_type < 0:
        return -EINVAL
    inode_lock(inode)
    if inode.i_flags & (S_IMMUTABLE | S_APPEND):
        error = -EPERM
    elif is_bad_inode(inode):
        error = -EIO
    else:
        error = set_posix_acl(idmap, dentry, acl_type, kacl)
    inode_unlock(inode)
    return error


@custom("fs/posix_acl.c", "do_set_acl", "value is bytes")
def do_set_acl(idmap: Any, dentry: Dentry, acl_name: bytes, value: bytes) -> int:
    """``int do_set_acl(idmap, dentry, acl_name, kvalue, size)``. Return: 0, -EINVAL, -EOPNOTSUPP, -ENOMEM, ..."""
    buf = kmalloc(max(len(value), 1))
    if not buf:
        return -ENOMEM
    if value:
        mem_write(buf, value)
    acl: Any = posix_acl_from_xattr(None, buf, len(value))
    kfree(buf)
    if IS_ERR(acl):
        return PTR_ERR(acl)
    error = vfs_set_acl(idmap, dentry, acl_name, acl)
    if acl is not None:
        posix_acl_release(acl)
    return error


@custom(C, "do_setxattr", "value is bytes; no context structure")
def do_setxattr(idmap: Any, dentry: Dentry, name: bytes, value: bytes, flags: int) -> int:
    """``int do_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, struct kernel_xattr_ctx *ctx)``: an attribute, or an access control list."""
    if is_posix_acl_xattr(name):
        return do_set_acl(idmap, dentry, name, value)
    return vfs_setxattr(idmap, dentry, name, value, flags)


__all__ = ["do_set_acl", "do_setxattr", "posix_acl_chmod", "posix_acl_create", "simple_acl_create", "simple_set_acl", "simple_xattr", "simple_xattr_get", "simple_xattr_list", "simple_xattr_set", "simple_xattr_space",
           "simple_xattrs_free", "vfs_removexattr", "vfs_set_acl", "vfs_setxattr", "xattr_handler"]
