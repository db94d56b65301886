# SPDX-License-Identifier: GPL-2.0-only
"""The system calls that an experiment makes as a user program: not for ports.

Each one returns what Linux returns (a negative errno on failure) and then does what a return to user space does: the task's
deferred work runs. A file descriptor is the open File itself; user memory is Python's.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL
from kemu.linux.fcntl import AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_LARGEFILE, SEEK_HOLE
from kemu.linux.fs.file_table import __fput_sync, fput
from kemu.linux.fs.namei import (
    filename_linkat,
    filename_lookup,
    filename_mkdirat,
    filename_mknodat,
    filename_rmdir,
    filename_symlinkat,
    filename_unlinkat,
    getname,
    path_put,
)
from kemu.linux.fs.namespace import path_mount, path_umount
from kemu.linux.fs.open import build_open_flags, do_file_open, open_flags
from kemu.linux.fs.read_write import vfs_llseek, vfs_read, vfs_write
from kemu.linux.fs.readdir import getdents64
from kemu.linux.fs.stat import cp_new_stat, do_readlinkat, vfs_fstat, vfs_fstatat
from kemu.linux.fs.xattr import do_getxattr, listxattr
from kemu.linux.include.fs.constants import MAX_RW_COUNT, MNT_DETACH, MNT_EXPIRE, MNT_FORCE, PATH_MAX, UMOUNT_NOFOLLOW
from kemu.linux.include.fs.types import File
from kemu.linux.include.init_syscalls import Descriptors
from kemu.linux.include.namei import LOOKUP_FOLLOW, LOOKUP_MOUNTPOINT
from kemu.linux.include.path import Path
from kemu.linux.include.xattr import XATTR_LIST_MAX, XATTR_SIZE_MAX
from kemu.linux.kdev_t import new_encode_dev
from kemu.linux.kernel.task_work import task_work_run
from kemu.linux.port.honesty import custom, names
from kemu.linux.stat import S_IFBLK, Kstat
from kemu.linux.types import Ref
from kemu.machine.current import this

SOURCE = "include/linux/entry-common.h"

P = ParamSpec("P")
R = TypeVar("R")
Name = str | bytes


@custom(SOURCE, "exit_to_user_mode", "task work only")
def exit_to_user_mode() -> None:
    """What the current task does on its way back to user space."""
    if this.task.task_works:
        task_work_run()


@custom("include/linux/syscalls.h", "SYSCALL_DEFINE", "a decorator; arguments and results are Python objects")
def syscall(fn: Callable[P, R]) -> Callable[P, R]:
    """A system call: the function, then the way back to user space."""
    @wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ret = fn(*args, **kwargs)
        if this.task.task_works:
            task_work_run()
        return ret
    return custom("kernel/sys_ni.c", fn.__name__, "a Python call of the experiment")(call)


def _user(name: Name) -> Any:
    return getname(name, 0)


@syscall
def sys_openat(dfd: int | File, filename: Name, flags: int, mode: int = 0) -> int | File:
    """``openat(dfd, filename, flags, mode)``"""
    op = open_flags()
    err = build_open_flags(flags | O_LARGEFILE, mode, op)
    if err:
        return err
    f = do_file_open(dfd, _user(filename), op)
    return PTR_ERR(f) if IS_ERR(f) else f               # type: ignore[no-any-return]


@syscall
def sys_open(filename: Name, flags: int, mode: int = 0) -> int | File:
    """``open(filename, flags, mode)``"""
    return sys_openat(AT_FDCWD, filename, flags, mode)


@syscall
def sys_close(fd: File) -> int:
    """``close(fd)``: the last reference releases the file at once."""
    retval = 0
    if fd.f_op.flush is not None:
        retval = fd.f_op.flush(fd, None)
    __fput_sync(fd)
    return retval


@custom("fs/file.c", "exit_files", "of all tasks; only init_dup() gives any")
def close_console() -> None:
    """Every task closes the descriptors that it was given by init_dup(): /dev/console as standard input and output."""
    given = this.machine.part(Descriptors)
    of, given.of = given.of, {}
    for files in of.values():
        for file in files:
            fput(file)


@syscall
def sys_read(fd: File, buf: Any, count: int) -> int:
    """``read(fd, buf, count)``: into a bytearray or memoryview."""
    pos = Ref(fd.f_pos)
    ret = vfs_read(fd, buf, min(count, MAX_RW_COUNT), pos)
    if ret >= 0:
        fd.f_pos = pos.v
    return ret


@syscall
def sys_pread64(fd: File, buf: Any, count: int, pos: int) -> int:
    """``pread64(fd, buf, count, pos)``"""
    return vfs_read(fd, buf, count, Ref(pos))


@syscall
def sys_write(fd: File, data: bytes) -> int:
    """``write(fd, data, len(data))``"""
    pos = Ref(fd.f_pos)
    ret = vfs_write(fd, data, len(data), pos)
    if ret >= 0:
        fd.f_pos = pos.v
    return ret


@syscall
def sys_lseek(fd: File, offset: int, whence: int) -> int:
    """``lseek(fd, offset, whence)``"""
    return vfs_llseek(fd, offset, whence) if 0 <= whence <= SEEK_HOLE else -EINVAL


@syscall
def sys_getdents64(fd: File, count: int = 32768) -> tuple[int, list[tuple[bytes, int, int, int]]]:
    """``getdents64(fd, buf, count)``: (bytes or a negative errno, [(name, ino, offset, d_type), ...])."""
    return getdents64(fd, count)


@syscall
def sys_newfstatat(dfd: int | File, filename: Name, flags: int = 0) -> int | Kstat:
    """``newfstatat(dfd, filename, statbuf, flags)``"""
    stat = Kstat()
    err = vfs_fstatat(dfd, filename, stat, flags)
    return err or cp_new_stat(stat)


@syscall
def sys_lstat(filename: Name) -> int | Kstat:
    """``lstat(filename, statbuf)``"""
    return sys_newfstatat(AT_FDCWD, filename, AT_SYMLINK_NOFOLLOW)


@syscall
def sys_stat(filename: Name) -> int | Kstat:
    """``stat(filename, statbuf)``"""
    return sys_newfstatat(AT_FDCWD, filename, 0)


@syscall
def sys_fstat(fd: File) -> int | Kstat:
    """``fstat(fd, statbuf)``"""
    stat = Kstat()
    return vfs_fstat(fd, stat) or cp_new_stat(stat)


@syscall
def sys_readlinkat(dfd: int | File, filename: Name, bufsiz: int = PATH_MAX) -> int | bytes:
    """``readlinkat(dfd, filename, buf, bufsiz)``: the text."""
    buf = bytearray(bufsiz)
    name = _user(filename)
    if type(name) is int:
        return int(name)
    n = do_readlinkat(dfd, filename, buf, bufsiz)
    return n if n < 0 else bytes(buf[:n])


@syscall
def sys_readlink(filename: Name, bufsiz: int = PATH_MAX) -> int | bytes:
    """``readlink(filename, buf, bufsiz)``"""
    return sys_readlinkat(AT_FDCWD, filename, bufsiz)


def _at(filename: Name, flags: int, call: Callable[[Path], Any]) -> Any:
    path = Path()
    err = filename_lookup(AT_FDCWD, _user(filename), flags, path)
    if err:
        return err
    ret = call(path)
    path_put(path)
    return ret


@syscall
def sys_llistxattr(filename: Name, size: int = XATTR_LIST_MAX) -> int | list[bytes]:
    """``llistxattr(filename, list, size)``: the names."""
    ret = _at(filename, 0, lambda path: listxattr(path.dentry, size))
    return int(ret) if isinstance(ret, int) else ret.split(b"\0")[:-1]


@syscall
def sys_lgetxattr(filename: Name, name: bytes, size: int = XATTR_SIZE_MAX) -> int | bytes:
    """``lgetxattr(filename, name, value, size)``: the value."""
    return _at(filename, 0,             # type: ignore[no-any-return]
               lambda path: do_getxattr(path.mnt.mnt_idmap, path.dentry, name, size))


@syscall
def sys_mount(dev_name: str | None, dir_name: Name, type: str | None, flags: int = 0, data: str | int | None = None) -> int:
    """``mount(dev_name, dir_name, type, flags, data)``"""
    path = Path()
    err = filename_lookup(AT_FDCWD, _user(dir_name), LOOKUP_FOLLOW, path)
    if err:
        return err
    err = path_mount(dev_name, path, type, flags, data)
    path_put(path)
    return err


@syscall
def sys_umount(name: Name, flags: int = 0) -> int:
    """``umount2(name, flags)``: the file system is gone when this returns, if no one else uses it."""
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        return -EINVAL
    path = Path()
    err = filename_lookup(AT_FDCWD, _user(name), LOOKUP_MOUNTPOINT | (0 if flags & UMOUNT_NOFOLLOW else LOOKUP_FOLLOW), path)
    return err or path_umount(path, flags)


@syscall
def sys_mkdir(pathname: Name, mode: int = 0o755) -> int:
    """``mkdir(pathname, mode)``"""
    return filename_mkdirat(AT_FDCWD, _user(pathname), mode)


@syscall
def sys_mknod(pathname: Name, mode: int, dev: int = 0) -> int:
    """``mknod(pathname, mode, dev)``: dev as new_encode_dev() gives it."""
    return filename_mknodat(AT_FDCWD, _user(pathname), mode, dev)


@syscall
def sys_symlink(oldname: Name, newname: Name) -> int:
    """``symlink(oldname, newname)``"""
    return filename_symlinkat(_user(oldname), AT_FDCWD, _user(newname))


@syscall
def sys_link(oldname: Name, newname: Name) -> int:
    """``link(oldname, newname)``"""
    return filename_linkat(AT_FDCWD, _user(oldname), AT_FDCWD, _user(newname), 0)


@syscall
def sys_unlink(pathname: Name) -> int:
    """``unlink(pathname)``"""
    return filename_unlinkat(AT_FDCWD, _user(pathname))


@syscall
def sys_rmdir(pathname: Name) -> int:
    """``rmdir(pathname)``"""
    return filename_rmdir(AT_FDCWD, _user(pathname))


@custom("drivers/base/devtmpfs.c", "devtmpfs_create_node", "by mknod, as an experiment does it")
def device_node(name: str, dev: int) -> str:
    """``/dev/name``, made if it is not there: a block device's node."""
    path = os.path.join("/dev", name)
    sys_mkdir("/dev")
    sys_mknod(path, S_IFBLK | 0o600, new_encode_dev(dev))
    return path


names("custom", "kernel/entry/common.c", "exit_to_user_mode", "syscall", "sys_open", "sys_lstat", "sys_stat", "sys_readlink",
      "device_node", how="what a program does: a system call with its way back to user mode")
