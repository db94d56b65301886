# SPDX-License-Identifier: GPL-2.0-only
"""POSIX access control lists (fs/posix_acl.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EINVAL, EIO, ENODATA, ENOMEM, EOPNOTSUPP, EPERM, ERANGE
from kemu.linux.fs.bad_inode import is_bad_inode
from kemu.linux.fs.inode import in_group_or_capable, inode_owner_or_capable, inode_set_ctime_current
from kemu.linux.include.cred import current_fsuid, in_group_p
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.calls import inode_lock, inode_unlock, is_uncached_acl
from kemu.linux.include.fs.constants import ACL_DONT_CACHE, ACL_NOT_CACHED, S_APPEND, S_IMMUTABLE
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.gfp import GFP_KERNEL, GFP_NOFS
from kemu.linux.include.posix_acl import (
    _SENTINEL,
    ACL_GROUP,
    ACL_GROUP_OBJ,
    ACL_MASK,
    ACL_OTHER,
    ACL_TYPE_ACCESS,
    ACL_TYPE_DEFAULT,
    ACL_UNDEFINED_ID,
    ACL_USER,
    ACL_USER_OBJ,
    POSIX_ACL_XATTR_VERSION,
    PosixAcl,
    posix_acl_dup,
    posix_acl_release,
)
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.include.sched import current_fs
from kemu.linux.include.slab import kmalloc, kmalloc_obj, kzalloc_obj
from kemu.linux.include.string import mem_write
from kemu.linux.include.xattr import XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.stat import S_ISDIR, S_ISGID, S_ISLNK
from kemu.linux.super_types import SB_POSIXACL
from kemu.machine.current import NULL, this

C = "fs/posix_acl.c"


def acl_by_type(type: int) -> str:
    """acl_by_type()"""
    if type not in (ACL_TYPE_ACCESS, ACL_TYPE_DEFAULT):
        BUG()
    return "i_acl" if type == ACL_TYPE_ACCESS else "i_default_acl"


@dup(C)
def get_cached_acl(inode: Inode, type: int) -> Any:
    """``struct posix_acl *get_cached_acl(struct inode *inode, int type)``: referenced; None; or a negative int if it is not
    cached.
    """
    rcu_read_lock()
    acl = getattr(inode, acl_by_type(type))
    if not is_uncached_acl(acl):
        posix_acl_dup(acl)
    rcu_read_unlock()
    return acl


@dup(C)
def set_cached_acl(inode: Inode, type: int, acl: PosixAcl | None) -> None:
    """``void set_cached_acl(struct inode *inode, int type, struct posix_acl *acl)``"""
    old = getattr(inode, acl_by_type(type))
    setattr(inode, acl_by_type(type), posix_acl_dup(acl))
    if not is_uncached_acl(old):
        posix_acl_release(old)


@dup(C)
def forget_cached_acl(inode: Inode, type: int) -> None:
    """``void forget_cached_acl(struct inode *inode, int type)``"""
    old = getattr(inode, acl_by_type(type))
    if old == ACL_DONT_CACHE:
        return
    setattr(inode, acl_by_type(type), ACL_NOT_CACHED)
    if not is_uncached_acl(old):
        posix_acl_release(old)


@dup(C)
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
    slot = acl_by_type(type)
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


@dup(C)
def get_inode_acl(inode: Inode, type: int) -> Any:
    """``struct posix_acl *get_inode_acl(struct inode *inode, int type)``: cached, or read and cached.

    Return: None if there is none; or ERR_PTR().
    """
    return __get_acl(None, None, inode, type)


@custom(C, "posix_acl_equiv_mode", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def posix_acl_equiv_mode(acl: PosixAcl, mode: int) -> tuple[int, int]:
    """``int posix_acl_equiv_mode(const struct posix_acl *acl, umode_t *mode_p)``: (0 if the mode says it all, else 1; the mode).
    """
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


@dup(C)
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


def posix_acl_create_masq(acl: PosixAcl, mode: int) -> tuple[bool, int]:
    """``int posix_acl_create_masq(struct posix_acl *acl, umode_t *mode_p)``: (whether the mode does not say it all, the mode);
    cuts entries to the mode.
    """
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


def __posix_acl_chmod_masq(acl: PosixAcl, mode: int) -> int:
    """``int __posix_acl_chmod_masq(struct posix_acl *acl, umode_t mode)``: owner, mask (or group) and others become the mode's.

    Return: 0, -EIO for a list that makes no sense.
    """
    tags = {tag for tag, _, _ in acl.a_entries}
    middle = ACL_MASK if ACL_MASK in tags else ACL_GROUP_OBJ
    if middle not in tags or tags - {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER}:
        return -EIO
    shift = {ACL_USER_OBJ: 6, middle: 3, ACL_OTHER: 0}
    acl.a_entries = [(tag, mode >> shift[tag] & 7 if tag in shift else perm, id) for tag, perm, id in acl.a_entries]
    return 0


@custom(C, "posix_acl_chmod", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def posix_acl_chmod(idmap: Any, dentry: Dentry, mode: int) -> int:
    """``int posix_acl_chmod(struct mnt_idmap *idmap, struct dentry *dentry, umode_t mode)``.

    Return: 0, -EOPNOTSUPP, -ENOMEM, -EIO.
    """
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
        ret = __posix_acl_chmod_masq(clone, mode) or int(inode.i_op.set_acl(idmap, dentry, clone, ACL_TYPE_ACCESS))
        posix_acl_release(clone)
    posix_acl_release(acl)
    return ret


@custom(C, "posix_acl_create", "gives (error, mode, default_acl, acl)")
def posix_acl_create(dir: Inode, mode: int) -> tuple[int, int, PosixAcl | None, PosixAcl | None]:
    """``int posix_acl_create(struct inode *dir, umode_t *mode, struct posix_acl **default_acl, struct posix_acl **acl)``: the
    umask, or what the directory's default list says. Return: the error is 0, -ENOMEM.
    """
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
    more, mode = posix_acl_create_masq(clone, mode)
    acl: PosixAcl | None = clone
    if not more:
        posix_acl_release(clone)
        acl = None
    if not S_ISDIR(mode):
        posix_acl_release(p)
        p = None
    return 0, mode, p, acl


@dup(C)
def posix_acl_from_xattr(userns: Any, value: int, size: int) -> PosixAcl:
    """``struct posix_acl *posix_acl_from_xattr(struct user_namespace *userns, const void *value, size_t size)``: ``value`` is an
    address.

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


