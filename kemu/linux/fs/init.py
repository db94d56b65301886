# SPDX-License-Identifier: GPL-2.0-only
"""Path calls of early boot (include/linux/init_syscalls.h): a port of fs/init.c.

Names are ``str`` and resolve against the task's working directory. Context of all: may sleep.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EPERM
from kemu.linux.fcntl import AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW
from kemu.linux.fs.fs_struct import set_fs_pwd, set_fs_root
from kemu.linux.fs.namei import (
    filename_linkat,
    filename_mkdirat,
    filename_mknodat,
    filename_rmdir,
    filename_symlinkat,
    filename_unlinkat,
    getname,
    kern_path,
    path_put,
)
from kemu.linux.fs.namespace import mnt_drop_write, mnt_want_write, path_mount, path_pivot_root, path_umount
from kemu.linux.fs.open import chmod_common, chown_common
from kemu.linux.fs.stat import vfs_getattr
from kemu.linux.fs.utimes import vfs_utimes
from kemu.linux.include.cred import CAP_SYS_CHROOT, capable
from kemu.linux.include.fs.calls import get_file
from kemu.linux.include.fs.constants import MAY_ACCESS, MAY_CHDIR, MAY_EXEC, UMOUNT_NOFOLLOW
from kemu.linux.include.fs.types import File
from kemu.linux.include.init_syscalls import Descriptors, LooksForInit, path_permission
from kemu.linux.include.namei import LOOKUP_DIRECTORY, LOOKUP_FOLLOW, LOOKUP_MOUNTPOINT
from kemu.linux.include.path import Path
from kemu.linux.include.sched import current_fs
from kemu.linux.port.honesty import dup, port_of
from kemu.linux.security.security import security_path_chroot
from kemu.linux.stat import STATX_BASIC_STATS, Kstat
from kemu.machine.current import this

C = "fs/init.c"


@dup(C, "init_pivot_root")
def init_pivot_root(new_root: str, put_old: str) -> int:
    """``int init_pivot_root(const char *new_root, const char *put_old)``: -ENOENT, -ENOTDIR, -EINVAL, -EBUSY as pivot_root(2)"""
    new_path, old_path = Path(), Path()
    ret = kern_path(new_root, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, new_path)
    if ret:
        return ret
    ret = kern_path(put_old, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, old_path)
    if ret:
        path_put(new_path)
        return ret
    ret = path_pivot_root(new_path, old_path)
    path_put(old_path)
    path_put(new_path)
    return ret


@port_of(C, "init_mount")
def init_mount(dev_name: str | None, dir_name: str, type_page: str | None, flags: int, data_page: Any) -> int:
    """``int init_mount(const char *dev_name, const char *dir_name, const char *type_page, unsigned long flags, void
    *data_page)``:
    -ENOENT, -ENOTDIR, -ENODEV, -EINVAL, -ENOMEM as mount(2).
    """
    path = Path()
    ret = kern_path(dir_name, LOOKUP_FOLLOW, path)
    if ret:
        return ret
    ret = path_mount(dev_name, path, type_page, flags, data_page)
    path_put(path)
    return ret


@port_of(C, "init_umount")
def init_umount(name: str, flags: int) -> int:
    """``int init_umount(const char *name, int flags)``: -ENOENT, -EINVAL, -EBUSY as umount(2)"""
    lookup_flags = LOOKUP_MOUNTPOINT
    path = Path()
    if not flags & UMOUNT_NOFOLLOW:
        lookup_flags |= LOOKUP_FOLLOW
    ret = kern_path(name, lookup_flags, path)
    if ret:
        return ret
    return path_umount(path, flags)


@port_of(C, "init_chdir")
def init_chdir(filename: str) -> int:
    """``int init_chdir(const char *filename)``: -ENOENT, -ENOTDIR, -EACCES"""
    path = Path()
    error = kern_path(filename, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, path)
    if error:
        return error
    error = path_permission(path, MAY_EXEC | MAY_CHDIR)
    if not error:
        set_fs_pwd(current_fs(), path)
    path_put(path)
    return error


@dup(C, "init_chroot")
def init_chroot(filename: str) -> int:
    """``int init_chroot(const char *filename)``: -ENOENT, -ENOTDIR, -EACCES, -EPERM"""
    path = Path()
    error = kern_path(filename, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, path)
    if error:
        return error
    error = path_permission(path, MAY_EXEC | MAY_CHDIR)
    if not error:
        error = -EPERM
        if capable(CAP_SYS_CHROOT):
            error = security_path_chroot(path)
            if not error:
                set_fs_root(current_fs(), path)
    path_put(path)
    return error


@port_of(C, "init_chown")
def init_chown(filename: str, user: int, group: int, flags: int) -> int:
    """``int init_chown(const char *filename, uid_t user, gid_t group, int flags)``: -ENOENT, -EPERM, -EROFS"""
    lookup_flags = 0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW
    path = Path()
    error = kern_path(filename, lookup_flags, path)
    if error:
        return error
    error = mnt_want_write(path.mnt)
    if not error:
        error = chown_common(path, user, group)
        mnt_drop_write(path.mnt)
    path_put(path)
    return error


@port_of(C, "init_chmod")
def init_chmod(filename: str, mode: int) -> int:
    """``int init_chmod(const char *filename, umode_t mode)``: -ENOENT, -EPERM, -EROFS"""
    path = Path()
    error = kern_path(filename, LOOKUP_FOLLOW, path)
    if error:
        return error
    error = chmod_common(path, mode)
    path_put(path)
    return error


@dup(C, "init_eaccess")
def init_eaccess(filename: str) -> int:
    """``int init_eaccess(const char *filename)``: 0, or -ENOENT, -ENOTDIR, -EACCES"""
    look = this.machine.part(LooksForInit).look
    if look is not None:
        look()                  # the initramfs is in place: whoever wants to see the tree sees it now
    path = Path()
    error = kern_path(filename, LOOKUP_FOLLOW, path)
    if error:
        return error
    error = path_permission(path, MAY_ACCESS)
    path_put(path)
    return error


@port_of(C, "init_stat")
def init_stat(filename: str, stat: Kstat, flags: int) -> int:
    """``int init_stat(const char *filename, struct kstat *stat, int flags)``: -ENOENT, -ENOTDIR, -ENOMEM"""
    lookup_flags = 0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW
    path = Path()
    error = kern_path(filename, lookup_flags, path)
    if error:
        return error
    error = vfs_getattr(path, stat, STATX_BASIC_STATS, flags | AT_NO_AUTOMOUNT)
    path_put(path)
    return error


@port_of(C, "init_mknod")
def init_mknod(filename: str, mode: int, dev: int) -> int:
    """``int init_mknod(const char *filename, umode_t mode, unsigned int dev)``:
    -EEXIST, -ENOENT, -ENOMEM, -EPERM; a mode without type makes a regular file.
    """
    return filename_mknodat(AT_FDCWD, getname(filename), mode, dev)


@port_of(C, "init_link")
def init_link(oldname: str, newname: str) -> int:
    """``int init_link(const char *oldname, const char *newname)``: -EEXIST, -ENOENT, -EXDEV, -EPERM"""
    return filename_linkat(AT_FDCWD, getname(oldname), AT_FDCWD, getname(newname), 0)


@port_of(C, "init_symlink")
def init_symlink(oldname: str, newname: str) -> int:
    """``int init_symlink(const char *oldname, const char *newname)``: -EEXIST, -ENOENT, -ENOMEM"""
    return filename_symlinkat(getname(oldname), AT_FDCWD, getname(newname))


@port_of(C, "init_unlink")
def init_unlink(pathname: str) -> int:
    """``int init_unlink(const char *pathname)``: -ENOENT, -EISDIR, -EPERM"""
    return filename_unlinkat(AT_FDCWD, getname(pathname))


@port_of(C, "init_mkdir")
def init_mkdir(pathname: str, mode: int) -> int:
    """``int init_mkdir(const char *pathname, umode_t mode)``: -EEXIST, -ENOENT, -ENOMEM"""
    return filename_mkdirat(AT_FDCWD, getname(pathname), mode)


@port_of(C, "init_rmdir")
def init_rmdir(pathname: str) -> int:
    """``int init_rmdir(const char *pathname)``: -ENOENT, -ENOTEMPTY, -ENOTDIR, -EBUSY"""
    return filename_rmdir(AT_FDCWD, getname(pathname))


@port_of(C, "init_utimes")
def init_utimes(filename: str, ts: Any) -> int:
    """``int init_utimes(char *filename, struct timespec64 *ts)``: -ENOENT, -EROFS"""
    path = Path()
    error = kern_path(filename, 0, path)
    if error:
        return error
    error = vfs_utimes(path, ts)
    path_put(path)
    return error


@dup(C, "init_dup")
def init_dup(file: File) -> int:
    # get_unused_fd_flags(0), fd_install(): the descriptors of the current task
    """``int init_dup(struct file *file)``: 0, or -EMFILE of get_unused_fd_flags()"""
    this.machine.part(Descriptors).of.setdefault(this.task.pid, []).append(get_file(file))
    return 0
