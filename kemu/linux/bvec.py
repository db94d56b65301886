# SPDX-License-Identifier: GPL-2.0-only
"""Runs of physical memory: struct bio_vec and its iterator (include/linux/bvec.h)."""
from __future__ import annotations

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.highmem import kmap_local_page, memcpy_from_page, memcpy_to_page
from kemu.linux.include.mm import folio_page, offset_in_page, page_address, page_folio, virt_to_page
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import NULL, arch, this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page

P = "include/linux/bvec.h"


@dup(P)
class BioVec:
    """``struct bio_vec``: ``bv_len`` bytes from ``bv_offset`` of ``bv_page`` on; may run over the pages behind it."""

    __slots__ = ("bv_len", "bv_offset", "bv_page")

    def __init__(self, bv_page: Page = NULL, bv_len: int = 0, bv_offset: int = 0):
        self.bv_page = bv_page
        self.bv_len = bv_len
        self.bv_offset = bv_offset

    def copy(self) -> BioVec:
        """A copy by value."""
        return BioVec(self.bv_page, self.bv_len, self.bv_offset)

    def __repr__(self) -> str:
        return f"<bio_vec {self.bv_page!r} len:{self.bv_len} offset:{self.bv_offset}>"


@dup(P)
class BvecIter:
    """``struct bvec_iter``: ``bi_sector`` in units of 512, ``bi_size`` bytes left, ``bi_bvec_done`` of them in entry ``bi_idx``.
    """

    __slots__ = ("bi_bvec_done", "bi_idx", "bi_sector", "bi_size")

    def __init__(self, bi_sector: int = 0, bi_size: int = 0, bi_idx: int = 0, bi_bvec_done: int = 0):
        self.bi_sector = bi_sector
        self.bi_size = bi_size
        self.bi_idx = bi_idx
        self.bi_bvec_done = bi_bvec_done

    def copy(self) -> BvecIter:
        """A copy by value."""
        return BvecIter(self.bi_sector, self.bi_size, self.bi_idx, self.bi_bvec_done)


@custom("include/linux/mm.h", "page + n", "the page n frames behind, in the same folio or in the next one")
def nth_page(page: Page, n: int) -> Page:
    """``page + n``: physically contiguous pages need not belong to one folio."""
    if n == 0:
        return page
    found = this.machine.alloc.lookup(page.pfn + n)
    if found is None:
        return virt_to_page(page_address(page) + (n << arch.PAGE_SHIFT))
    return found


@dup(P)
def bvec_set_page(bv: BioVec, page: Page, len_: int, offset: int) -> None:
    """``void bvec_set_page(struct bio_vec *bv, struct page *page, unsigned int len, unsigned int offset)``"""
    bv.bv_page = page
    bv.bv_len = len_
    bv.bv_offset = offset


@dup(P)
def bvec_set_folio(bv: BioVec, folio: Page, len_: int, offset: int) -> None:
    """``void bvec_set_folio(struct bio_vec *bv, struct folio *folio, size_t len, size_t offset)``"""
    bvec_set_page(bv, folio_page(folio, offset >> arch.PAGE_SHIFT), len_, offset & (arch.PAGE_SIZE - 1))


@dup(P)
def bvec_set_virt(bv: BioVec, vaddr: int, len_: int) -> None:
    """``void bvec_set_virt(struct bio_vec *bv, void *vaddr, unsigned int len)``"""
    bvec_set_page(bv, virt_to_page(vaddr), len_, offset_in_page(vaddr))


@dup(P)
def bvec_folio(bv: BioVec) -> Page:
    """``struct folio *bvec_folio(const struct bio_vec *bv)``: the first one."""
    return page_folio(bv.bv_page)


