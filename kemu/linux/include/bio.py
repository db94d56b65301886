# SPDX-License-Identifier: GPL-2.0-only
"""Going through a bio, its flags and its sets (include/linux/bio.h)."""
from __future__ import annotations

from collections.abc import Iterator

from kemu.linux.blk_types import (
    BIO_REFFED,
    BLK_STS_IOERR,
    REQ_OP_DISCARD,
    REQ_OP_MASK,
    REQ_OP_SECURE_ERASE,
    REQ_OP_WRITE_ZEROES,
    Bio,
    BlockDevice,
)
from kemu.linux.bvec import (
    BioVec,
    BvecIter,
    bvec_iter_advance,
    bvec_iter_advance_single,
    bvec_iter_bvec,
    mp_bvec_iter_bvec,
    nth_page,
)
from kemu.linux.include.mm import page_folio
from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import arch
from kemu.machine.pages import Page

P = "include/linux/bio.h"

BIO_MAX_VECS = 256
BIO_INLINE_VECS = 4
BIO_MAX_INLINE_VECS = 1024


@custom(P, "bio_set", "a name: bios are Python objects")
class BioSet:
    """``struct bio_set``"""

    __slots__ = ("name",)

    def __init__(self, name: str = ""):
        self.name = name


fs_bio_set = BioSet("fs_bio_set")


@dup(P)
def bio_max_segs(nr_segs: int) -> int:
    """``unsigned int bio_max_segs(unsigned int nr_segs)``"""
    return min(nr_segs, BIO_MAX_VECS)


@dup(P)
def bio_sectors(bio: Bio) -> int:
    """``bio_sectors(bio)``"""
    return bio.bi_iter.bi_size >> 9


@dup(P)
def bio_end_sector(bio: Bio) -> int:
    """``bio_end_sector(bio)``"""
    return bio.bi_iter.bi_sector + (bio.bi_iter.bi_size >> 9)


@dup(P)
def bio_flagged(bio: Bio, bit: int) -> bool:
    """``bool bio_flagged(const struct bio *bio, unsigned int bit)``"""
    return bool(bio.bi_flags & 1 << bit)


@dup(P)
def bio_set_flag(bio: Bio, bit: int) -> None:
    """``void bio_set_flag(struct bio *bio, unsigned int bit)``"""
    bio.bi_flags |= 1 << bit


@dup(P)
def bio_clear_flag(bio: Bio, bit: int) -> None:
    """``void bio_clear_flag(struct bio *bio, unsigned int bit)``"""
    bio.bi_flags &= ~(1 << bit)


@dup(P)
def bio_data_dir(bio: Bio) -> int:
    """``bio_data_dir(bio)``: READ 0, WRITE 1."""
    return bio.bi_opf & 1


@dup(P)
def bio_has_data(bio: Bio | None) -> bool:
    """``bool bio_has_data(struct bio *bio)``"""
    return bio is not None and bool(bio.bi_iter.bi_size) and not bio_no_advance_iter(bio)


@dup(P)
def bio_alloc(bdev: BlockDevice | None, nr_vecs: int, opf: int, gfp_mask: int) -> Bio:
    """``struct bio *bio_alloc(struct block_device *bdev, unsigned short nr_vecs, blk_opf_t opf, gfp_t gfp_mask)``: None only
    without direct reclaim.
    """
    from kemu.linux.block.bio import bio_alloc_bioset  # noqa: PLC0415  (up into block/bio.c)

    return bio_alloc_bioset(bdev, nr_vecs, opf, gfp_mask, fs_bio_set)


@dup(P)
def bio_get(bio: Bio) -> None:
    """``void bio_get(struct bio *bio)``"""
    bio.bi_flags |= 1 << BIO_REFFED
    bio.bi_cnt += 1


@dup(P)
def bio_endio_status(bio: Bio, status: int) -> None:
    """``void bio_endio_status(struct bio *bio, blk_status_t status)``"""
    from kemu.linux.block.bio import bio_endio  # noqa: PLC0415  (up into block/bio.c)

    bio.bi_status = status
    bio_endio(bio)


@dup(P)
def bio_io_error(bio: Bio) -> None:
    """``void bio_io_error(struct bio *bio)``: ends it with BLK_STS_IOERR."""
    from kemu.linux.block.bio import bio_endio  # noqa: PLC0415  (up into block/bio.c)

    bio.bi_status = BLK_STS_IOERR
    bio_endio(bio)


@dup(P)
def bio_no_advance_iter(bio: Bio) -> bool:
    """``bool bio_no_advance_iter(const struct bio *bio)``"""
    return bio.bi_opf & REQ_OP_MASK in (REQ_OP_DISCARD, REQ_OP_SECURE_ERASE, REQ_OP_WRITE_ZEROES)


