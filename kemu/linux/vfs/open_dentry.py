# SPDX-License-Identifier: GPL-2.0-only
"""Opening what a path leads to (fs/open.c). Ports import it from kemu.linux.fs."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.cred import Cred
from kemu.linux.dcache import (
    Dentry,
)
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import (
    EINVAL,
    ENODEV,
    ETXTBSY,
)
from kemu.linux.fcntl import (
    __O_REGULAR,
    O_CREAT,
    O_DIRECT,
    O_EXCL,
    O_NOCTTY,
    O_PATH,
    O_TRUNC,
)
from kemu.linux.honesty import dup
from kemu.linux.path import path_get, path_put
from kemu.linux.readahead import file_ra_state_init
from kemu.linux.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import (
    FMODE_ATOMIC_POS,
    FMODE_BACKING,
    FMODE_CAN_ODIRECT,
    FMODE_CAN_READ,
    FMODE_CAN_WRITE,
    FMODE_LSEEK,
    FMODE_OPENED,
    FMODE_PATH,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_WRITE,
    FMODE_WRITER,
)
from kemu.linux.vfs.file_table import (
    alloc_empty_backing_file,
    alloc_empty_file,
    alloc_empty_file_noaccount,
    fput,
    iocb_flags,
    put_file_access,
)
from kemu.linux.vfs.mounts import (
    mnt_get_write_access,
    mnt_put_write_access,
)
from kemu.linux.vfs.types import File, Inode, empty_fops

_SPECIAL = (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK)


@dup("include/linux/fs.h")
def get_write_access(inode: Inode) -> int:
    """``int get_write_access(struct inode *inode)``. Return: 0, or -ETXTBSY while it is executed."""
    if inode.i_writecount < 0:
        return -ETXTBSY
    inode.i_writecount += 1
    return 0


def file_get_write_access(f: File) -> int:
    error = get_write_access(f.f_inode)
    if error:
        return error
    error = mnt_get_write_access(f.f_path.mnt)
    if error:
        f.f_inode.i_writecount -= 1
        return error
    if f.f_mode & FMODE_BACKING and f.user_path is not None:
        error = mnt_get_write_access(f.user_path.mnt)
        if error:
            mnt_put_write_access(f.f_path.mnt)
            f.f_inode.i_writecount -= 1
    return error


@dup("fs/open.c")
def do_dentry_open(f: File, open: Any = None) -> int:
    """``static int do_dentry_open(struct file *f, int (*open)(struct inode *, struct file *))``: f.f_path is set.

    Return: 0; -EINVAL for O_DIRECT where it cannot be; -EROFS, -ETXTBSY for writing; what ->open says.
    """
    path = f.f_path
    path_get(path)
    inode = f.f_inode = path.dentry.d_inode
    mapping = f.f_mapping = inode.i_mapping
    f.f_wb_err = mapping.wb_err
    mode = f.f_mode
    if f.f_flags & O_PATH:
        f.f_mode = FMODE_PATH | FMODE_OPENED
        f.f_op = empty_fops
        return 0
    kind = inode.i_mode & S_IFMT
    error = 0
    if mode & (FMODE_READ | FMODE_WRITE) == FMODE_READ:
        inode.i_readcount += 1
    elif mode & FMODE_WRITE and kind not in _SPECIAL:
        error = file_get_write_access(f)
        if error:
            path_put(path)
            f.f_path = Path()
            f.f_inode = None                    # type: ignore[assignment]
            return error
        f.f_mode |= FMODE_WRITER
    if kind == S_IFREG or kind == S_IFDIR:
        f.f_mode |= FMODE_ATOMIC_POS
    f.f_op = op = inode.i_fop
    if WARN_ON(op is None):
        error = -ENODEV
    else:
        f.f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
        if open is None:
            open = op.open
        if open is not None:
            error = open(inode, f)
    if error:
        if WARN_ON(error > 0):
            error = -EINVAL
        put_file_access(f)
        path_put(f.f_path)
        f.f_path = Path()
        f.f_inode = None                        # type: ignore[assignment]
        return error
    op = f.f_op
    mode = f.f_mode | FMODE_OPENED
    if mode & FMODE_READ and (op.read_iter is not None or op.read is not None):
        mode |= FMODE_CAN_READ
    if mode & FMODE_WRITE and (op.write_iter is not None or op.write is not None):
        mode |= FMODE_CAN_WRITE
    if mode & FMODE_LSEEK and op.llseek is None:
        mode &= ~FMODE_LSEEK
    a_ops = f.f_mapping.a_ops
    if a_ops is not None and a_ops.direct_IO is not None:
        mode |= FMODE_CAN_ODIRECT
    f.f_mode = mode
    f.f_flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | __O_REGULAR)
    f.f_iocb_flags = iocb_flags(f)
    file_ra_state_init(f.f_ra, f.f_mapping.host.i_mapping)
    if f.f_flags & O_DIRECT and not mode & FMODE_CAN_ODIRECT:
        return -EINVAL
    return 0


@dup("fs/open.c")
def finish_open(file: File, dentry: Dentry, open: Any) -> int:
    """``int finish_open(struct file *file, struct dentry *dentry, int (*open)())``: for ->atomic_open."""
    BUG_ON(file.f_mode & FMODE_OPENED)
    file.f_path.dentry = dentry
    return do_dentry_open(file, open)


@dup("fs/open.c")
def finish_no_open(file: File, dentry: Any) -> int:
    """``int finish_no_open(struct file *file, struct dentry *dentry)``: for ->atomic_open."""
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    file.f_path.dentry = dentry
    return 0


@dup("fs/open.c")
def vfs_open(path: Path, file: File) -> int:
    """``int vfs_open(const struct path *path, struct file *file)``"""
    file.f_path = path.copy()
    return do_dentry_open(file)


def _open(f: Any, path: Path) -> Any:
    if not IS_ERR(f):
        error = vfs_open(path, f)
        if error:
            fput(f)
            return ERR_PTR(error)
    return f


@dup("fs/open.c")
def dentry_open(path: Path, flags: int, cred: Cred) -> Any:
    """``struct file *dentry_open(const struct path *path, int flags, const struct cred *cred)``: no permission checks. Return: or ERR_PTR()."""
    BUG_ON(path.mnt is None)
    return _open(alloc_empty_file(flags, cred), path)


@dup("fs/open.c")
def kernel_file_open(path: Path, flags: int, cred: Cred) -> Any:
    """``struct file *kernel_file_open(const struct path *path, int flags, const struct cred *cred)``: not counted as open."""
    return _open(alloc_empty_file_noaccount(flags, cred), path)


@dup("fs/backing-file.c")
def backing_file_open(user_file: File, flags: int, real_path: Path, cred: Cred) -> File:
    """``struct file *backing_file_open(user_file, flags, real_path, cred)``: the file below one of a stacked file system. Return: or ERR_PTR()."""
    f = alloc_empty_backing_file(flags, cred, user_file)
    if IS_ERR(f):
        return f             # type: ignore[no-any-return]
    path_get(user_file.f_path)
    f.user_path = user_file.f_path.copy()
    return _open(f, real_path)             # type: ignore[no-any-return]
