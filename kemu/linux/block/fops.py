# SPDX-License-Identifier: GPL-2.0-only
"""Files of block devices (block/fops.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.blk_types import REQ_OP_WRITE, BlockDevice
from kemu.linux.block.bio import bdev_rw_virt
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EFAULT, EIO, ENOSPC, ENXIO, EPERM
from kemu.linux.fcntl import O_ACCMODE, O_EXCL, O_NDELAY, O_RDWR, O_WRONLY
from kemu.linux.fs.buffer import block_invalidate_folio, block_read_full_folio
from kemu.linux.fs.inode import file_update_time
from kemu.linux.fs.iomap.buffered_io import iomap_invalidate_folio, iomap_is_partially_uptodate, iomap_release_folio
from kemu.linux.fs.mpage import mpage_readahead
from kemu.linux.fs.read_write import fixed_size_llseek
from kemu.linux.include.blkdev import (
    BLK_OPEN_EXCL,
    BLK_OPEN_NDELAY,
    BLK_OPEN_READ,
    BLK_OPEN_WRITE,
    BLK_OPEN_WRITE_IOCTL,
    bdev_logical_block_size,
    bdev_nr_bytes,
    bdev_read_only,
)
from kemu.linux.include.fs.calls import inode_lock, inode_lock_shared, inode_unlock, inode_unlock_shared
from kemu.linux.include.fs.constants import FMODE_READ, FMODE_WRITE
from kemu.linux.include.fs.types import File, address_space_operations, file_operations
from kemu.linux.include.iomap import IOMAP_MAPPED, Iomap, iomap_bio_read_folio, iomap_bio_readahead, iomap_ops
from kemu.linux.include.mm import flush_dcache_folio, folio_address, folio_put, folio_size
from kemu.linux.include.pagemap import ReadaheadControl, folio_lock, read_mapping_folio
from kemu.linux.include.uio import IovIter, iov_iter_reexpand, iov_iter_truncate
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.lib.iov_iter import copy_from_iter
from kemu.linux.mm.filemap import filemap_read, folio_unlock
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import arch
from kemu.machine.pages import Page

C = "block/fops.c"


@dup(C)
def blkdev_iomap_begin(inode: Any, offset: int, length: int, flags: int, iomap: Iomap, srcmap: Iomap) -> int:
    """``static int blkdev_iomap_begin(inode, offset, length, flags, iomap, srcmap)``: the device from ``offset`` on; -EIO behind
    its end.
    """
    bdev: BlockDevice = inode.bdev
    isize = inode.i_size
    if offset >= isize:
        return -EIO
    iomap.bdev = bdev
    iomap.offset = offset & -bdev_logical_block_size(bdev)
    iomap.type = IOMAP_MAPPED
    iomap.addr = iomap.offset
    iomap.length = isize - iomap.offset
    # IOMAP_F_BUFFER_HEAD is 0 where this is used: without CONFIG_BUFFER_HEAD
    return 0


blkdev_iomap_ops = iomap_ops(iomap_begin=blkdev_iomap_begin)


def blkdev_get_block(inode: Any, iblock: int, bh: Any, create: int) -> int:
    """``blkdev_get_block()``"""
    bh.b_bdev = inode.bdev
    bh.b_blocknr = iblock
    bh.b_state |= 1 << 4                            # set_buffer_mapped()
    return 0


@dup(C)
def blkdev_read_folio(file: Any, folio: Page) -> int:
    """``static int blkdev_read_folio(struct file *file, struct folio *folio)``, with CONFIG_BUFFER_HEAD."""
    return block_read_full_folio(folio, blkdev_get_block)


@dup(C)
def blkdev_readahead(rac: ReadaheadControl) -> None:
    """``static void blkdev_readahead(struct readahead_control *rac)``, with CONFIG_BUFFER_HEAD."""
    mpage_readahead(rac, blkdev_get_block)


def _blkdev_read_folio_iomap(file: Any, folio: Page) -> int:
    """``blkdev_read_folio()`` without CONFIG_BUFFER_HEAD: a folio that reaches behind the end of the device is an error."""
    iomap_bio_read_folio(folio, blkdev_iomap_ops)
    return 0


def _blkdev_readahead_iomap(rac: ReadaheadControl) -> None:
    """``blkdev_readahead()`` without CONFIG_BUFFER_HEAD"""
    iomap_bio_readahead(rac, blkdev_iomap_ops)


buffer_head_aops = address_space_operations(read_folio=blkdev_read_folio, readahead=blkdev_readahead,
                                            invalidate_folio=block_invalidate_folio)
iomap_aops = address_space_operations(read_folio=_blkdev_read_folio_iomap, readahead=_blkdev_readahead_iomap,
                                      release_folio=iomap_release_folio,
                                      invalidate_folio=iomap_invalidate_folio, is_partially_uptodate=iomap_is_partially_uptodate)


@custom(C, "def_blk_aops", "a function, because CONFIG_BUFFER_HEAD is a parameter of the machine")
def def_blk_aops() -> address_space_operations:
    """``def_blk_aops``: with CONFIG_BUFFER_HEAD (any of ext4, fat, isofs, ... selects it) reading behind the end gives zeros,
    without it -EIO.
    """
    return buffer_head_aops if IS_ENABLED("CONFIG_BUFFER_HEAD") else iomap_aops


@dup(C)
def blkdev_llseek(file: File, offset: int, whence: int) -> int:
    """``static loff_t blkdev_llseek(struct file *file, loff_t offset, int whence)``: -EINVAL outside of the device."""
    bd_inode = file.f_mapping.host

    inode_lock(bd_inode)
    retval = fixed_size_llseek(file, offset, whence, bd_inode.i_size)
    inode_unlock(bd_inode)
    return retval


@dup(C)
def file_to_blk_mode(file: File) -> int:
    """``blk_mode_t file_to_blk_mode(struct file *file)``"""
    mode = 0

    if file.f_mode & FMODE_READ:
        mode |= BLK_OPEN_READ
    if file.f_mode & FMODE_WRITE:
        mode |= BLK_OPEN_WRITE
    # do_dentry_open() clears O_EXCL from f_flags, use file->private_data to determine whether the open was exclusive for already
    # open files.
    if file.private_data:
        mode |= BLK_OPEN_EXCL
    elif file.f_flags & O_EXCL:
        mode |= BLK_OPEN_EXCL
    if file.f_flags & O_NDELAY:
        mode |= BLK_OPEN_NDELAY

    # If all bits in O_ACCMODE set (aka O_RDWR | O_WRONLY), the floppy driver has historically allowed ioctls as if the file was
    # opened for writing, but does not allow and actual reads or writes.
    if (file.f_flags & O_ACCMODE) == (O_RDWR | O_WRONLY):
        mode |= BLK_OPEN_WRITE_IOCTL

    return mode


@dup(C)
def blkdev_open(inode: Any, filp: File) -> int:
    """``static int blkdev_open(struct inode *inode, struct file *filp)``: of a device node. -ENXIO no such device; -EBUSY;
    -EINVAL.
    """
    from kemu.linux.block.bdev import bdev_open, bdev_permission, blkdev_get_no_open  # noqa: PLC0415  (circle: block/bdev.c needs this)

    mode = file_to_blk_mode(filp)
    # Use the file as the holder.
    if mode & BLK_OPEN_EXCL:
        filp.private_data = filp
    ret = bdev_permission(inode.i_rdev, mode, filp.private_data)
    if ret:
        return ret

    bdev = blkdev_get_no_open(inode.i_rdev, True)
    if bdev is None:
        return -ENXIO

    # bdev_can_atomic_write(), blk_get_integrity(): no disk has either
    ret = bdev_open(bdev, mode, filp.private_data, None, filp)
    if ret:
        from kemu.linux.block.bdev import blkdev_put_no_open  # noqa: PLC0415  (circle: block/bdev.c needs this)

        blkdev_put_no_open(bdev)
    return ret


@dup(C)
def blkdev_release(inode: Any, filp: File) -> int:
    """``static int blkdev_release(struct inode *inode, struct file *filp)``"""
    from kemu.linux.block.bdev import bdev_release  # noqa: PLC0415  (circle: block/bdev.c needs this)

    bdev_release(filp)
    return 0


@custom(C, "blkdev_buffered_write", "writes through: each folio goes to the device as it is changed, and none is dirty")
def blkdev_buffered_write(iocb: Any, from_: IovIter) -> int:
    """``static ssize_t blkdev_buffered_write(struct kiocb *iocb, struct iov_iter *from)``: bytes written, or the first error."""
    from kemu.linux.block.bdev import I_BDEV  # noqa: PLC0415  (circle: block/bdev.c needs this)

    mapping = iocb.ki_filp.f_mapping
    bdev = I_BDEV(mapping.host)
    written = 0
    while from_.count:
        pos = iocb.ki_pos
        folio = read_mapping_folio(mapping, pos >> arch.PAGE_SHIFT, iocb.ki_filp)
        if IS_ERR(folio):
            return written or PTR_ERR(folio)
        folio_lock(folio)
        offset = pos & (folio_size(folio) - 1)
        n = copy_from_iter(folio_address(folio) + offset, min(from_.count, folio_size(folio) - offset), from_)
        flush_dcache_folio(folio)
        first, end = offset & -512, offset + n + 511 & -512
        err = bdev_rw_virt(bdev, pos - offset + first >> 9, folio_address(folio) + first, end - first,
                           REQ_OP_WRITE) if n else -EFAULT
        folio_unlock(folio)
        folio_put(folio)
        if err:
            return written or err
        iocb.ki_pos += n
        written += n
    return written


@custom(C, "blkdev_write_iter", "without IOCB_DIRECT")
def blkdev_write_iter(iocb: Any, from_: IovIter) -> int:
    """``static ssize_t blkdev_write_iter(struct kiocb *iocb, struct iov_iter *from)``: -EPERM (read-only), -ENOSPC behind the
    end, or bytes written.
    """
    from kemu.linux.block.bdev import I_BDEV  # noqa: PLC0415  (circle: block/bdev.c needs this)

    file = iocb.ki_filp
    bd_inode = file.f_mapping.host
    bdev = I_BDEV(bd_inode)
    size = bdev_nr_bytes(bdev)
    shorted = 0
    if bdev_read_only(bdev):
        return -EPERM
    if not from_.count:
        return 0
    if iocb.ki_pos >= size:
        return -ENOSPC
    size -= iocb.ki_pos
    if from_.count > size:
        shorted = from_.count - size
        iov_iter_truncate(from_, size)
    ret = file_update_time(file)
    if ret:
        return ret
    inode_lock_shared(bd_inode)
    ret = blkdev_buffered_write(iocb, from_)
    inode_unlock_shared(bd_inode)
    iov_iter_reexpand(from_, from_.count + shorted)
    return ret


@custom(C, "blkdev_read_iter", "without IOCB_DIRECT")
def blkdev_read_iter(iocb: Any, to: IovIter) -> int:
    """``static ssize_t blkdev_read_iter(struct kiocb *iocb, struct iov_iter *to)``: through the page cache, up to the end of the
    device.
    """
    from kemu.linux.block.bdev import I_BDEV  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
    ret = 0
    if to.count:
        # Take i_rwsem and invalidate_lock to avoid racing with set_blocksize changing i_blkbits/folio order and punching out the
        # pagecache.
        inode_lock_shared(iocb.ki_filp.f_mapping.host)
        ret = filemap_read(iocb, to, 0)
        inode_unlock_shared(iocb.ki_filp.f_mapping.host)
    if shorted:
        iov_iter_reexpand(to, to.count + shorted)
    return ret


def_blk_fops = file_operations(open=blkdev_open, release=blkdev_release, llseek=blkdev_llseek, read_iter=blkdev_read_iter,
                               write_iter=blkdev_write_iter)
