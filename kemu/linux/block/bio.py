# SPDX-License-Identifier: GPL-2.0-only
"""Building, chaining, splitting and ending bios (block/bio.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import (
    BIO_CHAIN,
    BIO_CLONED,
    BIO_MAX_SIZE,
    BIO_REFFED,
    BIO_REMAPPED,
    BIO_TRACE_COMPLETION,
    ENDED,
    FREED,
    REQ_OP_READ,
    REQ_SYNC,
    SUBMITTED,
    Bio,
    BlockDevice,
    bio_op,
)
from kemu.linux.block.blk_core import blk_status_to_errno, submit_bio
from kemu.linux.bug import BUG_ON, WARN_ON_ONCE
from kemu.linux.bvec import BioVec
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, EIO, ENOMEM
from kemu.linux.include.bio import (
    BIO_INLINE_VECS,
    BIO_MAX_INLINE_VECS,
    BIO_MAX_VECS,
    BioSet,
    bio_advance,
    bio_for_each_bvec,
    bio_sectors,
    fs_bio_set,
)
from kemu.linux.include.completion import completion
from kemu.linux.include.gfp import __GFP_DIRECT_RECLAIM
from kemu.linux.include.mm import folio_page, is_vmalloc_addr, offset_in_page, virt_to_page
from kemu.linux.kernel.sched.completion import complete, wait_for_completion
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import NULL, arch, this
from kemu.machine.machine import should_fail
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page
from kemu.machine.splat import KernelBug, caller_function

C = "block/bio.c"


@dup(C)
def bio_init(bio: Bio, bdev: BlockDevice | None, table: list[BioVec] | None, max_vecs: int, opf: int) -> None:
    """``void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *table, unsigned short max_vecs, blk_opf_t
    opf)``

    ``table``: the list that is filled, up to ``max_vecs`` entries (an empty one grows).
    """
    if bio.life is SUBMITTED:
        func = caller_function()[0]
        raise KernelBug(f"BUG: bio initialised while under way in {func}", [repr(bio)], function=func)
    bio.zero()
    bio.bi_bdev = bdev                                  # type: ignore[assignment]
    bio.bi_opf = opf
    bio.bi_max_vecs = max_vecs
    if table is not None:
        bio.bi_io_vec = table


@dup(C)
def bio_uninit(bio: Bio) -> None:
    """``void bio_uninit(struct bio *bio)``: of a bio that the caller owns (bio_init). One that is under way is a report."""
    if bio.life is SUBMITTED:
        func = caller_function()[0]
        raise KernelBug(f"BUG: bio given up while under way in {func}", [repr(bio)], function=func)


@dup(C)
def bio_reset(bio: Bio, bdev: BlockDevice | None, opf: int) -> None:
    """``void bio_reset(struct bio *bio, struct block_device *bdev, blk_opf_t opf)``: the table and its size stay."""
    table, max_vecs, pool, cnt = bio.bi_io_vec, bio.bi_max_vecs, bio.bi_pool, bio.bi_cnt
    bio_init(bio, bdev, table, max_vecs, opf)
    bio.bi_pool = pool
    bio.bi_cnt = cnt


@custom(C, "bio_alloc_bioset", "without direct reclaim it can fail (failslab); with it, never: the mempool")
def bio_alloc_bioset(bdev: BlockDevice | None, nr_vecs: int, opf: int, gfp: int, bs: BioSet = fs_bio_set) -> Bio:
    """``struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned short nr_vecs, blk_opf_t opf, gfp_t gfp, struct bio_set
    *bs)``
    """
    if this.chooser is not None or this.watch is not None:
        if not gfp & __GFP_DIRECT_RECLAIM:
            if should_fail("failslab", "bio_alloc_bioset"):
                return NULL             # type: ignore[no-any-return]
        elif this.watch is not None:
            this.watch.event("might_sleep", what="bio_alloc")
    bio = Bio()
    bio.bi_bdev = bdev                                  # type: ignore[assignment]
    bio.bi_opf = opf
    if nr_vecs > BIO_INLINE_VECS:                       # rounded up to a slab's size: 16, 64, 128, 256
        nr_vecs = 16 if nr_vecs <= 16 else 64 if nr_vecs <= 64 else 128 if nr_vecs <= 128 else BIO_MAX_VECS
    bio.bi_max_vecs = nr_vecs
    bio.bi_pool = bs
    if this.watch is not None:
        this.watch.alloc("bio", bio, 0)
    return bio


@dup(C)
def bio_kmalloc(nr_vecs: int, gfp_mask: int) -> Bio | None:
    """``struct bio *bio_kmalloc(unsigned short nr_vecs, gfp_t gfp_mask)``: for bio_init(); None on failure (failslab)."""
    if nr_vecs > BIO_MAX_INLINE_VECS or (this.chooser is not None and should_fail("failslab", "bio_kmalloc")):
        return None
    return Bio()


@dup(C)
def bio_put(bio: Bio) -> None:
    """``void bio_put(struct bio *bio)``: the last one frees. Freeing twice, or while it is under way, is a report."""
    if bio.bi_flags & 1 << BIO_REFFED:
        BUG_ON(not bio.bi_cnt)
        bio.bi_cnt -= 1
        if bio.bi_cnt:
            return
    if bio.life is FREED or bio.life is SUBMITTED:
        func = caller_function()[0]
        raise KernelBug(f"BUG: bio freed while {bio.life} in {func}", [repr(bio)], function=func)
    if bio.bi_pool is None:
        WARN_ON_ONCE(True)
    bio.life = FREED
    if this.watch is not None:
        this.watch.free("bio", bio)


def bvec_try_merge_page(bv: BioVec, page: Page, len_: int, off: int) -> bool:
    """``bvec_try_merge_page()``: only what continues the segment physically; struct pages are contiguous wherever frames are."""
    if page.pfn - bv.bv_page.pfn << arch.PAGE_SHIFT != bv.bv_offset + bv.bv_len - off:
        return False
    bv.bv_len += len_
    return True


@dup(C)
def __bio_add_page(bio: Bio, page: Page, len_: int, off: int) -> None:
    """``void __bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int off)``: always a new segment;
    there must be room.
    """
    vec = bio.bi_io_vec
    n = bio.bi_vcnt
    if n >= bio.bi_max_vecs or bio.bi_flags & 1 << BIO_CLONED or bio.bi_iter.bi_size > BIO_MAX_SIZE - len_:
        WARN_ON_ONCE(True)
    if n < len(vec):                                    # a table that the caller filled with empty entries
        bv = vec[n]
        bv.bv_page, bv.bv_len, bv.bv_offset = page, len_, off
    else:
        vec.append(BioVec(page, len_, off))
    bio.bi_iter.bi_size += len_
    bio.bi_vcnt = n + 1


@dup(C)
def bio_add_page(bio: Bio, page: Page, len_: int, offset: int) -> int:
    """``int bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset)``

    Merges into the last segment what continues it physically. Return: ``len``, or 0 if the bio is full.
    """
    if bio.bi_flags & 1 << BIO_CLONED or len_ == 0:
        WARN_ON_ONCE(True)
        return 0
    it = bio.bi_iter
    if it.bi_size > BIO_MAX_SIZE - len_:
        return 0
    n = bio.bi_vcnt
    if n > 0 and bvec_try_merge_page(bio.bi_io_vec[n - 1], page, len_, offset):
        it.bi_size += len_
        return len_
    if n >= bio.bi_max_vecs:
        return 0
    if n == len(bio.bi_io_vec):
        bio.bi_io_vec.append(BioVec(page, len_, offset))
        it.bi_size += len_
        bio.bi_vcnt = n + 1
        return len_
    __bio_add_page(bio, page, len_, offset)
    return len_


@dup(C)
def bio_add_folio_nofail(bio: Bio, folio: Page, len_: int, off: int) -> None:
    """``void bio_add_folio_nofail(struct bio *bio, struct folio *folio, size_t len, size_t off)``"""
    nr = off // arch.PAGE_SIZE

    WARN_ON_ONCE(len_ > BIO_MAX_SIZE)
    __bio_add_page(bio, folio_page(folio, nr), len_, off % arch.PAGE_SIZE)


@dup(C)
def bio_add_folio(bio: Bio, folio: Page, len_: int, off: int) -> bool:
    """``bool bio_add_folio(struct bio *bio, struct folio *folio, size_t len, size_t off)``: False if the bio is full."""
    if len_ > BIO_MAX_SIZE:
        return False
    return bio_add_page(bio, folio_page(folio, off >> arch.PAGE_SHIFT), len_, off & (arch.PAGE_SIZE - 1)) > 0


@dup(C)
def bio_add_virt_nofail(bio: Bio, vaddr: int, len_: int) -> None:
    """``void bio_add_virt_nofail(struct bio *bio, void *vaddr, unsigned len)``: direct-map addresses."""
    __bio_add_page(bio, virt_to_page(vaddr), len_, offset_in_page(vaddr))


@dup(C)
def bio_chain_endio(bio: Bio) -> None:
    """``static void bio_chain_endio(struct bio *bio)``: a flag; never called."""
    func = caller_function()[0]
    raise KernelBug(f"kernel BUG in {func}: bio_chain_endio called", function=func)


@dup(C)
def bio_chain(bio: Bio, parent: Bio) -> None:
    """``void bio_chain(struct bio *bio, struct bio *parent)``: ``parent`` ends after both."""
    BUG_ON(bio.bi_private or bio.bi_end_io)
    bio.bi_private = parent
    bio.bi_end_io = bio_chain_endio
    parent.bi_flags |= 1 << BIO_CHAIN                   # bio_inc_remaining()
    parent.bi_remaining += 1


@dup(C)
def bio_chain_and_submit(prev: Bio | None, new: Bio) -> Bio:
    """``struct bio *bio_chain_and_submit(struct bio *prev, struct bio *new)``"""
    if prev is not None:
        bio_chain(prev, new)
        submit_bio(prev)
    return new


@custom(C, "bio_endio", "ending a bio a second time is a report")
def bio_endio(bio: Bio) -> None:
    """``void bio_endio(struct bio *bio)``: calls ``bi_end_io``, exactly once; of a chain, that of the last parent.

    Context: any.
    """
    while True:
        if bio.bi_flags & 1 << BIO_CHAIN:
            BUG_ON(bio.bi_remaining <= 0)
            bio.bi_remaining -= 1
            if bio.bi_remaining:
                return
            bio.bi_flags &= ~(1 << BIO_CHAIN)
        if bio.life is ENDED or bio.life is FREED:
            func = caller_function()[0]
            raise KernelBug(f"BUG: bio ended twice in {func}", [repr(bio)], function=func)
        bio.life = ENDED
        bio.bi_flags &= ~(1 << BIO_TRACE_COMPLETION)
        w = this.watch
        if w is not None:
            w.event("bio_endio", bio=bio)
        end_io = bio.bi_end_io
        if end_io is bio_chain_endio:
            parent: Bio = bio.bi_private
            if bio.bi_status and not parent.bi_status:
                parent.bi_status = bio.bi_status
            bio_put(bio)
            bio = parent
            continue
        if end_io is not None:
            end_io(bio)
        return


def bio_wait_end_io(bio: Bio) -> None:
    """``bio_wait_end_io()``"""
    complete(bio.bi_private)


@dup(C)
def bio_await(bio: Bio, priv: Any, submit: Callable[[Bio, Any], None] | None) -> None:
    """``void bio_await(struct bio *bio, void *priv, void (*submit)(struct bio *bio, void *priv))``. Context: may sleep."""
    done = completion()
    bio.bi_private = done
    bio.bi_end_io = bio_wait_end_io
    bio.bi_opf |= REQ_SYNC
    if submit is not None:
        submit(bio, priv)
    else:
        submit_bio(bio)
    wait_for_completion(done)


@dup(C)
def submit_bio_wait(bio: Bio) -> int:
    """``int submit_bio_wait(struct bio *bio)``: 0 or -errno of ``bi_status``; the bio stays the caller's. Context: may sleep."""
    bio_await(bio, None, None)
    return blk_status_to_errno(bio.bi_status)


