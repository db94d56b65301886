# SPDX-License-Identifier: GPL-2.0-only
"""Reading into the page cache by extents (fs/iomap/buffered-io.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.errno import EINVAL, EIO
from kemu.linux.fs.iomap.iter import iomap_iter, iomap_iter_advance
from kemu.linux.highmem import folio_fill_tail, folio_zero_segment
from kemu.linux.include.gfp import GFP_ATOMIC, GFP_NOFS, GFP_NOWAIT
from kemu.linux.include.iomap import (
    FSERR_BUFFERED_READ,
    IOMAP_F_FSVERITY,
    IOMAP_F_NEW,
    IOMAP_INLINE,
    IOMAP_MAPPED,
    IOMAP_NOWAIT,
    IomapIter,
    IomapReadFolioCtx,
    fserror_report_io,
    iomap_iter_srcmap,
    iomap_length,
    iomap_ops,
)
from kemu.linux.include.mm import folio_get, folio_put
from kemu.linux.include.pagemap import folio_cancel_dirty, readahead_folio, readahead_length, readahead_pos
from kemu.linux.mm.filemap import folio_end_read, folio_unlock
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.types import loff_t
from kemu.machine.current import NULL, arch, this
from kemu.machine.machine import should_fail
from kemu.machine.pages import Page, PG_dirty, PG_private, PG_uptodate

C = "fs/iomap/buffered-io.c"


@custom(C, "iomap_folio_state", "the uptodate bits are one int; nothing is dirty")
class iomap_folio_state:
    """``struct iomap_folio_state``: which blocks of a folio are uptodate, when blocks are smaller than the folio."""

    __slots__ = ("blocks", "read_bytes_pending", "state_lock", "uptodate")

    def __init__(self, blocks: int):
        self.state_lock = spinlock_t("state_lock")
        self.blocks = blocks
        self.read_bytes_pending = 0
        self.uptodate = 0

    @property
    def full(self) -> bool:
        """``ifs_is_fully_uptodate()``"""
        return self.uptodate == (1 << self.blocks) - 1


def _state(folio: Page) -> iomap_folio_state | None:
    ifs = folio.private
    return ifs if type(ifs) is iomap_folio_state else None


def _next_set(bits: int, start: int, end: int) -> int:
    """``find_next_bit(bits, end + 1, start)``"""
    rest = bits >> start
    if not rest:
        return end + 1
    return min(start + (rest & -rest).bit_length() - 1, end + 1)


def _next_clear(bits: int, start: int, end: int) -> int:
    """``find_next_zero_bit(bits, end + 1, start)``"""
    rest = ~(bits >> start)
    return min(start + (rest & -rest).bit_length() - 1, end + 1)


def ifs_set_range_uptodate(inode: Any, ifs: iomap_folio_state, off: int, len_: int) -> bool:
    """``ifs_set_range_uptodate()``"""
    if len_:
        first = off >> inode.i_blkbits
        last = off + len_ - 1 >> inode.i_blkbits
        ifs.uptodate |= (1 << last - first + 1) - 1 << first
    return ifs.full


@dup(C)
def iomap_set_range_uptodate(folio: Page, off: int, len_: int) -> None:
    """``static void iomap_set_range_uptodate(struct folio *folio, size_t off, size_t len)``"""
    if folio.flags & PG_uptodate:
        return
    mark = True
    ifs = _state(folio)
    if ifs is not None:
        spin_lock(ifs.state_lock)
        # with a read under way the end of it marks the folio: folio_end_read() flips the bit
        mark = ifs_set_range_uptodate(folio.mapping.host, ifs, off, len_) and not ifs.read_bytes_pending
        spin_unlock(ifs.state_lock)
    if mark:
        folio.flags |= PG_uptodate


@dup(C)
def ifs_alloc(inode: Any, folio: Page, flags: int) -> iomap_folio_state | None:
    """``static struct iomap_folio_state *ifs_alloc(struct inode *inode, struct folio *folio, unsigned int flags)``: None if one
    block is all.
    """
    ifs = _state(folio)
    nr_blocks = arch.PAGE_SIZE << folio.order >> inode.i_blkbits
    if ifs is not None or nr_blocks <= 1:
        return ifs
    gfp = GFP_NOWAIT if flags & IOMAP_NOWAIT else GFP_NOFS
    if gfp == GFP_NOWAIT and this.chooser is not None and should_fail("failslab", "ifs_alloc"):
        return None
    ifs = iomap_folio_state(nr_blocks)
    if folio.flags & PG_uptodate:
        ifs.uptodate = (1 << nr_blocks) - 1
    folio_get(folio)                                # folio_attach_private()
    folio.private = ifs
    folio.flags |= PG_private
    return ifs


@dup(C)
def ifs_free(folio: Page) -> None:
    """``static void ifs_free(struct folio *folio)``"""
    if not folio.flags & PG_private:
        return
    ifs = _state(folio)
    folio.flags &= ~PG_private                      # folio_detach_private()
    folio.private = 0
    folio_put(folio)
    if ifs is None:
        return
    WARN_ON_ONCE(ifs.read_bytes_pending != 0)
    WARN_ON_ONCE(ifs.full != bool(folio.flags & PG_uptodate))


def iomap_bytes_to_truncate(end_pos: int, block_bits: int, blocks_truncated: int) -> int:
    """``iomap_bytes_to_truncate()``"""
    block_offset = end_pos & ((1 << block_bits) - 1)
    if not block_offset:
        return blocks_truncated << block_bits
    return (blocks_truncated - 1 << block_bits) + block_offset


@dup(C)
def iomap_adjust_read_range(inode: Any, folio: Page, pos: int, length: int) -> tuple[int, int, int]:
    """``static void iomap_adjust_read_range(inode, folio, loff_t *pos, loff_t length, size_t *offp, size_t *lenp)``: gives (pos,
    off, len).
    """
    ifs = _state(folio)
    orig_pos = pos
    isize = inode.i_size
    block_bits = inode.i_blkbits
    fsize = arch.PAGE_SIZE << folio.order
    poff = pos & (fsize - 1)
    plen = orig_plen = min(fsize - poff, length)
    first = poff >> block_bits
    last = poff + plen - 1 >> block_bits

    # avoid reading in already uptodate ranges
    if ifs is not None:
        next_ = _next_clear(ifs.uptodate, first, last)
        blocks_skipped = next_ - first
        if blocks_skipped:
            block_offset = pos & ((1 << block_bits) - 1)
            bytes_skipped = (blocks_skipped << block_bits) - block_offset
            pos += bytes_skipped
            poff += bytes_skipped
            plen -= bytes_skipped
        first = next_
        # truncate len if we find any trailing uptodate block(s)
        next_ += 1
        if next_ <= last:
            next_ = _next_set(ifs.uptodate, next_, last)
            if next_ <= last:
                plen -= iomap_bytes_to_truncate(pos + plen, block_bits, last - next_ + 1)
                last = next_ - 1

    # handle both halves of i_size separately, so that blocks entirely outside are zeroed
    if orig_pos <= isize < orig_pos + orig_plen:
        end = (isize - 1 & (fsize - 1)) >> block_bits
        if first <= end < last:
            plen -= iomap_bytes_to_truncate(pos + plen, block_bits, last - end)
    return pos, poff, plen


@dup(C)
def iomap_block_needs_zeroing(iter_: IomapIter, pos: int) -> bool:
    """``static inline bool iomap_block_needs_zeroing(const struct iomap_iter *iter, loff_t pos)``"""
    srcmap = iomap_iter_srcmap(iter_)
    if srcmap.type != IOMAP_MAPPED:
        return True
    if srcmap.flags & IOMAP_F_NEW:
        return True
    if srcmap.flags & IOMAP_F_FSVERITY:
        return False
    return bool(pos >= iter_.inode.i_size)


@dup(C)
def iomap_read_inline_data(iter_: IomapIter, folio: Page) -> int:
    """``static int iomap_read_inline_data(const struct iomap_iter *iter, struct folio *folio)``: 0; -EIO without data, or with
    too little.
    """
    iomap = iomap_iter_srcmap(iter_)
    size = iter_.inode.i_size - iomap.offset
    fsize = arch.PAGE_SIZE << folio.order
    offset = iomap.offset & (fsize - 1)
    if WARN_ON_ONCE(not iomap.inline_data):
        return -EIO
    if folio.flags & PG_uptodate:
        return 0
    if WARN_ON_ONCE(size & 0xFFFF_FFFF_FFFF_FFFF > iomap.length):
        fserror_report_io(iter_.inode, FSERR_BUFFERED_READ, iomap.offset, size, -EIO, GFP_NOFS)
        return -EIO
    if offset > 0:
        ifs_alloc(iter_.inode, folio, iter_.flags)
    folio_fill_tail(folio, offset, iomap.inline_data, size)
    iomap_set_range_uptodate(folio, offset, fsize - offset)
    return 0


@dup(C)
def iomap_finish_folio_read(folio: Page, off: int, len_: int, error: int) -> None:
    """``void iomap_finish_folio_read(struct folio *folio, size_t off, size_t len, int error)``: a range has been read, or not."""
    ifs = _state(folio)
    uptodate = not error
    finished = True
    if error:
        fserror_report_io(folio.mapping.host, FSERR_BUFFERED_READ, (folio.index << arch.PAGE_SHIFT) + off, len_, error,
                          GFP_ATOMIC)
    if ifs is not None:
        spin_lock(ifs.state_lock)
        if not error:
            uptodate = ifs_set_range_uptodate(folio.mapping.host, ifs, off, len_)
        ifs.read_bytes_pending -= len_
        finished = not ifs.read_bytes_pending
        spin_unlock(ifs.state_lock)
    if finished:
        folio_end_read(folio, uptodate)


@dup(C)
def iomap_read_end(folio: Page, bytes_submitted: int) -> None:
    """``static void iomap_read_end(struct folio *folio, size_t bytes_submitted)``: ends the read if nothing is under way any
    more.
    """
    ifs = _state(folio)
    if ifs is None:
        # a folio without ifs is submitted as a whole, or not at all
        WARN_ON_ONCE(bytes_submitted)
        folio_unlock(folio)
        return
    spin_lock(ifs.state_lock)
    if not ifs.read_bytes_pending:
        WARN_ON_ONCE(bytes_submitted)
        spin_unlock(ifs.state_lock)
        folio_unlock(folio)
        return
    # what was accounted by iomap_read_folio_iter() but skipped
    ifs.read_bytes_pending -= (arch.PAGE_SIZE << folio.order) - bytes_submitted
    end_read = not ifs.read_bytes_pending
    uptodate = ifs.full
    spin_unlock(ifs.state_lock)
    if end_read:
        folio_end_read(folio, uptodate)


@dup(C)
def iomap_read_folio_iter(iter_: IomapIter, ctx: IomapReadFolioCtx, submitted: list[int]) -> int:
    """``static int iomap_read_folio_iter(struct iomap_iter *iter, struct iomap_read_folio_ctx *ctx, size_t *bytes_submitted)``"""
    iomap = iter_.iomap
    pos = iter_.pos
    length = iomap_length(iter_)
    folio = ctx.cur_folio
    assert folio is not None
    folio_len = arch.PAGE_SIZE << folio.order
    inode = iter_.inode
    if iomap.type == IOMAP_INLINE:
        ret = iomap_read_inline_data(iter_, folio)
        if ret:
            return ret
        return iomap_iter_advance(iter_, length)

    ifs = ifs_alloc(inode, folio, iter_.flags)
    length = min(length, folio_len - (pos & (folio_len - 1)))
    while length:
        pos, poff, plen = iomap_adjust_read_range(inode, folio, pos, length)
        pos_diff = pos - iter_.pos
        if pos_diff + plen > length:
            WARN_ON_ONCE(True)
            return -EIO
        if pos_diff:
            ret = iomap_iter_advance(iter_, pos_diff)
            if ret:
                return ret
        if plen == 0:
            return 0
        if iomap_block_needs_zeroing(iter_, pos):
            # zero post-eof blocks as the page may be mapped
            folio_zero_segment(folio, poff, poff + plen)
            iomap_set_range_uptodate(folio, poff, plen)
        else:
            if not submitted[0] and ifs is not None:        # iomap_read_init()
                spin_lock(ifs.state_lock)
                WARN_ON_ONCE(ifs.read_bytes_pending != 0)
                ifs.read_bytes_pending = folio_len
                spin_unlock(ifs.state_lock)
            ret = int(ctx.ops.read_folio_range(iter_, ctx, plen))
            if ret < 0:
                fserror_report_io(inode, FSERR_BUFFERED_READ, pos, plen, ret, GFP_NOFS)
            if ret:
                return ret
            submitted[0] += plen
            # the I/O owns the folio once all of it was submitted, or if it is not tracked by blocks
            if submitted[0] == folio_len or ifs is None:
                ctx.cur_folio = NULL
        ret = iomap_iter_advance(iter_, plen)
        if ret:
            return ret
        length -= pos_diff + plen
        pos = iter_.pos
    return 0


@dup(C)
def iomap_read_folio(ops: iomap_ops, ctx: IomapReadFolioCtx, private: Any = None) -> None:
    """``void iomap_read_folio(const struct iomap_ops *ops, struct iomap_read_folio_ctx *ctx, void *private)``

    Reads ``ctx.cur_folio``, which comes locked; it is unlocked when the last of it has been read. Errors show in the folio: not
    uptodate.
    """
    folio = ctx.cur_folio
    assert folio is not None
    iter_ = IomapIter(folio.mapping.host, loff_t(folio.index << arch.PAGE_SHIFT), arch.PAGE_SIZE << folio.order, 0, private)
    submitted = [0]
    while iomap_iter(iter_, ops) > 0:
        iter_.status = iomap_read_folio_iter(iter_, ctx, submitted)
        if ctx.read_ctx is not None and ctx.ops.submit_read is not None:
            ctx.ops.submit_read(iter_, ctx)
    if ctx.cur_folio is not None:
        iomap_read_end(ctx.cur_folio, submitted[0])


@dup(C)
def iomap_readahead_iter(iter_: IomapIter, ctx: IomapReadFolioCtx, submitted: list[int]) -> int:
    """``static int iomap_readahead_iter(struct iomap_iter *iter, struct iomap_read_folio_ctx *ctx, size_t *cur_bytes_submitted)``
    """
    assert ctx.rac is not None
    while iomap_length(iter_):
        cur = ctx.cur_folio
        if cur is not None and not iter_.pos & ((arch.PAGE_SIZE << cur.order) - 1):
            iomap_read_end(cur, submitted[0])
            ctx.cur_folio = NULL
        if ctx.cur_folio is None:
            ctx.cur_folio = readahead_folio(ctx.rac)
            if WARN_ON_ONCE(ctx.cur_folio is None):
                return -EINVAL
            submitted[0] = 0
        ret = iomap_read_folio_iter(iter_, ctx, submitted)
        if ret:
            return ret
    return 0


@dup(C)
def iomap_readahead(ops: iomap_ops, ctx: IomapReadFolioCtx, private: Any = None) -> None:
    """``void iomap_readahead(const struct iomap_ops *ops, struct iomap_read_folio_ctx *ctx, void *private)``: see
    :func:`iomap_read_folio`.
    """
    rac = ctx.rac
    assert rac is not None
    iter_ = IomapIter(rac.mapping.host, readahead_pos(rac), readahead_length(rac), 0, private)
    submitted = [0]
    while iomap_iter(iter_, ops) > 0:
        iter_.status = iomap_readahead_iter(iter_, ctx, submitted)
        if ctx.read_ctx is not None and ctx.ops.submit_read is not None:
            ctx.ops.submit_read(iter_, ctx)
    if ctx.cur_folio is not None:
        iomap_read_end(ctx.cur_folio, submitted[0])


@dup(C)
def iomap_is_partially_uptodate(folio: Page, from_: int, count: int) -> bool:
    """``bool iomap_is_partially_uptodate(struct folio *folio, size_t from, size_t count)``"""
    ifs = _state(folio)
    if ifs is None:
        return False
    inode = folio.mapping.host
    count = min((arch.PAGE_SIZE << folio.order) - from_, count)
    first = from_ >> inode.i_blkbits
    last = from_ + count - 1 >> inode.i_blkbits
    return bool(_next_clear(ifs.uptodate, first, last) > last)


@dup(C)
def iomap_release_folio(folio: Page, gfp_flags: int) -> bool:
    """``bool iomap_release_folio(struct folio *folio, gfp_t gfp_flags)``"""
    if folio.flags & PG_dirty:
        return False
    ifs_free(folio)
    return True


@custom(C, "iomap_invalidate_folio", "nothing is dirty, so no range of a folio has its dirty bits cleared")
def iomap_invalidate_folio(folio: Page, offset: int, len_: int) -> None:
    """``void iomap_invalidate_folio(struct folio *folio, size_t offset, size_t len)``"""
    if offset == 0 and len_ == arch.PAGE_SIZE << folio.order:
        folio_cancel_dirty(folio)
        ifs_free(folio)