@dup(P)
def bio_advance_iter(bio: Bio, it: BvecIter, bytes_: int) -> None:
    """``void bio_advance_iter(const struct bio *bio, struct bvec_iter *iter, unsigned int bytes)``"""
    it.bi_sector += bytes_ >> 9
    if bio_no_advance_iter(bio):
        it.bi_size -= bytes_
    else:
        bvec_iter_advance(bio.bi_io_vec, it, bytes_)


@dup(P)
def bio_advance_iter_single(bio: Bio, it: BvecIter, bytes_: int) -> None:
    """``void bio_advance_iter_single(const struct bio *bio, struct bvec_iter *iter, unsigned int bytes)``"""
    it.bi_sector += bytes_ >> 9
    if bio_no_advance_iter(bio):
        it.bi_size -= bytes_
    else:
        bvec_iter_advance_single(bio.bi_io_vec, it, bytes_)


@dup(P)
def bio_advance(bio: Bio, nbytes: int) -> None:
    """``void bio_advance(struct bio *bio, unsigned int nbytes)``"""
    if nbytes == bio.bi_iter.bi_size:
        bio.bi_iter.bi_size = 0
        return
    bio_advance_iter(bio, bio.bi_iter, nbytes)


@dup(P)
def bio_iter_iovec(bio: Bio, it: BvecIter) -> BioVec:
    """``bio_iter_iovec(bio, iter)``: the current single-page piece."""
    return bvec_iter_bvec(bio.bi_io_vec, it)


@custom(P, "bio_for_each_segment", "a generator of single-page pieces; the current sector is the caller's to count, as in C")
def bio_for_each_segment(bio: Bio) -> Iterator[BioVec]:
    """``bio_for_each_segment(bvl, bio, iter)``: from ``bi_iter`` to its end, each piece within one page."""
    it = bio.bi_iter.copy()
    vecs = bio.bi_io_vec
    while it.bi_size:
        bv = bvec_iter_bvec(vecs, it)
        yield bv
        bio_advance_iter_single(bio, it, bv.bv_len)


@custom(P, "bio_for_each_bvec", "a generator of multi-page segments")
def bio_for_each_bvec(bio: Bio) -> Iterator[BioVec]:
    """``bio_for_each_bvec(bvl, bio, iter)``"""
    it = bio.bi_iter.copy()
    vecs = bio.bi_io_vec
    while it.bi_size:
        bv = mp_bvec_iter_bvec(vecs, it)
        yield bv
        bio_advance_iter_single(bio, it, bv.bv_len)


@custom(P, "bio_for_each_segment_all", "a generator of single-page pieces")
def bio_for_each_segment_all(bio: Bio) -> Iterator[BioVec]:
    """``bio_for_each_segment_all(bvl, bio, iter)``: of all that was added, whatever is done already. For the bio's owner only."""
    size = arch.PAGE_SIZE
    for bvec in bio.bi_io_vec[:bio.bi_vcnt]:
        off, left = bvec.bv_offset, bvec.bv_len
        while left:
            step = min(left, size - (off & (size - 1)))
            yield BioVec(nth_page(bvec.bv_page, off >> arch.PAGE_SHIFT), step, off & (size - 1))
            off += step
            left -= step


@dup(P)
class FolioIter:
    """``struct folio_iter``: ``length`` bytes from ``offset`` of ``folio`` on."""

    __slots__ = ("folio", "length", "offset")

    def __init__(self, folio: Page, offset: int, length: int):
        self.folio = folio
        self.offset = offset
        self.length = length


@custom(P, "bio_for_each_folio_all", "a generator; a new FolioIter for each folio")
def bio_for_each_folio_all(bio: Bio) -> Iterator[FolioIter]:
    """``bio_for_each_folio_all(fi, bio)``: each folio that was added, also where segments were merged over several."""
    size = arch.PAGE_SIZE
    shift = arch.PAGE_SHIFT
    for bvec in bio.bi_io_vec[:bio.bi_vcnt]:
        page = bvec.bv_page
        folio = page.head or page
        offset = bvec.bv_offset + (page.pfn - folio.pfn << shift)
        left = bvec.bv_len
        while True:
            fsize = size << folio.order
            length = min(fsize - offset, left)
            left -= length
            if not left:
                yield FolioIter(folio, offset, length)
                break
            nxt = page_folio(nth_page(folio, 1 << folio.order))     # folio_next(), before the caller may free this one
            yield FolioIter(folio, offset, length)
            folio = nxt
            offset = 0


names("custom", P, "fs_bio_set", how="as BioSet")
