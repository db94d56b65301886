# SPDX-License-Identifier: GPL-2.0-only
"""Files of block devices (block/fops.c). Ports import it from kemu.linux.blkdev."""
from __future__ import annotations

from typing import Any

from kemu.linux.bdev import I_BDEV, bdev_nr_bytes
from kemu.linux.bdev_open import (
    BLK_OPEN_EXCL,
    BLK_OPEN_NDELAY,
    BLK_OPEN_READ,
    BLK_OPEN_WRITE,
    BLK_OPEN_WRITE_IOCTL,
    bdev_open,
    bdev_permission,
    bdev_release,
    blkdev_get_no_open,
    blkdev_put_no_open,
)
from kemu.linux.errno import EINVAL, ENXIO
from kemu.linux.fcntl import O_ACCMODE, O_EXCL, O_NDELAY, O_RDWR, O_WRONLY
from kemu.linux.filemap_read import filemap_read
from kemu.linux.honesty import dup
from kemu.linux.uio import IovIter, iov_iter_reexpand, iov_iter_truncate
from kemu.linux.vfs.constants import FMODE_READ, FMODE_WRITE
from kemu.linux.vfs.types import File, file_operations

C = "block/fops.c"
SEEK_SET, SEEK_CUR, SEEK_END = range(3)


@dup(C)
def file_to_blk_mode(file: File) -> int:
    """``blk_mode_t file_to_blk_mode(struct file *file)``"""
    mode = 0
    if file.f_mode & FMODE_READ:
        mode |= BLK_OPEN_READ
    if file.f_mode & FMODE_WRITE:
        mode |= BLK_OPEN_WRITE
    if file.private_data or file.f_flags & O_EXCL:
        mode |= BLK_OPEN_EXCL
    if file.f_flags & O_NDELAY:
        mode |= BLK_OPEN_NDELAY
    if file.f_flags & O_ACCMODE == O_RDWR | O_WRONLY:
        mode |= BLK_OPEN_WRITE_IOCTL
    return mode


@dup(C)
def blkdev_open(inode: Any, filp: File) -> int:
    """``static int blkdev_open(struct inode *inode, struct file *filp)``: of a device node. -ENXIO no such device; -EBUSY; -EINVAL."""
    mode = file_to_blk_mode(filp)
    # Use the file as the holder.
    if mode & BLK_OPEN_EXCL:
        filp.private_data = filp
    ret = bdev_permission(inode.i_rdev, mode, filp.private_data)
    if ret:
        return ret
    bdev = blkdev_get_no_open(inode.i_rdev)
    if bdev is None:
        return -ENXIO
    ret = bdev_open(bdev, mode & ~BLK_OPEN_EXCL, filp.private_data, None, filp)
    if ret:
        blkdev_put_no_open(bdev)
    return ret


@dup(C)
def blkdev_release(inode: Any, filp: File) -> int:
    """``static int blkdev_release(struct inode *inode, struct file *filp)``"""
    bdev_release(filp)
    return 0


@dup(C)
def blkdev_llseek(file: File, offset: int, whence: int) -> int:
    """``static loff_t blkdev_llseek(struct file *file, loff_t offset, int whence)``: -EINVAL outside of the device."""
    size = file.f_mapping.host.i_size
    if whence == SEEK_CUR:
        offset += file.f_pos
    elif whence == SEEK_END:
        offset += size
    elif whence != SEEK_SET:
        return -EINVAL
    if offset < 0 or offset > size:
        return -EINVAL
    file.f_pos = offset
    return offset


@dup(C)
def blkdev_read_iter(iocb: Any, to: IovIter) -> int:
    """``static ssize_t blkdev_read_iter(struct kiocb *iocb, struct iov_iter *to)``: through the page cache, up to the end of the device."""
    bdev = I_BDEV(iocb.ki_filp.f_mapping.host)
    size = bdev_nr_bytes(bdev)
    pos = iocb.ki_pos
    shorted = 0
    if pos + to.count > size:
        if pos >= size:
            return 0
        size -= pos
        shorted = to.count - size
        iov_iter_truncate(to, size)
    ret = filemap_read(iocb, to, 0) if to.count else 0
    if shorted:
        iov_iter_reexpand(to, to.count + shorted)
    return ret


def_blk_fops = file_operations(open=blkdev_open, release=blkdev_release, llseek=blkdev_llseek, read_iter=blkdev_read_iter)
