# SPDX-License-Identifier: GPL-2.0-only
"""Direct I/O by extents (fs/iomap/direct-io.c): reads."""
from __future__ import annotations

from typing import Any

from kemu.linux.blk_types import BIO_CLONED, BIO_MAX_SIZE, REQ_IDLE, REQ_OP_READ, REQ_SYNC, Bio
from kemu.linux.block.bio import bio_alloc_bioset, bio_put
from kemu.linux.block.blk_core import blk_finish_plug, blk_start_plug, blk_status_to_errno, submit_bio
from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.bvec import BioVec
from kemu.linux.err import ERR_PTR, IS_ERR_OR_NULL, PTR_ERR_OR_ZERO
from kemu.linux.errno import EAGAIN, EFAULT, EINVAL, EIO, EIOCBQUEUED, ENOMEM, ENOTBLK, EOPNOTSUPP
from kemu.linux.fs.iomap.iter import iomap_iter, iomap_iter_advance
from kemu.linux.include.bio import BIO_MAX_VECS, bio_alloc, bio_set_flag
from kemu.linux.include.blkdev import BlkPlug, bdev_dma_alignment, bdev_logical_block_size
from kemu.linux.include.fs.constants import IOCB_NOWAIT
from kemu.linux.include.gfp import GFP_KERNEL, GFP_NOFS, alloc_page
from kemu.linux.include.iomap import (
    IOMAP_DIO_BOUNCE,
    IOMAP_DIO_FORCE_WAIT,
    IOMAP_DIO_FSBLOCK_ALIGNED,
    IOMAP_DIO_PARTIAL,
    IOMAP_DIRECT,
    IOMAP_HOLE,
    IOMAP_INLINE,
    IOMAP_MAPPED,
    IOMAP_NOWAIT,
    IOMAP_UNWRITTEN,
    IomapIter,
    fserror_report_io,
    iomap_dio_ops,
    iomap_inline_data,
    iomap_length,
    iomap_ops,
    iomap_sector,
)
from kemu.linux.include.mm import folio_put, is_vmalloc_addr, page_address, virt_to_page
from kemu.linux.include.uio import ITER_BVEC, ITER_KVEC, ITER_UBUF, IovIter, iov_iter_reexpand, iov_iter_rw, iov_iter_truncate
from kemu.linux.include.workqueue import INIT_WORK, schedule_work, work_struct
from kemu.linux.lib.iov_iter import copy_to_iter, iov_iter_advance, iov_iter_revert, iov_iter_zero
from kemu.linux.mm.filemap import kiocb_write_and_wait
from kemu.linux.mm.vmalloc import vmalloc_to_page
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.sched import WaitQueue

C = "fs/iomap/direct-io.c"


@dup(C)
class iomap_dio:
    """``struct iomap_dio``: one direct read. ``ref`` is a plain int."""

    __slots__ = ("done_before", "dops", "error", "flags", "i_size", "iocb", "iter", "ref", "size", "waiter", "work")

    def __init__(self, iocb: Any, iter_: IovIter, dops: iomap_dio_ops | None, flags: int, done_before: int):
        self.iocb = iocb
        self.iter = iter_
        self.dops = dops
        self.flags = flags
        self.done_before = done_before
        self.i_size = 0
        self.size = 0
        self.ref = 1
        self.error = 0
        self.waiter: WaitQueue | None = None
        self.work = work_struct(container=self)


@dup(C)
def iomap_dio_complete(dio: iomap_dio) -> int:
    """``ssize_t iomap_dio_complete(struct iomap_dio *dio)``: bytes read, or the first error."""
    iocb = dio.iocb
    offset = iocb.ki_pos
    ret = dio.error
    if dio.dops is not None and dio.dops.end_io is not None:
        ret = int(dio.dops.end_io(iocb, dio.size, ret, dio.flags))
    inode = iocb.ki_filp.f_inode
    if dio.error not in (0, -EAGAIN, -ENOTBLK):
        fserror_report_io(inode, 1, offset, dio.size, dio.error, GFP_NOFS)
    if not ret:
        ret = dio.size
        # check for short read
        if offset + ret > dio.i_size:
            ret = dio.i_size - offset
    inode.i_dio_count -= 1                          # inode_dio_end()
    if ret > 0:
        iocb.ki_pos += ret
        ret += dio.done_before
    return ret


