# SPDX-License-Identifier: GPL-2.0-only
"""Reading by extents with bios (fs/iomap/bio.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BIO_MAX_SIZE, REQ_OP_READ, REQ_RAHEAD, Bio
from kemu.linux.block.bio import bio_add_folio, bio_add_folio_nofail, bio_alloc_bioset, bio_put
from kemu.linux.block.blk_core import blk_status_to_errno, submit_bio
from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.fs.iomap.buffered_io import iomap_finish_folio_read
from kemu.linux.include.bio import BioSet, bio_end_sector, bio_for_each_folio_all, bio_max_segs, fs_bio_set
from kemu.linux.include.gfp import __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL
from kemu.linux.include.iomap import IomapIter, IomapReadFolioCtx, iomap_length, iomap_read_ops, iomap_sector
from kemu.linux.include.sched import cond_resched
from kemu.linux.include.workqueue import INIT_WORK, schedule_work, work_struct
from kemu.linux.port.honesty import dup
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.machine.current import arch
from kemu.machine.statics import per_machine, statics

C = "fs/iomap/bio.c"


def _failed_read_work() -> work_struct:
    work = work_struct()
    INIT_WORK(work, iomap_fail_reads)
    return work


def _end_io(bio: Bio, error: int) -> int:
    """``__iomap_read_end_io()``"""
    folio_count = 0
    for fi in bio_for_each_folio_all(bio):
        iomap_finish_folio_read(fi.folio, fi.offset, fi.length, error)
        folio_count += 1
    bio_put(bio)
    return folio_count


@dup(C)
def iomap_fail_reads(work: Any) -> None:
    """``static void iomap_fail_reads(struct work_struct *work)``"""
    spin_lock(g.failed_read_lock)
    tmp, g.failed_read_list = g.failed_read_list, []
    spin_unlock(g.failed_read_lock)
    for bio in tmp:
        _end_io(bio, blk_status_to_errno(bio.bi_status))
        cond_resched()


@statics
class g:
    failed_read_lock = per_machine(lambda: spinlock_t("failed_read_lock"))
    failed_read_list: list[Bio] = []
    failed_read_work = per_machine(_failed_read_work)


@dup(C)
def iomap_fail_buffered_read(bio: Bio) -> None:
    """``static void iomap_fail_buffered_read(struct bio *bio)``: errors end in a kworker."""
    # Bounce I/O errors to a workqueue to avoid nested i_lock acquisitions in the fserror code. The caller no longer owns the bio
    # reference after the spinlock drops.
    spin_lock(g.failed_read_lock)
    if not g.failed_read_list:
        WARN_ON_ONCE(not schedule_work(g.failed_read_work))
    g.failed_read_list.append(bio)
    spin_unlock(g.failed_read_lock)


@dup(C)
def iomap_read_end_io(bio: Bio) -> None:
    """``static void iomap_read_end_io(struct bio *bio)``"""
    if bio.bi_status:
        iomap_fail_buffered_read(bio)
        return
    _end_io(bio, 0)


@dup(C)
def iomap_bio_submit_read_endio(iter_: IomapIter, ctx: IomapReadFolioCtx, end_io: Callable[[Bio], None]) -> None:
    """``void iomap_bio_submit_read_endio(const struct iomap_iter *iter, struct iomap_read_folio_ctx *ctx, bio_end_io_t end_io)``
    """
    bio: Bio = ctx.read_ctx
    bio.bi_end_io = end_io
    submit_bio(bio)
    ctx.read_ctx = None


@dup(C)
def iomap_bio_submit_read(iter_: IomapIter, ctx: IomapReadFolioCtx) -> None:
    """``static void iomap_bio_submit_read(const struct iomap_iter *iter, struct iomap_read_folio_ctx *ctx)``"""
    iomap_bio_submit_read_endio(iter_, ctx, iomap_read_end_io)


@dup(C)
def iomap_read_alloc_bio(iter_: IomapIter, ctx: IomapReadFolioCtx, plen: int) -> None:
    """``static void iomap_read_alloc_bio(const struct iomap_iter *iter, struct iomap_read_folio_ctx *ctx, size_t plen)``"""
    iomap = iter_.iomap
    nr_vecs = iomap_length(iter_) + arch.PAGE_SIZE - 1 >> arch.PAGE_SHIFT
    bs: BioSet = ctx.ops.bio_set or fs_bio_set
    folio = ctx.cur_folio
    assert folio is not None
    gfp = orig_gfp = folio.mapping.gfp_mask & GFP_KERNEL
    # Submit the existing range if there was one.
    if ctx.read_ctx is not None:
        ctx.ops.submit_read(iter_, ctx)
    opf = REQ_OP_READ
    if ctx.rac is not None:
        gfp |= __GFP_NORETRY | __GFP_NOWARN
    bio = bio_alloc_bioset(iomap.bdev, bio_max_segs(nr_vecs), opf, gfp, bs)
    # If the bio_alloc fails, try it again for a single page to avoid having to deal with partial page reads.
    if bio is None:
        bio = bio_alloc_bioset(iomap.bdev, 1, opf, orig_gfp, bs)
    assert bio is not None
    if ctx.rac is not None:
        bio.bi_opf |= REQ_RAHEAD
    bio.bi_iter.bi_sector = iomap_sector(iomap, iter_.pos)
    bio_add_folio_nofail(bio, folio, plen, iter_.pos & ((arch.PAGE_SIZE << folio.order) - 1))
    ctx.read_ctx = bio
    ctx.read_ctx_file_offset = iter_.pos


@dup(C)
def iomap_bio_read_folio_range(iter_: IomapIter, ctx: IomapReadFolioCtx, plen: int) -> int:
    """``int iomap_bio_read_folio_range(const struct iomap_iter *iter, struct iomap_read_folio_ctx *ctx, size_t plen)``: into the
    open bio, or a new one.
    """
    bio: Bio | None = ctx.read_ctx
    folio = ctx.cur_folio
    assert folio is not None
    pos = iter_.pos
    if (bio is None or bio_end_sector(bio) != iomap_sector(iter_.iomap, pos) or bio.bi_iter.bi_size > BIO_MAX_SIZE - plen
            or not bio_add_folio(bio, folio, plen, pos & ((arch.PAGE_SIZE << folio.order) - 1))):
        iomap_read_alloc_bio(iter_, ctx, plen)
    return 0


iomap_bio_read_ops = iomap_read_ops(read_folio_range=iomap_bio_read_folio_range, submit_read=iomap_bio_submit_read)
