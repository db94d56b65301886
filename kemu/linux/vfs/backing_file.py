# SPDX-License-Identifier: GPL-2.0-only
"""Reading and writing the file below one of a stacked file system (fs/backing-file.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.cred import Cred, override_creds, revert_creds
from kemu.linux.errno import EINVAL
from kemu.linux.honesty import custom, names
from kemu.linux.uio import IovIter
from kemu.linux.vfs.read_write import init_sync_kiocb
from kemu.linux.vfs.types import File, Kiocb


class backing_file_ctx:
    """``struct backing_file_ctx``"""

    __slots__ = ("accessed", "cred", "end_write")

    def __init__(self, cred: Cred, accessed: Callable[[File], None] | None = None, end_write: Callable[[Kiocb, int], None] | None = None):
        self.cred = cred
        self.accessed = accessed
        self.end_write = end_write


names("dup", "include/linux/backing-file.h", "backing_file_ctx")


def _real_iocb(iocb: Kiocb, realfile: File, flags: int) -> Kiocb:
    k = Kiocb()
    init_sync_kiocb(k, realfile)
    k.ki_flags = flags
    k.ki_pos = iocb.ki_pos
    return k


@custom("fs/backing-file.c", "backing_file_read_iter", "every request is synchronous")
def backing_file_read_iter(file: File, iter: IovIter, iocb: Kiocb, flags: int, ctx: backing_file_ctx) -> int:
    """``ssize_t backing_file_read_iter(struct file *file, struct iov_iter *iter, struct kiocb *iocb, int flags, struct backing_file_ctx *ctx)``"""
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


@custom("fs/backing-file.c", "backing_file_write_iter", "every request is synchronous, and nothing is removed from the file's privileges here")
def backing_file_write_iter(file: File, iter: IovIter, iocb: Kiocb, flags: int, ctx: backing_file_ctx) -> int:
    """``ssize_t backing_file_write_iter(struct file *file, struct iov_iter *iter, struct kiocb *iocb, int flags, struct backing_file_ctx *ctx)``"""
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
