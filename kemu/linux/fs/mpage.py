# SPDX-License-Identifier: GPL-2.0-only
"""Reading folios of block-mapped files in large bios (fs/mpage.c)."""
from __future__ import annotations

from kemu.linux.blk_types import REQ_OP_READ, REQ_RAHEAD, Bio, BlockDevice
from kemu.linux.block.bio import bio_add_folio, bio_put, guard_bio_eod
from kemu.linux.block.blk_core import submit_bio
from kemu.linux.fs.buffer import block_read_full_folio
from kemu.linux.highmem import folio_zero_segment
from kemu.linux.include.bio import bio_alloc, bio_for_each_folio_all, bio_max_segs
from kemu.linux.include.buffer_head import BufferHead, GetBlock, _Boundary, _Mapped, _Uptodate, folio_buffers
from kemu.linux.include.gfp import __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL
from kemu.linux.include.pagemap import ReadaheadControl, readahead_folio
from kemu.linux.mm.filemap import folio_end_read, folio_unlock
from kemu.linux.port.honesty import dup
from kemu.machine.current import arch
from kemu.machine.pages import Page, PG_locked, PG_uptodate

C = "fs/mpage.c"



@dup(C)
def mpage_read_end_io(bio: Bio) -> None:
    """``static void mpage_read_end_io(struct bio *bio)``"""
    err = bio.bi_status
    for fi in bio_for_each_folio_all(bio):
        folio_end_read(fi.folio, err == 0)
    bio_put(bio)


def mpage_bio_submit_read(bio: Bio) -> None:
    """``mpage_bio_submit_read()``"""
    bio.bi_end_io = mpage_read_end_io
    guard_bio_eod(bio)
    submit_bio(bio)


class mpage_readpage_args:
    """``struct mpage_readpage_args``"""

    __slots__ = ("bio", "first_logical_block", "folio", "get_block", "is_readahead", "last_block_in_bio", "map_bh", "nr_pages")

    def __init__(self, get_block: GetBlock, is_readahead: bool):
        self.bio: Bio | None = None
        self.folio: Page = None                         # type: ignore[assignment]
        self.nr_pages = 0
        self.is_readahead = is_readahead
        self.last_block_in_bio = 0
        self.map_bh = BufferHead()
        self.first_logical_block = 0
        self.get_block = get_block


def _confused(args: mpage_readpage_args) -> None:
    """The label ``confused``: leave the folio to block_read_full_folio()."""
    if args.bio is not None:
        mpage_bio_submit_read(args.bio)
        args.bio = None
    if not args.folio.flags & PG_uptodate:
        block_read_full_folio(args.folio, args.get_block)
    else:
        folio_unlock(args.folio)


