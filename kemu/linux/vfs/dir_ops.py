# SPDX-License-Identifier: GPL-2.0-only
"""Making and removing names (the second half of fs/namei.c). Ports import it from kemu.linux.fs and kemu.linux.namei."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.cred import CAP_FOWNER, CAP_MKNOD, Cred, capable, capable_wrt_inode_uidgid, current_fsuid
from kemu.linux.dcache import (
    Dentry,
    d_alloc,
    d_delete,
    d_is_dir,
    d_is_negative,
    d_mountpoint,
    dget,
    dont_mount,
    dput,
    shrink_dcache_parent,
)
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    EMLINK,
    ENOENT,
    ENOMEM,
    ENOTDIR,
    ENOTEMPTY,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    EXDEV,
)
from kemu.linux.fcntl import AT_SYMLINK_FOLLOW, O_EXCL
from kemu.linux.honesty import dup
from kemu.linux.kdev_t import new_decode_dev
from kemu.linux.path import path_put
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.stat import (
    S_IALLUGO,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_IRWXUGO,
    S_ISDIR,
    S_ISGID,
    S_ISVTX,
)
from kemu.linux.super_types import SB_I_NOUMASK, SB_POSIXACL
from kemu.linux.types import Ref
from kemu.linux.vfs import inode as _inode
from kemu.linux.vfs.attr import in_group_or_capable
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.constants import (
    I_LINKABLE,
    MAY_EXEC,
    MAY_WRITE,
    S_APPEND,
    S_DEAD,
    S_IMMUTABLE,
    S_KERNEL_FILE,
    S_SWAPFILE,
)
from kemu.linux.vfs.file_table import alloc_empty_file_noaccount, fput
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.mounts import g as mounts_g
from kemu.linux.vfs.mounts import mnt_drop_write, mnt_want_write
from kemu.linux.vfs.namespace import detach_mounts
from kemu.linux.vfs.permission import inode_permission
from kemu.linux.vfs.types import File, Inode
from kemu.linux.vfs.walk import (
    LAST_DOT,
    LAST_DOTDOT,
    LAST_NORM,
    LOOKUP_CREATE,
    LOOKUP_DIRECTORY,
    LOOKUP_EXCL,
    LOOKUP_FOLLOW,
    filename_lookup,
    filename_parentat,
    getname,
    lookup_one_qstr_excl,
)


def vfs_prepare_mode(idmap: Any, dir: Inode, mode: int, mask_perms: int, type: int) -> int:
    if mode & (S_ISGID | 0o010) == S_ISGID | 0o010 and not S_ISDIR(mode) and dir.i_mode & S_ISGID and not in_group_or_capable(idmap, dir, dir.i_gid):
        mode &= ~S_ISGID                        # mode_strip_sgid()
    if not dir.i_sb.s_flags & SB_POSIXACL and not dir.i_sb.s_iflags & SB_I_NOUMASK:
        mode &= ~current_fs().umask             # mode_strip_umask()
    return mode & mask_perms & ~S_IFMT | type & S_IFMT


def may_o_create(path: Path, mode: int) -> int:
    return inode_permission(path.mnt.mnt_idmap, path.dentry.d_inode, MAY_WRITE | MAY_EXEC)


@dup("fs/namei.c")
def may_create_dentry(idmap: Any, dir: Inode, child: Dentry) -> int:
    """``int may_create_dentry(struct mnt_idmap *idmap, struct inode *dir, struct dentry *child)``. Return: 0, -EEXIST, -ENOENT, -EACCES, ..."""
    if child.d_inode is not None:
        return -EEXIST
    if dir.i_flags & S_DEAD:
        return -ENOENT
    return inode_permission(idmap, dir, MAY_WRITE | MAY_EXEC)


@dup("fs/namei.c")
def may_delete_dentry(idmap: Any, dir: Inode, victim: Dentry, isdir: bool) -> int:
    """``int may_delete_dentry(idmap, dir, victim, isdir)``. Return: 0, -ENOENT, -EPERM, -ENOTDIR, -EISDIR, -EBUSY, ..."""
    inode = victim.d_inode
    if d_is_negative(victim):
        return -ENOENT
    BUG_ON(inode is None)
    BUG_ON(victim.d_parent.d_inode is not dir)
    if inode.i_uid == 0xFFFF_FFFF or inode.i_gid == 0xFFFF_FFFF:
        return -EOVERFLOW
    error = inode_permission(idmap, dir, MAY_WRITE | MAY_EXEC)
    if error:
        return error
    if dir.i_flags & S_APPEND:
        return -EPERM
    sticky = (dir.i_mode & S_ISVTX and current_fsuid() not in (inode.i_uid, dir.i_uid)
              and not capable_wrt_inode_uidgid(idmap, inode, CAP_FOWNER))
    if sticky or inode.i_flags & (S_APPEND | S_IMMUTABLE | S_SWAPFILE):
        return -EPERM
    if isdir:
        if not d_is_dir(victim):
            return -ENOTDIR
        if victim is victim.d_parent:
            return -EBUSY
    elif d_is_dir(victim):
        return -EISDIR
    return -ENOENT if dir.i_flags & S_DEAD else 0


def is_local_mountpoint(dentry: Dentry) -> bool:
    return d_mountpoint(dentry) and any(m.mnt_mountpoint is dentry for m in mounts_g.init_mnt_ns.mounts)


@dup("fs/namei.c")
def start_dirop(parent: Dentry, name: Qstr, lookup_flags: int) -> Any:
    dir = parent.d_inode
    inode_lock(dir)
    dentry = lookup_one_qstr_excl(name, parent, lookup_flags)
    if IS_ERR(dentry):
        inode_unlock(dir)
    return dentry


@dup("fs/namei.c")
def end_dirop(de: Any) -> None:
    if not IS_ERR(de):
        inode_unlock(de.d_parent.d_inode)
        dput(de)


def filename_create(dfd: int | File, name: Any, path: Path, lookup_flags: int) -> Any:
    """The negative dentry to make; its directory is locked and the mount writable. To be ended by end_creating_path()."""
    last = Ref()
    error = filename_parentat(dfd, name, 0, path, last)
    if error:
        return ERR_PTR(error)
    comp, slash, type = last.v
    dentry: Any = ERR_PTR(-EEXIST)
    if type == LAST_NORM:
        error = mnt_want_write(path.mnt)
        create_flags = LOOKUP_EXCL if slash and not lookup_flags & LOOKUP_DIRECTORY else LOOKUP_CREATE | LOOKUP_EXCL
        dentry = start_dirop(path.dentry, Qstr(comp), create_flags)
        if not IS_ERR(dentry):
            if not error:
                return dentry
            end_dirop(dentry)
            dentry = ERR_PTR(error)
        if not error:
            mnt_drop_write(path.mnt)
    path_put(path)
    return dentry


@dup("fs/namei.c")
def end_creating_path(path: Path, dentry: Any) -> None:
    """``void end_creating_path(const struct path *path, struct dentry *dentry)``"""
    if IS_ERR(dentry):
        pass                                    # vfs_mkdir() has unlocked already
    else:
        end_dirop(dentry)
    mnt_drop_write(path.mnt)
    path_put(path)


@dup("fs/namei.c")
def start_creating_path(dfd: int | File, pathname: str, path: Path, lookup_flags: int) -> Any:
    """``struct dentry *start_creating_path(int dfd, const char *pathname, struct path *path, unsigned int lookup_flags)``. Return: or ERR_PTR()."""
    return filename_create(dfd, getname(pathname), path, lookup_flags)


# ------------------------------------------------------------------------- one object

@dup("fs/namei.c")
def vfs_create(idmap: Any, dentry: Dentry, mode: int, di: Any = None) -> int:
    """``int vfs_create(struct mnt_idmap *idmap, struct dentry *dentry, umode_t mode, struct delegated_inode *di)``"""
    dir = dentry.d_parent.d_inode
    error = may_create_dentry(idmap, dir, dentry)
    if error:
        return error
    if dir.i_op.create is None:
        return -EACCES
    return int(dir.i_op.create(idmap, dir, dentry, vfs_prepare_mode(idmap, dir, mode, S_IALLUGO, S_IFREG), True))


@dup("fs/namei.c")
def vfs_mknod(idmap: Any, dir: Inode, dentry: Dentry, mode: int, dev: int, di: Any = None) -> int:
    """``int vfs_mknod(idmap, dir, dentry, mode, dev, delegated_inode)``. Return: 0, -EPERM, -EEXIST, ..."""
    error = may_create_dentry(idmap, dir, dentry)
    if error:
        return error
    kind = mode & S_IFMT
    if kind in (S_IFCHR, S_IFBLK) and not (kind == S_IFCHR and dev == 0) and not capable(CAP_MKNOD):
        return -EPERM
    if dir.i_op.mknod is None:
        return -EPERM
    return int(dir.i_op.mknod(idmap, dir, dentry, vfs_prepare_mode(idmap, dir, mode, mode, mode), dev))


@dup("fs/namei.c")
def vfs_mkdir(idmap: Any, dir: Inode, dentry: Dentry, mode: int, di: Any = None) -> Any:
    """``struct dentry *vfs_mkdir(idmap, dir, dentry, mode, delegated_inode)``: the dentry to use. On an error the directory is unlocked."""
    error = may_create_dentry(idmap, dir, dentry)
    if not error:
        if dir.i_op.mkdir is None:
            error = -EPERM
        elif dir.i_sb.s_max_links and dir.i_nlink >= dir.i_sb.s_max_links:
            error = -EMLINK
        else:
            de = dir.i_op.mkdir(idmap, dir, dentry, vfs_prepare_mode(idmap, dir, mode, S_IRWXUGO | S_ISVTX, 0))
            if de is None or de == 0:           # ERR_PTR(0) is NULL
                return dentry
            if not IS_ERR(de):
                dput(dentry)
                return de
            error = PTR_ERR(de)
    end_dirop(dentry)
    return ERR_PTR(error)


@dup("fs/namei.c")
def vfs_symlink(idmap: Any, dir: Inode, dentry: Dentry, oldname: bytes, di: Any = None) -> int:
    """``int vfs_symlink(idmap, dir, dentry, oldname, delegated_inode)``"""
    error = may_create_dentry(idmap, dir, dentry)
    if error:
        return error
    if dir.i_op.symlink is None:
        return -EPERM
    return int(dir.i_op.symlink(idmap, dir, dentry, oldname))


@dup("fs/namei.c")
def vfs_link(old_dentry: Dentry, idmap: Any, dir: Inode, new_dentry: Dentry, di: Any = None) -> int:
    """``int vfs_link(old_dentry, idmap, dir, new_dentry, delegated_inode)``. Return: 0, -EXDEV, -EPERM, -EMLINK, -ENOENT, ..."""
    inode = old_dentry.d_inode
    if inode is None:
        return -ENOENT
    error = may_create_dentry(idmap, dir, new_dentry)
    if error:
        return error
    if dir.i_sb is not inode.i_sb:
        return -EXDEV
    if inode.i_flags & (S_APPEND | S_IMMUTABLE) or dir.i_op.link is None or S_ISDIR(inode.i_mode):
        return -EPERM
    inode_lock(inode)
    if inode.i_nlink == 0 and not inode.i_state & I_LINKABLE:
        error = -ENOENT
    elif dir.i_sb.s_max_links and inode.i_nlink >= dir.i_sb.s_max_links:
        error = -EMLINK
    else:
        error = dir.i_op.link(old_dentry, dir, new_dentry)
    if not error and inode.i_state & I_LINKABLE:
        spin_lock(inode.i_lock)
        inode.i_state &= ~I_LINKABLE
        spin_unlock(inode.i_lock)
    inode_unlock(inode)
    return error


@dup("fs/namei.c")
def vfs_unlink(idmap: Any, dir: Inode, dentry: Dentry, di: Any = None) -> int:
    """``int vfs_unlink(idmap, dir, dentry, delegated_inode)``. Return: 0, -EPERM, -EBUSY (a mountpoint), -EISDIR, ..."""
    target = dentry.d_inode
    error = may_delete_dentry(idmap, dir, dentry, False)
    if error:
        return error
    if dir.i_op.unlink is None:
        return -EPERM
    inode_lock(target)
    if target.i_flags & S_SWAPFILE:
        error = -EPERM
    elif is_local_mountpoint(dentry):
        error = -EBUSY
    else:
        error = dir.i_op.unlink(dir, dentry)
        if not error:
            dont_mount(dentry)
            detach_mounts(dentry)
    inode_unlock(target)
    if not error and dentry.d_inode is not None:
        d_delete(dentry)
    return error


@dup("fs/namei.c")
def vfs_rmdir(idmap: Any, dir: Inode, dentry: Dentry, di: Any = None) -> int:
    """``int vfs_rmdir(idmap, dir, dentry, delegated_inode)``. Return: 0, -EPERM, -EBUSY (a mountpoint), -ENOTDIR, -ENOTEMPTY, ..."""
    error = may_delete_dentry(idmap, dir, dentry, True)
    if error:
        return error
    if dir.i_op.rmdir is None:
        return -EPERM
    dget(dentry)
    inode = dentry.d_inode
    inode_lock(inode)
    if is_local_mountpoint(dentry) or inode.i_flags & S_KERNEL_FILE:
        error = -EBUSY
    else:
        error = dir.i_op.rmdir(dir, dentry)
        if not error:
            shrink_dcache_parent(dentry)
            inode.i_flags |= S_DEAD
            dont_mount(dentry)
            detach_mounts(dentry)
    inode_unlock(inode)
    dput(dentry)
    if not error and dentry.d_inode is not None:
        d_delete(dentry)
    return error


# ------------------------------------------------------------------------- by name

@dup("fs/namei.c")
def filename_mknodat(dfd: int | File, name: Any, mode: int, dev: int) -> int:
    """``int filename_mknodat(int dfd, struct filename *name, umode_t mode, unsigned int dev)``: dev as user space encodes it."""
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        return -EPERM
    if kind not in (0, S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
        return -EINVAL
    path = Path()
    dentry = filename_create(dfd, name, path, 0)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    idmap = path.mnt.mnt_idmap
    if kind in (0, S_IFREG):
        error = vfs_create(idmap, dentry, mode)
    else:
        error = vfs_mknod(idmap, path.dentry.d_inode, dentry, mode, new_decode_dev(dev) if kind in (S_IFCHR, S_IFBLK) else 0)
    end_creating_path(path, dentry)
    return error


@dup("fs/namei.c")
def filename_mkdirat(dfd: int | File, name: Any, mode: int) -> int:
    """``int filename_mkdirat(int dfd, struct filename *name, umode_t mode)``"""
    path = Path()
    dentry = filename_create(dfd, name, path, LOOKUP_DIRECTORY)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    dentry = vfs_mkdir(path.mnt.mnt_idmap, path.dentry.d_inode, dentry, mode)
    end_creating_path(path, dentry)
    return PTR_ERR(dentry) if IS_ERR(dentry) else 0


@dup("fs/namei.c")
def filename_symlinkat(from_: Any, newdfd: int | File, to: Any) -> int:
    """``int filename_symlinkat(struct filename *from, int newdfd, struct filename *to)``"""
    if type(from_) is int:
        return int(from_)
    path = Path()
    dentry = filename_create(newdfd, to, path, 0)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    error = vfs_symlink(path.mnt.mnt_idmap, path.dentry.d_inode, dentry, from_)
    end_creating_path(path, dentry)
    return error


@dup("fs/namei.c")
def filename_linkat(olddfd: int | File, old: Any, newdfd: int | File, new: Any, flags: int) -> int:
    """``int filename_linkat(int olddfd, struct filename *old, int newdfd, struct filename *new, int flags)``"""
    old_path, new_path = Path(), Path()
    error = filename_lookup(olddfd, old, LOOKUP_FOLLOW if flags & AT_SYMLINK_FOLLOW else 0, old_path)
    if error:
        return error
    new_dentry = filename_create(newdfd, new, new_path, 0)
    if IS_ERR(new_dentry):
        path_put(old_path)
        return PTR_ERR(new_dentry)
    if old_path.mnt is not new_path.mnt:
        error = -EXDEV
    else:
        error = vfs_link(old_path.dentry, new_path.mnt.mnt_idmap, new_path.dentry.d_inode, new_dentry)
    end_creating_path(new_path, new_dentry)
    path_put(old_path)
    return error


@dup("fs/namei.c")
def filename_rmdir(dfd: int | File, name: Any) -> int:
    """``int filename_rmdir(int dfd, struct filename *name)``"""
    path, last = Path(), Ref()
    error = filename_parentat(dfd, name, 0, path, last)
    if error:
        return error
    comp, _, type = last.v
    if type != LAST_NORM:
        error = {LAST_DOTDOT: -ENOTEMPTY, LAST_DOT: -EINVAL}.get(type, -EBUSY)
    else:
        error = mnt_want_write(path.mnt)
        if not error:
            dentry = start_dirop(path.dentry, Qstr(comp), 0)
            if IS_ERR(dentry):
                error = PTR_ERR(dentry)
            else:
                error = vfs_rmdir(path.mnt.mnt_idmap, path.dentry.d_inode, dentry)
                end_dirop(dentry)
            mnt_drop_write(path.mnt)
    path_put(path)
    return error


@dup("fs/namei.c")
def filename_unlinkat(dfd: int | File, name: Any) -> int:
    """``int filename_unlinkat(int dfd, struct filename *name)``"""
    path, last = Path(), Ref()
    error = filename_parentat(dfd, name, 0, path, last)
    if error:
        return error
    comp, slash, type = last.v
    error = -EISDIR
    if type == LAST_NORM:
        error = mnt_want_write(path.mnt)
        if not error:
            dentry = start_dirop(path.dentry, Qstr(comp), 0)
            if IS_ERR(dentry):
                error = PTR_ERR(dentry)
            elif slash:
                error = -EISDIR if d_is_dir(dentry) else -ENOTDIR
                end_dirop(dentry)
            else:
                inode = dentry.d_inode
                _inode.ihold(inode)
                error = vfs_unlink(path.mnt.mnt_idmap, path.dentry.d_inode, dentry)
                end_dirop(dentry)
                _inode.iput(inode)              # truncate the inode here
            mnt_drop_write(path.mnt)
    path_put(path)
    return error


@dup("fs/namei.c")
def vfs_tmpfile(idmap: Any, parentpath: Path, file: File, mode: int) -> int:
    """``int vfs_tmpfile(idmap, parentpath, file, mode)``. Return: 0, -EOPNOTSUPP, -EACCES, ..."""
    from kemu.linux.dcache import slash_name
    from kemu.linux.vfs.open import may_open

    dir = parentpath.dentry.d_inode
    open_flag = file.f_flags
    error = inode_permission(idmap, dir, MAY_WRITE | MAY_EXEC)
    if error:
        return error
    if dir.i_op.tmpfile is None:
        return -EOPNOTSUPP
    child = d_alloc(parentpath.dentry, slash_name)
    if child is None:
        return -ENOMEM
    file.f_path = Path(parentpath.mnt, child)
    mode = vfs_prepare_mode(idmap, dir, mode, mode, mode)
    error = dir.i_op.tmpfile(idmap, dir, file, mode)
    dput(child)
    if error:
        return int(error)
    # Don't check for other permissions, the inode was just created
    error = may_open(idmap, file.f_path, 0, file.f_flags)
    if error:
        return error
    inode = file.f_inode
    if not open_flag & O_EXCL:
        spin_lock(inode.i_lock)
        inode.i_state |= I_LINKABLE
        spin_unlock(inode.i_lock)
    return 0


@dup("fs/namei.c")
def kernel_tmpfile_open(idmap: Any, parentpath: Path, mode: int, open_flag: int, cred: Cred) -> Any:
    """``struct file *kernel_tmpfile_open(struct mnt_idmap *idmap, const struct path *parentpath, umode_t mode, int open_flag,
    const struct cred *cred)``: ERR_PTR() of what vfs_tmpfile() returns, -ENFILE, -ENOMEM."""
    file = alloc_empty_file_noaccount(open_flag, cred)
    if IS_ERR(file):
        return file

    error = vfs_tmpfile(idmap, parentpath, file, mode)
    if error:
        fput(file)
        file = ERR_PTR(error)
    return file


__all__ = ["end_creating_path", "filename_linkat", "filename_mkdirat", "filename_mknodat", "filename_rmdir",
           "filename_symlinkat", "filename_unlinkat", "may_create_dentry", "may_delete_dentry", "start_creating_path",
           "vfs_create", "vfs_link", "vfs_mkdir", "vfs_mknod", "vfs_rmdir", "vfs_symlink", "vfs_tmpfile", "vfs_unlink"]