@dup(C)
def bdev_rw_virt(bdev: BlockDevice, sector: int, data: int, len_: int, op: int) -> int:
    """``int bdev_rw_virt(struct block_device *bdev, sector_t sector, void *data, size_t len, enum req_op op)``: direct-map
    addresses.
    """
    if WARN_ON_ONCE(is_vmalloc_addr(data)):
        return -EIO
    bio = Bio()
    bio_init(bio, bdev, None, 1, op)
    bio.bi_iter.bi_sector = sector
    bio_add_virt_nofail(bio, data, len_)
    error = submit_bio_wait(bio)
    bio_uninit(bio)
    return error


@dup(C)
def zero_fill_bio(bio: Bio) -> None:
    """``void zero_fill_bio(struct bio *bio)``"""
    for bv in bio_for_each_bvec(bio):
        this.mem.fill(PAGE_OFFSET + (bv.bv_page.pfn << arch.PAGE_SHIFT) + bv.bv_offset, 0, bv.bv_len)


@dup(C)
def bio_truncate(bio: Bio, new_size: int) -> None:
    """``static void bio_truncate(struct bio *bio, unsigned new_size)``: what a read loses is zeroed."""
    if new_size >= bio.bi_iter.bi_size:
        return
    if bio_op(bio) == REQ_OP_READ:
        done = 0
        for bv in bio_for_each_bvec(bio):
            if done + bv.bv_len > new_size:
                skip = max(new_size - done, 0)
                this.mem.fill(PAGE_OFFSET + (bv.bv_page.pfn << arch.PAGE_SHIFT) + bv.bv_offset + skip, 0, bv.bv_len - skip)
            done += bv.bv_len
    bio.bi_iter.bi_size = new_size