def iomap_dio_complete_work(work: Any) -> None:
    """``iomap_dio_complete_work()``"""
    dio: iomap_dio = work.container
    dio.iocb.ki_complete(dio.iocb, iomap_dio_complete(dio))


def _put(dio: iomap_dio) -> bool:
    dio.ref -= 1
    return dio.ref == 0


def iomap_dio_done(dio: iomap_dio) -> None:
    """``iomap_dio_done()``"""
    if dio.waiter is not None:
        dio.waiter.wake()
        return
    # Always run error completions in user context.
    if dio.error:
        INIT_WORK(dio.work, iomap_dio_complete_work)
        schedule_work(dio.work)
        return
    iomap_dio_complete_work(dio.work)


@custom(C, "iomap_dio_bio_end_io", "a user's buffer is a Python buffer, which is filled from bounce pages here")
def iomap_dio_bio_end_io(bio: Bio) -> None:
    """``void iomap_dio_bio_end_io(struct bio *bio)``"""
    dio, user = bio.bi_private
    if bio.bi_status and not dio.error:
        dio.error = blk_status_to_errno(bio.bi_status)
    if user is not None:
        vec, pos = user
        for bv in bio.bi_io_vec[:bio.bi_vcnt]:
            if not bio.bi_status:
                vec[pos:pos + bv.bv_len] = this.mem.give(page_address(bv.bv_page), bv.bv_len)
            pos += bv.bv_len
            folio_put(bv.bv_page)
    bio_put(bio)
    if _put(dio):
        iomap_dio_done(dio)


def _get_pages(bio: Bio, it: IovIter, mem_align_mask: int, len_align_mask: int) -> Any:
    """``bio_iov_iter_get_pages()``: 0 or -errno, and where to copy to in the end."""
    if it.iter_type == ITER_BVEC:
        bio.bi_io_vec = it.vec                      # bio_iov_bvec_set()
        bio.bi_iter.bi_idx = it.seg
        bio.bi_iter.bi_bvec_done = it.iov_offset
        bio.bi_iter.bi_size = min(it.count, BIO_MAX_SIZE)
        bio_set_flag(bio, BIO_CLONED)
        idx, off, left = it.seg, it.iov_offset, it.count
        while left > 0:
            bv = it.vec[idx]
            n = min(bv.bv_len - off, left)
            if (bv.bv_offset + off | n) & mem_align_mask:
                return -EINVAL, None
            left -= n
            idx, off = idx + 1, 0
        iov_iter_advance(it, bio.bi_iter.bi_size)
        return 0, None
    user = None
    size = arch.PAGE_SIZE
    if it.iter_type == ITER_UBUF:
        user = (it.vec, it.iov_offset)
    while it.count and bio.bi_vcnt < BIO_MAX_VECS:
        if user is not None:
            page = alloc_page(GFP_KERNEL)
            n, off = min(it.count, size), 0
            if page is None:
                break
        elif it.iter_type == ITER_KVEC:
            kvec = it.vec[it.seg]
            addr = kvec.iov_base + it.iov_offset
            off = addr & (size - 1)
            n = min(kvec.iov_len - it.iov_offset, size - off, it.count)
            if (addr | n) & mem_align_mask:
                return -EINVAL, None
            page = vmalloc_to_page(addr) if is_vmalloc_addr(addr) else virt_to_page(addr)
        else:
            return -EOPNOTSUPP, None
        bio.bi_io_vec.append(BioVec(page, n, off))
        bio.bi_vcnt += 1
        bio.bi_iter.bi_size += n
        iov_iter_advance(it, n)
    if not bio.bi_vcnt:
        return -ENOMEM, None
    # bio_iov_iter_align_down()
    excess = bio.bi_iter.bi_size & len_align_mask
    if excess:
        iov_iter_revert(it, excess)
        bio.bi_iter.bi_size -= excess
        while bio.bi_vcnt and excess >= bio.bi_io_vec[bio.bi_vcnt - 1].bv_len:
            bv = bio.bi_io_vec.pop()
            bio.bi_vcnt -= 1
            excess -= bv.bv_len
            if user is not None:
                folio_put(bv.bv_page)
        if not bio.bi_vcnt:
            return -EFAULT, None
        bio.bi_io_vec[bio.bi_vcnt - 1].bv_len -= excess
    return 0, user