@dup(C)
def do_mpage_readpage(args: mpage_readpage_args) -> None:
    """``static void do_mpage_readpage(struct mpage_readpage_args *args)``: adds a folio to the bio, or reads it in pieces."""
    folio = args.folio
    inode = folio.mapping.host
    blkbits = inode.i_blkbits
    fsize = arch.PAGE_SIZE << folio.order
    blocks_per_folio = fsize >> blkbits
    map_bh = args.map_bh
    first_hole = blocks_per_folio
    bdev: BlockDevice | None = None
    first_block = 0
    opf = REQ_OP_READ
    gfp = folio.mapping.gfp_mask & GFP_KERNEL
    if args.is_readahead:
        opf |= REQ_RAHEAD
        gfp |= __GFP_NORETRY | __GFP_NOWARN
    if folio_buffers(folio) is not None:
        _confused(args)
        return

    block_in_file = folio.index << arch.PAGE_SHIFT >> blkbits
    last_block = block_in_file + (args.nr_pages << arch.PAGE_SHIFT >> blkbits)
    last_block = min(last_block, inode.i_size + (1 << blkbits) - 1 >> blkbits)
    page_block = 0

    # Map blocks using the result from the previous get_blocks call first.
    nblocks = map_bh.b_size >> blkbits
    if map_bh.b_state & _Mapped and args.first_logical_block < block_in_file < args.first_logical_block + nblocks:
        map_offset = block_in_file - args.first_logical_block
        last = nblocks - map_offset
        first_block = map_bh.b_blocknr + map_offset
        step = min(last, blocks_per_folio)
        if last <= blocks_per_folio:
            map_bh.b_state &= ~_Mapped
        page_block += step
        block_in_file += step
        bdev = map_bh.b_bdev

    # Then do more get_blocks calls until we are done with this folio.
    map_bh.b_folio = folio
    while page_block < blocks_per_folio:
        map_bh.b_state = 0
        map_bh.b_size = 0
        if block_in_file < last_block:
            map_bh.b_size = last_block - block_in_file << blkbits
            if args.get_block(inode, block_in_file, map_bh, 0):
                _confused(args)
                return
            args.first_logical_block = block_in_file
        if not map_bh.b_state & _Mapped:
            if first_hole == blocks_per_folio:
                first_hole = page_block
            page_block += 1
            block_in_file += 1
            continue
        if map_bh.b_state & _Uptodate or first_hole != blocks_per_folio:
            _confused(args)                             # data came with the mapping; hole -> non-hole
            return
        # Contiguous blocks?
        if not page_block:
            first_block = map_bh.b_blocknr
        elif first_block + page_block != map_bh.b_blocknr:
            _confused(args)
            return
        nblocks = map_bh.b_size >> blkbits
        left = blocks_per_folio - page_block
        if nblocks <= left:
            map_bh.b_state &= ~_Mapped
        step = min(nblocks, left)
        page_block += step
        block_in_file += step
        bdev = map_bh.b_bdev

    if first_hole != blocks_per_folio:
        folio_zero_segment(folio, first_hole << blkbits, fsize)
        if first_hole == 0:
            folio.flags |= PG_uptodate
            folio_unlock(folio)
            return

    # This folio will go to BIO.  Do we need to send this BIO off first?
    if args.bio is not None and args.last_block_in_bio != first_block - 1:
        mpage_bio_submit_read(args.bio)
        args.bio = None
    while True:
        if args.bio is None:
            args.bio = bio_alloc(bdev, bio_max_segs(args.nr_pages), opf, gfp)
            if args.bio is None:
                _confused(args)
                return
            args.bio.bi_iter.bi_sector = first_block << (blkbits - 9)
        if bio_add_folio(args.bio, folio, first_hole << blkbits, 0):
            break
        mpage_bio_submit_read(args.bio)
        args.bio = None

    relative_block = block_in_file - args.first_logical_block
    nblocks = map_bh.b_size >> blkbits
    if (map_bh.b_state & _Boundary and relative_block == nblocks) or first_hole != blocks_per_folio:
        mpage_bio_submit_read(args.bio)
        args.bio = None
    else:
        args.last_block_in_bio = first_block + blocks_per_folio - 1


@dup(C)
def mpage_readahead(rac: ReadaheadControl, get_block: GetBlock) -> None:
    """``void mpage_readahead(struct readahead_control *rac, get_block_t get_block)``"""
    args = mpage_readpage_args(get_block, True)
    while (folio := readahead_folio(rac)) is not None:
        args.folio = folio
        args.nr_pages = rac._nr_pages
        do_mpage_readpage(args)
        # If read ahead failed synchronously, it may cause by removed device, or some filesystem metadata error.
        if not folio.flags & (PG_locked | PG_uptodate):
            break
    if args.bio is not None:
        mpage_bio_submit_read(args.bio)


@dup(C)
def mpage_read_folio(folio: Page, get_block: GetBlock) -> int:
    """``int mpage_read_folio(struct folio *folio, get_block_t get_block)``: 0."""
    args = mpage_readpage_args(get_block, False)
    args.folio = folio
    args.nr_pages = 1 << folio.order
    do_mpage_readpage(args)
    if args.bio is not None:
        mpage_bio_submit_read(args.bio)
    return 0