@dup(C)
def guard_bio_eod(bio: Bio) -> None:
    """``void guard_bio_eod(struct bio *bio)``: cuts a bio off at the end of the device, for a last block that is only partly
    there.
    """
    maxsector = bio.bi_bdev.bd_nr_sectors
    if not maxsector:
        return
    # If the *whole* IO is past the end of the device, let it through: the block layer will turn it into an EIO.
    if bio.bi_iter.bi_sector >= maxsector:
        return
    maxsector -= bio.bi_iter.bi_sector
    if bio.bi_iter.bi_size >> 9 <= maxsector:
        return
    bio_truncate(bio, maxsector << 9)


@dup(C)
def bio_alloc_clone(bdev: BlockDevice | None, bio_src: Bio, gfp: int, bs: BioSet = fs_bio_set) -> Bio | None:
    """``struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *bio_src, gfp_t gfp, struct bio_set *bs)``: shares the
    segments.
    """
    bio = bio_alloc_bioset(bdev, 0, bio_src.bi_opf, gfp, bs)
    if bio is None:
        return None
    bio.bi_flags |= 1 << BIO_CLONED
    bio.bi_ioprio = bio_src.bi_ioprio
    bio.bi_iter = bio_src.bi_iter.copy()
    if bdev is not None and bdev is bio_src.bi_bdev and bio_src.bi_flags & 1 << BIO_REMAPPED:
        bio.bi_flags |= 1 << BIO_REMAPPED
    bio.bi_io_vec = bio_src.bi_io_vec
    return bio


@dup(C)
def bio_split(bio: Bio, sectors: int, gfp: int, bs: BioSet = fs_bio_set) -> Any:
    """``struct bio *bio_split(struct bio *bio, int sectors, gfp_t gfp, struct bio_set *bs)``: the front part; ERR_PTR(-EINVAL),
    ERR_PTR(-ENOMEM).
    """
    if WARN_ON_ONCE(sectors <= 0 or sectors >= bio_sectors(bio)):
        return ERR_PTR(-EINVAL)
    split = bio_alloc_clone(bio.bi_bdev, bio, gfp, bs)
    if split is None:
        return ERR_PTR(-ENOMEM)
    split.bi_iter.bi_size = sectors << 9
    bio_advance(bio, split.bi_iter.bi_size)
    return split


@dup(C)
def bio_trim(bio: Bio, offset: int, size: int) -> None:
    """``void bio_trim(struct bio *bio, sector_t offset, sector_t size)``: sectors."""
    if WARN_ON_ONCE(offset + size > bio_sectors(bio)):
        return
    size <<= 9
    if offset == 0 and size == bio.bi_iter.bi_size:
        return
    bio_advance(bio, offset << 9)
    bio.bi_iter.bi_size = size