def iomap_dio_bio_iter_one(iter_: IomapIter, dio: iomap_dio, pos: int, alignment: int, op: int) -> int:
    """``iomap_dio_bio_iter_one()``: bytes submitted, or -errno."""
    bdev = iter_.iomap.bdev
    if dio.dops is not None and dio.dops.bio_set is not None:
        bio = bio_alloc_bioset(bdev, BIO_MAX_VECS, op, GFP_KERNEL, dio.dops.bio_set)
    else:
        bio = bio_alloc(bdev, BIO_MAX_VECS, op, GFP_KERNEL)
    assert bio is not None
    bio.bi_iter.bi_sector = iomap_sector(iter_.iomap, pos)
    ret, user = _get_pages(bio, dio.iter, bdev_dma_alignment(bdev), alignment - 1)
    if ret:
        bio_put(bio)
        return int(ret)
    bio.bi_private = (dio, user)
    bio.bi_end_io = iomap_dio_bio_end_io
    n = bio.bi_iter.bi_size
    dio.ref += 1
    if dio.dops is not None and dio.dops.submit_io is not None:
        dio.dops.submit_io(iter_, bio, pos)
    else:
        submit_bio(bio)
    return n


def iomap_dio_bio_iter(iter_: IomapIter, dio: iomap_dio) -> int:
    """``iomap_dio_bio_iter()``"""
    length = iomap_length(iter_)
    pos = iter_.pos
    alignment = 1 << iter_.inode.i_blkbits if dio.flags & IOMAP_DIO_FSBLOCK_ALIGNED else bdev_logical_block_size(iter_.iomap.bdev)
    if (pos | length) & (alignment - 1):
        return -EINVAL
    # trim the iter to just the extent we are operating on right now
    orig_count = dio.iter.count
    iov_iter_truncate(dio.iter, length)
    copied = 0
    ret = 0
    while dio.iter.count:
        # If completions already occurred and reported errors, give up now and don't bother submitting more bios.
        if dio.error:
            break
        ret = iomap_dio_bio_iter_one(iter_, dio, pos, alignment, REQ_OP_READ | REQ_SYNC | REQ_IDLE)
        if ret < 0:
            break
        dio.size += ret
        copied += ret
        pos += ret
        ret = 0
    iov_iter_reexpand(dio.iter, orig_count - copied)
    if copied:
        return iomap_iter_advance(iter_, copied)
    return ret


def iomap_dio_hole_iter(iter_: IomapIter, dio: iomap_dio) -> int:
    """``iomap_dio_hole_iter()``"""
    length = iov_iter_zero(iomap_length(iter_), dio.iter)
    dio.size += length
    return iomap_iter_advance(iter_, length) if length else -EFAULT


def iomap_dio_inline_iter(iomi: IomapIter, dio: iomap_dio) -> int:
    """``iomap_dio_inline_iter()``"""
    inline_data = iomap_inline_data(iomi.iomap, iomi.pos)
    if WARN_ON_ONCE(not inline_data):
        return -EIO
    copied = copy_to_iter(inline_data, iomap_length(iomi), dio.iter)
    dio.size += copied
    return iomap_iter_advance(iomi, copied) if copied else -EFAULT


