# SPDX-License-Identifier: GPL-2.0-only
"""Buffer heads, as far as the block devices' own page cache reads through them (fs/buffer.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BIO_QUIET, REQ_META, REQ_OP_READ, REQ_PRIO, Bio
from kemu.linux.block.bio import bio_add_folio_nofail, bio_put, guard_bio_eod
from kemu.linux.block.blk_core import submit_bio
from kemu.linux.bug import BUG_ON, WARN_ON, WARN_ON_ONCE
from kemu.linux.highmem import folio_zero_range
from kemu.linux.include.bio import bio_alloc, bio_flagged
from kemu.linux.include.buffer_head import (
    _DISCARD,
    BufferHead,
    GetBlock,
    _Async_Read,
    _Dirty,
    _Lock,
    _Mapped,
    _Meta,
    _Prio,
    _Quiet,
    _Req,
    _Uptodate,
    folio_buffers,
    lock_buffer,
)
from kemu.linux.include.gfp import GFP_NOIO
from kemu.linux.include.mm import folio_get, folio_put
from kemu.linux.include.pagemap import folio_cancel_dirty
from kemu.linux.mm.filemap import filemap_release_folio, folio_end_read
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_err
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.machine.current import arch
from kemu.machine.pages import Page, PG_dirty, PG_locked, PG_private, PG_uptodate

C = "fs/buffer.c"


@dup(C)
def unlock_buffer(bh: BufferHead) -> None:
    """``void unlock_buffer(struct buffer_head *bh)``"""
    bh.b_state &= ~_Lock
    if bh.waiters is not None:
        bh.waiters.wake()


@dup(C)
def create_empty_buffers(folio: Page, blocksize: int, b_state: int) -> BufferHead:
    """``struct buffer_head *create_empty_buffers(struct folio *folio, unsigned long blocksize, unsigned long b_state)``: never
    fails.
    """
    size = arch.PAGE_SIZE << folio.order
    head = bh = BufferHead(folio, 0, blocksize)
    bh.b_state = b_state
    for offset in range(blocksize, size, blocksize):
        nxt = BufferHead(folio, offset, blocksize)
        nxt.b_state = b_state
        bh.b_this_page = nxt
        bh = nxt
    bh.b_this_page = head
    spin_lock(folio.mapping.i_private_lock)
    inherited = (_Uptodate if folio.flags & PG_uptodate else 0) | (_Dirty if folio.flags & PG_dirty else 0)
    if inherited:
        bh = head
        while True:
            bh.b_state |= inherited
            bh = bh.b_this_page
            if bh is head:
                break
    folio_get(folio)                                    # folio_attach_private()
    folio.private = head
    folio.flags |= PG_private
    spin_unlock(folio.mapping.i_private_lock)
    return head


@dup(C)
def folio_create_buffers(folio: Page, inode: Any, b_state: int) -> BufferHead:
    """``static struct buffer_head *folio_create_buffers(struct folio *folio, struct inode *inode, unsigned int b_state)``"""
    BUG_ON(not folio.flags & PG_locked)
    bh = folio_buffers(folio)
    if bh is None:
        bh = create_empty_buffers(folio, 1 << inode.i_blkbits, b_state)
    return bh                                           # type: ignore[no-any-return]


@dup(C)
def buffer_io_error(bh: BufferHead, msg: str) -> None:
    """``static void buffer_io_error(struct buffer_head *bh, char *msg)``"""
    if not bh.b_state & _Quiet:
        pr_err("Buffer I/O error on dev %s, logical block %llu%s\n", str(bh.b_bdev), bh.b_blocknr, msg)


@dup(C)
def end_buffer_async_read(bh: BufferHead, uptodate: bool) -> None:
    """``static void end_buffer_async_read(struct buffer_head *bh, int uptodate)``: the last buffer of a folio ends the folio's
    read.
    """
    BUG_ON(not bh.b_state & _Async_Read)
    folio = bh.b_folio
    if uptodate:
        bh.b_state |= _Uptodate
    else:
        bh.b_state &= ~_Uptodate
        buffer_io_error(bh, ", async page read")
    # two buffer heads may end at almost the same time
    first = folio_buffers(folio)
    spin_lock(first.b_uptodate_lock)
    bh.b_state &= ~_Async_Read
    unlock_buffer(bh)
    folio_uptodate = True
    tmp = bh
    while True:
        state = tmp.b_state
        if not state & _Uptodate:
            folio_uptodate = False
        if state & _Async_Read:
            BUG_ON(not state & _Lock)
            spin_unlock(first.b_uptodate_lock)
            return                                      # still busy
        tmp = tmp.b_this_page
        if tmp is bh:
            break
    spin_unlock(first.b_uptodate_lock)
    folio_end_read(folio, folio_uptodate)


@dup(C)
def bh_end_async_read(bio: Bio) -> None:
    """``static void bh_end_async_read(struct bio *bio)``"""
    success = not bio.bi_status
    bh: BufferHead = bio.bi_private
    if bio_flagged(bio, BIO_QUIET):
        bh.b_state |= _Quiet
    bio_put(bio)
    end_buffer_async_read(bh, success)


@dup(C)
def bh_submit(bh: BufferHead, opf: int, end_io: Callable[[Bio], None]) -> None:
    """``void bh_submit(struct buffer_head *bh, blk_opf_t opf, bio_end_io_t end_io)``: one bio; cut off at the end of the device.
    """
    state = bh.b_state
    BUG_ON(not state & _Lock or not state & _Mapped)
    bh.b_state = state | _Req
    if state & _Meta:
        opf |= REQ_META
    if state & _Prio:
        opf |= REQ_PRIO
    bio = bio_alloc(bh.b_bdev, 1, opf, GFP_NOIO)
    bio.bi_iter.bi_sector = bh.b_blocknr * (bh.b_size >> 9)
    bio_add_folio_nofail(bio, bh.b_folio, bh.b_size, bh.offset)
    bio.bi_end_io = end_io
    bio.bi_private = bh
    guard_bio_eod(bio)
    submit_bio(bio)


@dup(C)
def block_read_full_folio(folio: Page, get_block: GetBlock) -> int:
    """``int block_read_full_folio(struct folio *folio, get_block_t *get_block)``: reads a locked folio, block by block.

    Blocks behind ``i_size`` are zeroed without a read. The folio is unlocked when the last block has ended. Return: 0.
    """
    inode = folio.mapping.host
    page_error = False
    head = folio_create_buffers(folio, inode, 0)
    blocksize = head.b_size
    iblock = (folio.index << arch.PAGE_SHIFT) // blocksize
    lblock = (inode.i_size + blocksize - 1) // blocksize
    prev: BufferHead | None = None
    bh = head
    while True:
        if not bh.b_state & _Uptodate:
            skip = False
            if not bh.b_state & _Mapped:
                err = 0
                if iblock < lblock:
                    WARN_ON(bh.b_size != blocksize)
                    err = get_block(inode, iblock, bh, 0)
                    if err:
                        page_error = True
                if not bh.b_state & _Mapped:
                    folio_zero_range(folio, bh.offset, blocksize)
                    if not err:
                        bh.b_state |= _Uptodate
                    skip = True
                elif bh.b_state & _Uptodate:            # get_block() might have updated the buffer synchronously
                    skip = True
            if not skip:
                lock_buffer(bh)
                if bh.b_state & _Uptodate:
                    unlock_buffer(bh)
                else:
                    bh.b_state |= _Async_Read
                    if prev is not None:
                        bh_submit(prev, REQ_OP_READ, bh_end_async_read)
                    prev = bh
        iblock += 1
        bh = bh.b_this_page
        if bh is head:
            break
    if prev is not None:
        bh_submit(prev, REQ_OP_READ, bh_end_async_read)
    else:
        folio_end_read(folio, not page_error)
    return 0


@dup(C)
def block_invalidate_folio(folio: Page, offset: int, length: int) -> None:
    """``void block_invalidate_folio(struct folio *folio, size_t offset, size_t length)``: frees the buffers if it is the whole
    folio.
    """
    BUG_ON(not folio.flags & PG_locked)
    stop = offset + length
    size = arch.PAGE_SIZE << folio.order
    BUG_ON(stop > size or stop < length)
    head = folio_buffers(folio)
    if head is None:
        return
    curr_off = 0
    bh = head
    while True:
        next_off = curr_off + bh.b_size
        nxt = bh.b_this_page
        if next_off > stop:
            return
        if offset <= curr_off:                          # discard_buffer()
            lock_buffer(bh)
            bh.b_state &= ~(_Dirty | _DISCARD)
            bh.b_bdev = None                            # type: ignore[assignment]
            unlock_buffer(bh)
        curr_off = next_off
        bh = nxt
        if bh is head:
            break
    if length == size:
        filemap_release_folio(folio, 0)


@custom(C, "try_to_free_buffers", "no buffer is on the list of a file's own buffers")
def try_to_free_buffers(folio: Page) -> bool:
    """``bool try_to_free_buffers(struct folio *folio)``: False if one is in use."""
    BUG_ON(not folio.flags & PG_locked)
    head = folio_buffers(folio)
    if WARN_ON_ONCE(head is None):
        return True
    mapping = folio.mapping
    if mapping is None:                                 # can this still happen?
        return drop_buffers(folio, head)
    spin_lock(mapping.i_private_lock)
    ret = drop_buffers(folio, head)
    if ret:
        folio_cancel_dirty(folio)
    spin_unlock(mapping.i_private_lock)
    return ret


def drop_buffers(folio: Page, head: BufferHead) -> bool:
    """``drop_buffers()``: none of them is on the list of a file's own buffers."""
    bh = head
    while True:
        if bh.b_count or bh.b_state & (_Dirty | _Lock):
            return False
        bh = bh.b_this_page
        if bh is head:
            break
    folio.flags &= ~PG_private                          # folio_detach_private()
    folio.private = 0
    folio_put(folio)
    return True


@dup(C)
def block_is_partially_uptodate(folio: Page, from_: int, count: int) -> bool:
    """``bool block_is_partially_uptodate(struct folio *folio, size_t from, size_t count)``"""
    head = folio_buffers(folio)
    if head is None:
        return False
    size = arch.PAGE_SIZE << folio.order
    blocksize = head.b_size
    to = from_ + min(size - from_, count)
    if from_ < blocksize and to > size - blocksize:
        return False
    bh = head
    block_start = 0
    while True:
        block_end = block_start + blocksize
        if block_end > from_ and block_start < to:
            if not bh.b_state & _Uptodate:
                return False
            if block_end >= to:
                return True
        block_start = block_end
        bh = bh.b_this_page
        if bh is head:
            return True