@custom(C, "posix_acl_to_xattr", "gives bytes")
def posix_acl_to_bytes(acl: PosixAcl) -> bytes:
    """The list as an attribute's value."""
    out = POSIX_ACL_XATTR_VERSION.to_bytes(4, "little")
    for tag, perm, id in acl.a_entries:
        if tag not in (ACL_USER, ACL_GROUP):
            id = ACL_UNDEFINED_ID
        out += tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + id.to_bytes(4, "little")
    return out


@custom(C, "set_posix_acl", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
def set_posix_acl(idmap: Any, dentry: Dentry, type: int, acl: PosixAcl | None) -> int:
    """``int set_posix_acl(idmap, dentry, type, acl)``.

    Return: 0, -EOPNOTSUPP, -EACCES (a default one of what is no directory), -EPERM.
    """
    inode = dentry.d_inode
    if not inode.i_sb.s_flags & SB_POSIXACL or inode.i_op.set_acl is None:
        return -EOPNOTSUPP
    if type == ACL_TYPE_DEFAULT and not S_ISDIR(inode.i_mode):
        return -13 if acl is not None else 0
    if not inode_owner_or_capable(idmap, inode):
        return -EPERM
    return int(inode.i_op.set_acl(idmap, dentry, acl, type))


@dup(C)
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


@dup(C)
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


@custom(C, "vfs_set_acl", "ACLs are not validated by posix_acl_valid(); tags other than those of the C are ignored")
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


def posix_acl_type(name: bytes) -> int:
    return {XATTR_NAME_POSIX_ACL_ACCESS: ACL_TYPE_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT: ACL_TYPE_DEFAULT}.get(name, -1)


@dup(C)
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


@custom(C, "do_set_acl", "value is bytes")
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


@dup(C)
def do_get_acl(idmap: Any, dentry: Dentry, acl_name: bytes, kvalue: int, size: int) -> int:
    """``ssize_t do_get_acl(idmap, dentry, acl_name, kvalue, size)``: the value into kernel memory.

    Return: its size, -ERANGE, ...
    """
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


names("custom", C, "posix_acl_to_bytes", how="the xattr form as Python bytes")
