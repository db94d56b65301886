# SPDX-License-Identifier: GPL-2.0-only
"""Names for file systems that stack on others: one component at a time, by dentry (fs/namei.c). Ports import it from kemu.linux.namei."""
from __future__ import annotations

from typing import Any

from kemu.linux.dcache import Dentry, d_is_negative, d_unhashed, dget, dput
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EACCES, EINVAL, ENOENT
from kemu.linux.honesty import dup
from kemu.linux.stat import S_IFCHR
from kemu.linux.vfs.basic import Qstr
from kemu.linux.vfs.constants import MAY_EXEC, S_DEAD
from kemu.linux.vfs.dir_ops import end_dirop, start_dirop, vfs_mknod
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.permission import inode_permission
from kemu.linux.vfs.types import Inode
from kemu.linux.vfs.walk import LOOKUP_CREATE, lookup_dcache, lookup_slow

WHITEOUT_MODE, WHITEOUT_DEV = 0, 0


@dup("fs/namei.c")
def lookup_one_common(idmap: Any, qname: Qstr, base: Dentry) -> int:
    """``int lookup_one_common(struct mnt_idmap *idmap, struct qstr *qname, struct dentry *base)``. Return: 0; -EACCES for no plain name."""
    name = qname.name
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        return -EACCES
    return inode_permission(idmap, base.d_inode, MAY_EXEC)


@dup("fs/namei.c")
def lookup_one_unlocked(idmap: Any, name: Qstr, base: Dentry) -> Any:
    """``struct dentry *lookup_one_unlocked(struct mnt_idmap *idmap, struct qstr *name, struct dentry *base)``: maybe negative. Return: or ERR_PTR()."""
    err = lookup_one_common(idmap, name, base)
    if err:
        return ERR_PTR(err)
    ret = lookup_dcache(name, base, 0)
    return ret if ret is not None else lookup_slow(name, base, 0)


@dup("fs/namei.c")
def lookup_one_positive_unlocked(idmap: Any, name: Qstr, base: Dentry) -> Any:
    """``struct dentry *lookup_one_positive_unlocked(idmap, name, base)``: ERR_PTR(-ENOENT) for a negative one."""
    ret = lookup_one_unlocked(idmap, name, base)
    if not IS_ERR(ret) and ret.d_inode is None:
        dput(ret)
        ret = ERR_PTR(-ENOENT)
    return ret


@dup("fs/namei.c")
def start_creating(idmap: Any, parent: Dentry, name: Qstr) -> Any:
    """``struct dentry *start_creating(struct mnt_idmap *idmap, struct dentry *parent, struct qstr *name)``: the parent is locked. Return: or ERR_PTR()."""
    err = lookup_one_common(idmap, name, parent)
    return ERR_PTR(err) if err else start_dirop(parent, name, LOOKUP_CREATE)


@dup("fs/namei.c")
def start_removing(idmap: Any, parent: Dentry, name: Qstr) -> Any:
    """``struct dentry *start_removing(struct mnt_idmap *idmap, struct dentry *parent, struct qstr *name)``: positive. Return: or ERR_PTR(-ENOENT, ...)."""
    err = lookup_one_common(idmap, name, parent)
    return ERR_PTR(err) if err else start_dirop(parent, name, 0)


@dup("fs/namei.c")
def start_removing_dentry(parent: Dentry, child: Dentry) -> Any:
    """``struct dentry *start_removing_dentry(struct dentry *parent, struct dentry *child)``: ERR_PTR(-EINVAL) if it is not there any more."""
    inode_lock(parent.d_inode)
    if parent.d_inode.i_flags & S_DEAD or child.d_parent is not parent or d_unhashed(child):
        inode_unlock(parent.d_inode)
        return ERR_PTR(-EINVAL)
    if d_is_negative(child):
        inode_unlock(parent.d_inode)
        return ERR_PTR(-ENOENT)
    return dget(child)


@dup("include/linux/namei.h")
def end_creating(child: Any) -> None:
    """``void end_creating(struct dentry *child)``: unlock the parent, put the child."""
    end_dirop(child)


@dup("include/linux/namei.h")
def end_creating_keep(child: Any) -> Any:
    """``struct dentry *end_creating_keep(struct dentry *child)``: unlock the parent, keep the reference."""
    if not IS_ERR(child):
        dget(child)
    end_creating(child)
    return child


@dup("include/linux/namei.h")
def end_removing(child: Any) -> None:
    """``void end_removing(struct dentry *child)``"""
    end_dirop(child)


@dup("include/linux/fs.h")
def vfs_whiteout(idmap: Any, dir: Inode, dentry: Dentry) -> int:
    """``int vfs_whiteout(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry)``: a character device 0:0."""
    return vfs_mknod(idmap, dir, dentry, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV)
