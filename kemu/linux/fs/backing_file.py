# SPDX-License-Identifier: GPL-2.0-only
"""Reading and writing the file below one of a stacked file system (fs/backing-file.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.backing_file import backing_file_ctx
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EINVAL
from kemu.linux.fs.file_table import alloc_empty_backing_file, backing_file_set_user_path, fput
from kemu.linux.fs.inode import file_remove_privs
from kemu.linux.fs.namei import path_get
from kemu.linux.fs.open import vfs_open
from kemu.linux.include.cred import Cred, override_creds, revert_creds
from kemu.linux.include.fs.calls import file_user_path, init_sync_kiocb
from kemu.linux.include.fs.types import File, Kiocb
from kemu.linux.include.path import Path
from kemu.linux.include.uio import IovIter, iov_iter_count
from kemu.linux.port.honesty import custom, dup

C = "fs/backing-file.c"


@dup(C)
def backing_file_open(user_file: File, flags: int, real_path: Path, cred: Cred) -> File:
    """``struct file *backing_file_open(user_file, flags, real_path, cred)``: the file below one of a stacked file system.

    Return: or ERR_PTR().
    """
    user_path = file_user_path(user_file)

    f = alloc_empty_backing_file(flags, cred, user_file)
    if IS_ERR(f):
        return f             # type: ignore[no-any-return]

    path_get(user_path)
    backing_file_set_user_path(f, user_path)
    error = vfs_open(real_path, f)
    if error:
        fput(f)
        f = ERR_PTR(error)

    return f             # type: ignore[no-any-return]


def _real_iocb(iocb: Kiocb, realfile: File, flags: int) -> Kiocb:
    k = Kiocb()
    init_sync_kiocb(k, realfile)
    k.ki_flags = flags
    k.ki_pos = iocb.ki_pos
    return k


@custom(C, "backing_file_read_iter", "every request is synchronous")
def backing_file_read_iter(file: File, iter: IovIter, iocb: Kiocb, flags: int, ctx: backing_file_ctx) -> int:
    """``ssize_t backing_file_read_iter(struct file *file, struct iov_iter *iter, struct kiocb *iocb, int flags, struct
    backing_file_ctx *ctx)``
    """
    old: Any = override_creds(ctx.cred)
    try:
        k = _real_iocb(iocb, file, flags)
        ret = int(file.f_op.read_iter(k, iter)) if file.f_op.read_iter else -EINVAL
        iocb.ki_pos = k.ki_pos
    finally:
        revert_creds(old)
    if ctx.accessed:
        ctx.accessed(iocb.ki_filp)
    return ret


@custom(C, "backing_file_write_iter", "every request is synchronous")
def backing_file_write_iter(file: File, iter: IovIter, iocb: Kiocb, flags: int, ctx: backing_file_ctx) -> int:
    """``ssize_t backing_file_write_iter(struct file *file, struct iov_iter *iter, struct kiocb *iocb, int flags, struct
    backing_file_ctx *ctx)``
    """
    if not iov_iter_count(iter):
        return 0

    ret = file_remove_privs(iocb.ki_filp)
    if ret:
        return ret

    old: Any = override_creds(ctx.cred)
    try:
        k = _real_iocb(iocb, file, flags)
        ret = int(file.f_op.write_iter(k, iter))
        iocb.ki_pos = k.ki_pos
    finally:
        revert_creds(old)
    if ctx.end_write:
        ctx.end_write(iocb, ret)
    return ret