@dup(P)
def mp_bvec_iter_bvec(bvecs: list[BioVec], it: BvecIter) -> BioVec:
    """``struct bio_vec mp_bvec_iter_bvec(const struct bio_vec *bvecs, const struct bvec_iter iter)``: multi-page."""
    bv = bvecs[it.bi_idx]
    return BioVec(bv.bv_page, min(bv.bv_len - it.bi_bvec_done, it.bi_size), bv.bv_offset + it.bi_bvec_done)


@dup(P)
def bvec_iter_bvec(bvecs: list[BioVec], it: BvecIter) -> BioVec:
    """``struct bio_vec bvec_iter_bvec(const struct bio_vec *bvecs, const struct bvec_iter iter)``: within one page."""
    bv = bvecs[it.bi_idx]
    offset = bv.bv_offset + it.bi_bvec_done
    size = arch.PAGE_SIZE
    in_page = offset & (size - 1)
    return BioVec(nth_page(bv.bv_page, offset >> arch.PAGE_SHIFT), min(bv.bv_len - it.bi_bvec_done, it.bi_size, size - in_page),
                  in_page)


@dup(P)
def bvec_iter_advance(bvecs: list[BioVec], it: BvecIter, bytes_: int) -> bool:
    """``bool bvec_iter_advance(const struct bio_vec *bv, struct bvec_iter *iter, unsigned bytes)``: False beyond the end."""
    if WARN_ON_ONCE(bytes_ > it.bi_size):
        it.bi_size = 0
        return False
    idx = it.bi_idx
    it.bi_size -= bytes_
    bytes_ += it.bi_bvec_done
    while bytes_ and bytes_ >= bvecs[idx].bv_len:
        bytes_ -= bvecs[idx].bv_len
        idx += 1
    it.bi_idx = idx
    it.bi_bvec_done = bytes_
    return True


@dup(P)
def bvec_iter_advance_single(bvecs: list[BioVec], it: BvecIter, bytes_: int) -> None:
    """``void bvec_iter_advance_single(const struct bio_vec *bv, struct bvec_iter *iter, unsigned int bytes)``"""
    done = it.bi_bvec_done + bytes_
    if done == bvecs[it.bi_idx].bv_len:
        done = 0
        it.bi_idx += 1
    it.bi_bvec_done = done
    it.bi_size -= bytes_


@dup(P)
def bvec_kmap_local(bvec: BioVec) -> int:
    """``void *bvec_kmap_local(struct bio_vec *bvec)``: of single-page bvecs; undo with kunmap_local."""
    return kmap_local_page(bvec.bv_page) + bvec.bv_offset


@dup(P)
def memcpy_from_bvec(to: int, bvec: BioVec) -> None:
    """``void memcpy_from_bvec(char *to, struct bio_vec *bvec)``: of single-page bvecs."""
    memcpy_from_page(to, bvec.bv_page, bvec.bv_offset, bvec.bv_len)


@dup(P)
def memcpy_to_bvec(bvec: BioVec, from_: int) -> None:
    """``void memcpy_to_bvec(struct bio_vec *bvec, const char *from)``: of single-page bvecs."""
    memcpy_to_page(bvec.bv_page, bvec.bv_offset, from_, bvec.bv_len)


@dup(P)
def memzero_bvec(bvec: BioVec) -> None:
    """``void memzero_bvec(struct bio_vec *bvec)``: of single-page bvecs."""
    this.mem.fill(page_address(bvec.bv_page) + bvec.bv_offset, 0, bvec.bv_len)


@dup(P)
def bvec_virt(bvec: BioVec) -> int:
    """``void *bvec_virt(struct bio_vec *bvec)``"""
    return PAGE_OFFSET + (bvec.bv_page.pfn << arch.PAGE_SHIFT) + bvec.bv_offset


@dup(P)
def bvec_phys(bvec: BioVec) -> int:
    """``phys_addr_t bvec_phys(const struct bio_vec *bvec)``"""
    return (bvec.bv_page.pfn << arch.PAGE_SHIFT) + bvec.bv_offset
