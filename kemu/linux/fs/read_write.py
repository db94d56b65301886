# SPDX-License-Identifier: GPL-2.0-only
"""Reading, writing, seeking (fs/read_write.c).

A position that C passes by pointer is a Ref. User memory is a Python buffer, kernel memory an address.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.errno import EBADF, EINVAL, EIOCBQUEUED, ENXIO, EOVERFLOW, ESPIPE
from kemu.linux.fcntl import SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET
from kemu.linux.include.fs.calls import file_end_write, file_start_write, init_sync_kiocb, kiocb_end_write, kiocb_start_write
from kemu.linux.include.fs.constants import (
    FMODE_CAN_READ,
    FMODE_CAN_WRITE,
    FMODE_LSEEK,
    FMODE_READ,
    FMODE_WRITE,
    FOP_UNSIGNED_OFFSET,
    IOCB_WRITE,
    LLONG_MAX,
    READ,
    WRITE,
)
from kemu.linux.include.fs.types import File, Kiocb
from kemu.linux.include.uio import ITER_DEST, ITER_SOURCE, IovIter, Kvec, iov_iter_ubuf
from kemu.linux.lib.iov_iter import iov_iter_kvec
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_warn
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import Ref
from kemu.machine.current import arch, this

C = "fs/read_write.c"

SSIZE_MAX = LLONG_MAX


def max_rw_count() -> int:
    """``MAX_RW_COUNT``: INT_MAX & PAGE_MASK."""
    return 0x7FFF_FFFF & arch.PAGE_MASK


@dup(C)
def vfs_setpos(file: File, offset: int, maxsize: int) -> int:
    """``loff_t vfs_setpos(struct file *file, loff_t offset, loff_t maxsize)``. Return: the offset, or -EINVAL."""
    if (offset < 0 and not file.f_op.fop_flags & FOP_UNSIGNED_OFFSET) or offset > maxsize:
        return -EINVAL
    file.f_pos = offset
    return offset


@dup(C)
def generic_file_llseek_size(file: File, offset: int, whence: int, maxsize: int, eof: int) -> int:
    """``loff_t generic_file_llseek_size(struct file *file, loff_t offset, int whence, loff_t maxsize, loff_t eof)``

    Return: the new position, -EINVAL, or -ENXIO (SEEK_DATA, SEEK_HOLE beyond the end).
    """
    if whence == SEEK_END:
        offset += eof
    elif whence == SEEK_CUR:
        if offset == 0:
            return file.f_pos
        spin_lock(file.f_lock)                  # file_seek_cur_needs_f_lock()
        pos = vfs_setpos(file, file.f_pos + offset, maxsize)
        spin_unlock(file.f_lock)
        return pos
    elif whence == SEEK_DATA:
        if not 0 <= offset < eof:
            return -ENXIO
    elif whence == SEEK_HOLE:
        if not 0 <= offset < eof:
            return -ENXIO
        offset = eof
    return vfs_setpos(file, offset, maxsize)


@dup(C)
def generic_file_llseek(file: File, offset: int, whence: int) -> int:
    """``loff_t generic_file_llseek(struct file *file, loff_t offset, int whence)``"""
    inode = file.f_mapping.host
    return generic_file_llseek_size(file, offset, whence, inode.i_sb.s_maxbytes, inode.i_size)


@dup(C)
def fixed_size_llseek(file: File, offset: int, whence: int, size: int) -> int:
    """``loff_t fixed_size_llseek(struct file *file, loff_t offset, int whence, loff_t size)``"""
    if whence in (SEEK_SET, SEEK_CUR, SEEK_END):
        return generic_file_llseek_size(file, offset, whence, size, size)
    return -EINVAL


@dup(C)
def noop_llseek(file: File, offset: int, whence: int) -> int:
    """``loff_t noop_llseek(struct file *file, loff_t offset, int whence)``"""
    return file.f_pos


@dup(C)
def vfs_llseek(file: File, offset: int, whence: int) -> int:
    """``loff_t vfs_llseek(struct file *file, loff_t offset, int whence)``.

    Return: the position, -ESPIPE, or what ->llseek says.
    """
    if not file.f_mode & FMODE_LSEEK:
        return -ESPIPE
    return int(file.f_op.llseek(file, offset, whence))


@dup(C)
def rw_verify_area(read_write: int, file: File, ppos: int | None, count: int) -> int:
    """``int rw_verify_area(int read_write, struct file *file, const loff_t *ppos, size_t count)``: ``ppos`` is the position.

    Return: 0; -EINVAL for a negative position or count; -EOVERFLOW.
    """
    if count > SSIZE_MAX:
        return -EINVAL
    if ppos is not None:
        unsigned = file.f_op.fop_flags & FOP_UNSIGNED_OFFSET
        if ppos < 0:
            if not unsigned:
                return -EINVAL
            if count >= -ppos:
                return -EOVERFLOW
        elif ppos + count > LLONG_MAX and not unsigned:
            return -EINVAL
    return 0


def new_sync_read(filp: File, buf: Any, count: int, ppos: Ref | None) -> int:
    kiocb = Kiocb()
    kiocb.ki_filp = filp
    kiocb.ki_flags = filp.f_iocb_flags
    if ppos is not None:
        kiocb.ki_pos = ppos.v
    it = IovIter()
    iov_iter_ubuf(it, ITER_DEST, buf, count)
    ret = filp.f_op.read_iter(kiocb, it)
    if ret == -EIOCBQUEUED:
        BUG_ON(True)
    if ppos is not None:
        ppos.v = kiocb.ki_pos
    return int(ret)


def warn_unsupported(file: File, op: str) -> int:
    pr_warn("kernel %s not supported for file %pD4 (pid: %d comm: %.20s)\n".replace("%pD4", "%s"), op,
            file.f_path.dentry.d_name.name,
            this.task.pid, this.task.comm)
    return -EINVAL


@dup(C)
def __kernel_read(file: File, buf: int, count: int, pos: Ref | None) -> int:
    """``ssize_t __kernel_read(struct file *file, void *buf, size_t count, loff_t *pos)``: kernel_read() without the range check.
    """
    if WARN_ON(not file.f_mode & FMODE_READ) or not file.f_mode & FMODE_CAN_READ:
        return -EINVAL
    if file.f_op.read_iter is None or file.f_op.read is not None:
        return warn_unsupported(file, "read")
    kiocb = Kiocb()
    init_sync_kiocb(kiocb, file)
    kiocb.ki_pos = pos.v if pos is not None else 0
    count = min(count, max_rw_count())
    it = IovIter()
    iov_iter_kvec(it, ITER_DEST, [Kvec(buf, count)], 1, count)
    ret: int = file.f_op.read_iter(kiocb, it)
    if ret > 0 and pos is not None:
        pos.v = kiocb.ki_pos
    return ret


@dup(C)
def kernel_read(file: File, buf: int, count: int, pos: Ref | None) -> int:
    """``ssize_t kernel_read(struct file *file, void *buf, size_t count, loff_t *pos)``: into kernel memory; ``pos`` moves.

    Return: bytes read, 0 at the end, -EINVAL, or the file's error.
    """
    ret = rw_verify_area(READ, file, pos.v if pos is not None else None, count)
    return ret or __kernel_read(file, buf, count, pos)


@dup(C)
def vfs_read(file: File, buf: Any, count: int, pos: Ref | None) -> int:
    """``ssize_t vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos)``: into user memory (a Python buffer);
    ``pos`` moves.

    Return: bytes read, 0 at the end; -EBADF if it is not open for reading; -EINVAL if it cannot be read; the file's error.
    """
    mode = file.f_mode
    if not mode & FMODE_READ:
        return -EBADF
    if not mode & FMODE_CAN_READ:
        return -EINVAL
    ret = rw_verify_area(READ, file, pos.v if pos is not None else None, count)
    if ret:
        return ret
    limit = 0x7FFF_FFFF & arch.PAGE_MASK
    if count > limit:
        count = limit
    if file.f_op.read is not None:
        return int(file.f_op.read(file, buf, count, pos))
    return new_sync_read(file, buf, count, pos)


@dup(C)
def vfs_iocb_iter_read(file: File, iocb: Kiocb, iter: IovIter) -> int:
    """``ssize_t vfs_iocb_iter_read(struct file *file, struct kiocb *iocb, struct iov_iter *iter)``

    Return: bytes, -EIOCBQUEUED if iocb->ki_complete will be called, -EINVAL, -EBADF, or the file's error.
    """
    if file.f_op.read_iter is None:
        return -EINVAL
    if not file.f_mode & FMODE_READ:
        return -EBADF
    if not file.f_mode & FMODE_CAN_READ:
        return -EINVAL
    if not iter.count:
        return 0
    ret = rw_verify_area(READ, file, iocb.ki_pos, iter.count)
    if ret < 0:
        return ret
    return int(file.f_op.read_iter(iocb, iter))


@custom(C, "vfs_iter_read", "without RWF_ flags")
def vfs_iter_read(file: File, iter: IovIter, ppos: Ref, flags: int) -> int:
    """``ssize_t vfs_iter_read(struct file *file, struct iov_iter *iter, loff_t *ppos, rwf_t flags)``"""
    kiocb = Kiocb()
    init_sync_kiocb(kiocb, file)
    kiocb.ki_flags |= flags
    kiocb.ki_pos = ppos.v
    ret = vfs_iocb_iter_read(file, kiocb, iter)
    ppos.v = kiocb.ki_pos
    return ret


@dup(C)
def vfs_iocb_iter_write(file: File, iocb: Kiocb, iter: IovIter) -> int:
    """``ssize_t vfs_iocb_iter_write(struct file *file, struct kiocb *iocb, struct iov_iter *iter)``"""
    if file.f_op.write_iter is None:
        return -EINVAL
    if not file.f_mode & FMODE_WRITE:
        return -EBADF
    if not file.f_mode & FMODE_CAN_WRITE:
        return -EINVAL
    if not iter.count:
        return 0
    ret = rw_verify_area(WRITE, file, iocb.ki_pos, iter.count)
    if ret < 0:
        return ret

    kiocb_start_write(iocb)
    ret = int(file.f_op.write_iter(iocb, iter))
    if ret != -EIOCBQUEUED:
        kiocb_end_write(iocb)
    return ret


def _write(file: File, it: IovIter, pos: Ref | None) -> int:
    kiocb = Kiocb()
    init_sync_kiocb(kiocb, file)
    kiocb.ki_flags |= IOCB_WRITE
    kiocb.ki_pos = pos.v if pos is not None else 0
    ret: int = file.f_op.write_iter(kiocb, it)
    BUG_ON(ret == -EIOCBQUEUED)
    if ret > 0 and pos is not None:
        pos.v = kiocb.ki_pos
    return ret


@dup(C)
def __kernel_write(file: File, buf: int, count: int, pos: Ref | None) -> int:
    """``ssize_t __kernel_write(struct file *file, const void *buf, size_t count, loff_t *pos)``"""
    if WARN_ON(not file.f_mode & FMODE_WRITE):
        return -EBADF
    if not file.f_mode & FMODE_CAN_WRITE:
        return -EINVAL
    if file.f_op.write_iter is None or file.f_op.write is not None:
        return warn_unsupported(file, "write")
    count = min(count, max_rw_count())
    it = IovIter()
    iov_iter_kvec(it, ITER_SOURCE, [Kvec(buf, count)], 1, count)
    return _write(file, it, pos)


@dup(C)
def kernel_write(file: File, buf: int, count: int, pos: Ref | None) -> int:
    """``ssize_t kernel_write(struct file *file, const void *buf, size_t count, loff_t *pos)``: from kernel memory; ``pos`` moves.
    """
    ret = rw_verify_area(WRITE, file, pos.v if pos is not None else None, count)
    if ret:
        return ret

    file_start_write(file)
    ret = __kernel_write(file, buf, count, pos)
    file_end_write(file)
    return ret


@dup(C)
def vfs_write(file: File, buf: Any, count: int, pos: Ref | None) -> int:
    """``ssize_t vfs_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)``: from user memory (a Python
    buffer).
    """
    if not file.f_mode & FMODE_WRITE:
        return -EBADF
    if not file.f_mode & FMODE_CAN_WRITE:
        return -EINVAL
    ret = rw_verify_area(WRITE, file, pos.v if pos is not None else None, count)
    if ret:
        return ret
    count = min(count, max_rw_count())
    file_start_write(file)
    if file.f_op.write is not None:
        ret = int(file.f_op.write(file, buf, count, pos))
    elif file.f_op.write_iter is not None:
        it = IovIter()
        iov_iter_ubuf(it, ITER_SOURCE, buf, count)
        ret = _write(file, it, pos)
    else:
        ret = -EINVAL
    file_end_write(file)
    return ret
