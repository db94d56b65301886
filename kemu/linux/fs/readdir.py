# SPDX-License-Identifier: GPL-2.0-only
"""Directory entries to who reads them (fs/readdir.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EINTR, EINVAL, EIO, ENOENT, ENOTDIR
from kemu.linux.include.fs.calls import file_accessed, inode_lock_shared, inode_unlock_shared
from kemu.linux.include.fs.constants import FILLDIR_FLAG_NOINTR, FOP_IMMUTABLE, PATH_MAX, S_DEAD
from kemu.linux.include.fs.types import DirContext, File
from kemu.linux.include.fs_dirent import S_DT_MASK
from kemu.linux.kernel.locking.rwsem import down_write, downgrade_write, up_read
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this

C = "fs/readdir.c"


@dup(C)
def iterate_dir(file: File, ctx: DirContext) -> int:
    """``int iterate_dir(struct file *file, struct dir_context *ctx)``: from f_pos, which moves.

    Return: 0; -ENOTDIR; -ENOENT for a removed directory; what ->iterate_shared says.
    """
    inode = file.f_inode
    op = file.f_op
    if op.iterate_shared is None:
        return -ENOTDIR
    locked = not op.fop_flags & FOP_IMMUTABLE
    if locked:
        if this.task.pending_signal:
            return -EINTR
        inode_lock_shared(inode)
    res = -ENOENT
    if not inode.i_flags & S_DEAD:
        ctx.pos = file.f_pos
        res = op.iterate_shared(file, ctx)
        file.f_pos = ctx.pos
        file_accessed(file)
    if locked:
        inode_unlock_shared(inode)
    return res


@dup(C)
def wrap_directory_iterator(file: File, ctx: DirContext, iter: Any) -> int:
    """``int wrap_directory_iterator(struct file *file, struct dir_context *ctx, int (*iter)())``: for iterators that need the
    lock for writing.
    """
    inode = file.f_inode
    up_read(inode.i_rwsem)
    down_write(inode.i_rwsem)
    ret = -ENOENT
    if not inode.i_flags & S_DEAD:
        ret = iter(file, ctx)
    downgrade_write(inode.i_rwsem)
    return ret


def verify_dirent_name(name: bytes, length: int) -> int:
    if length <= 0 or length >= PATH_MAX or b"/" in name:
        return -EIO
    return 0


class getdents_callback64:
    """``struct getdents_callback64``: ``entries`` stand for what the C writes to user memory."""

    __slots__ = ("ctx", "entries", "error", "prev_reclen")

    def __init__(self, count: int):
        self.ctx = DirContext(filldir64, count=count, dt_flags_mask=FILLDIR_FLAG_NOINTR, container=self)
        self.prev_reclen = 0
        self.error = 0
        self.entries: list[tuple[bytes, int, int, int]] = []


def filldir64(ctx: DirContext, name: bytes, namlen: int, offset: int, ino: int, d_type: int) -> bool:
    buf: getdents_callback64 = ctx.container
    reclen = (19 + namlen + 1 + 7) & ~7
    buf.error = verify_dirent_name(name, namlen)
    if buf.error:
        return False
    buf.error = -EINVAL
    if reclen > ctx.count:
        return False
    if not d_type & FILLDIR_FLAG_NOINTR and buf.prev_reclen and this.task.pending_signal:
        return False
    buf.entries.append((name, ino, offset, d_type & S_DT_MASK))
    buf.prev_reclen = reclen
    ctx.count -= reclen
    return True


@custom(C, "getdents64", "gives (name, d_ino, d_off, d_type) instead of filling a buffer of count bytes")
def getdents64(file: File, count: int) -> tuple[int, list[tuple[bytes, int, int, int]]]:
    """``getdents64(fd, dirent, count)``: (bytes used, the entries); 0 at the end; or (a negative errno, []).

    An error after some entries is reported by the next call.
    """
    buf = getdents_callback64(count)
    error = iterate_dir(file, buf.ctx)
    if error >= 0:
        error = buf.error
    if buf.prev_reclen:
        after = [e[2] for e in buf.entries[1:]] + [buf.ctx.pos]     # d_off is where the next entry is
        return count - buf.ctx.count, [(name, ino, off, d_type) for (name, ino, _, d_type), off in zip(buf.entries, after)]
    return error, []