def iomap_dio_iter(iter_: IomapIter, dio: iomap_dio) -> int:
    """``iomap_dio_iter()``"""
    kind = iter_.iomap.type
    if kind in (IOMAP_HOLE, IOMAP_UNWRITTEN):
        return iomap_dio_hole_iter(iter_, dio)
    if kind == IOMAP_MAPPED:
        return iomap_dio_bio_iter(iter_, dio)
    if kind == IOMAP_INLINE:
        return iomap_dio_inline_iter(iter_, dio)
    WARN_ON_ONCE(True)
    return -EIO


@custom(C, "__iomap_dio_rw", "reads only")
def __iomap_dio_rw(iocb: Any, iter_: IovIter, ops: iomap_ops, dops: iomap_dio_ops | None, dio_flags: int, private: Any,
                   done_before: int) -> Any:
    """``struct iomap_dio *__iomap_dio_rw(iocb, iter, ops, dops, dio_flags, private, done_before)``: None for nothing to do, or
    ERR_PTR.
    """
    inode = iocb.ki_filp.f_inode
    iomi = IomapIter(inode, iocb.ki_pos, iter_.count, IOMAP_DIRECT, private)
    wait_for_completion = iocb.ki_complete is None or bool(dio_flags & IOMAP_DIO_FORCE_WAIT)
    if not iomi.len:
        return None
    if iov_iter_rw(iter_):
        return ERR_PTR(-EOPNOTSUPP)
    if this.chooser is not None and should_fail("failslab", "__iomap_dio_rw"):
        return ERR_PTR(-ENOMEM)
    dio = iomap_dio(iocb, iter_, dops, dio_flags & (IOMAP_DIO_FSBLOCK_ALIGNED | IOMAP_DIO_BOUNCE), done_before)
    dio.i_size = inode.i_size
    if iocb.ki_flags & IOCB_NOWAIT:
        iomi.flags |= IOMAP_NOWAIT
    if iomi.pos >= dio.i_size:
        return None
    ret = kiocb_write_and_wait(iocb, iomi.len)
    if ret:
        return ERR_PTR(ret)
    inode.i_dio_count += 1                          # inode_dio_begin()
    plug = BlkPlug()
    blk_start_plug(plug)
    if wait_for_completion:
        dio.waiter = WaitQueue("direct I/O")
    while (ret := iomap_iter(iomi, ops)) > 0:
        iomi.status = iomap_dio_iter(iomi, dio)
    blk_finish_plug(plug)
    # We only report that we've read data up to i_size.
    if iomi.pos >= dio.i_size:
        iov_iter_revert(iter_, iomi.pos - dio.i_size)
    if ret == -EFAULT and dio.size and dio_flags & IOMAP_DIO_PARTIAL:
        if not iocb.ki_flags & IOCB_NOWAIT:
            dio.waiter = dio.waiter or WaitQueue("direct I/O")
        ret = 0
    if ret < 0 and not dio.error:
        dio.error = ret
    if not _put(dio):
        if dio.waiter is None:
            return ERR_PTR(-EIOCBQUEUED)
        while dio.ref:
            this.sched.block(dio.waiter)
    return dio


@custom(C, "iomap_dio_rw", "reads only")
def iomap_dio_rw(iocb: Any, iter_: IovIter, ops: iomap_ops, dops: iomap_dio_ops | None = None, dio_flags: int = 0,
                 private: Any = None,
                 done_before: int = 0) -> int:
    """``ssize_t iomap_dio_rw(iocb, iter, ops, dops, dio_flags, private, done_before)``

    Return: bytes; 0 at the end of the file; -EINVAL misaligned; -EIOCBQUEUED with ``ki_complete``; -EIO and the like of the
    device.
    """
    dio = __iomap_dio_rw(iocb, iter_, ops, dops, dio_flags, private, done_before)
    if IS_ERR_OR_NULL(dio):
        return PTR_ERR_OR_ZERO(dio) if dio is not None else 0
    return iomap_dio_complete(dio)
