# SPDX-License-Identifier: GPL-2.0-only
"""GFP flags, and pages by them (include/linux/gfp.h, include/linux/gfp_types.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail
from kemu.machine.pages import KERNEL, Page, page_va

P = "include/linux/gfp.h"

__GFP_DMA, __GFP_HIGHMEM, __GFP_MOVABLE, __GFP_RECLAIMABLE = 0x01, 0x02, 0x08, 0x10
__GFP_HIGH, __GFP_IO, __GFP_FS, __GFP_ZERO = 0x20, 0x40, 0x80, 0x100
__GFP_DIRECT_RECLAIM, __GFP_KSWAPD_RECLAIM = 0x400, 0x800
__GFP_WRITE, __GFP_NOWARN, __GFP_RETRY_MAYFAIL, __GFP_NOFAIL = 0x1000, 0x2000, 0x4000, 0x8000
__GFP_NORETRY, __GFP_MEMALLOC, __GFP_COMP, __GFP_NOMEMALLOC = 0x10000, 0x20000, 0x40000, 0x80000
__GFP_HARDWALL, __GFP_ACCOUNT = 0x100000, 0x400000
__GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM
GFP_ATOMIC = __GFP_HIGH | __GFP_KSWAPD_RECLAIM
GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS
GFP_KERNEL_ACCOUNT = GFP_KERNEL | __GFP_ACCOUNT
GFP_NOWAIT = __GFP_KSWAPD_RECLAIM | __GFP_NOWARN
GFP_NOIO = __GFP_RECLAIM
GFP_NOFS = __GFP_RECLAIM | __GFP_IO
NO_WAIT = "alloc_pages without reclaim"     # what fails first when memory is short
GFP_USER = GFP_KERNEL | __GFP_HARDWALL
GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM
GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE


@dup(P)
def gfpflags_allow_blocking(gfp: int) -> bool:
    """``bool gfpflags_allow_blocking(const gfp_t gfp_flags)``"""
    return bool(gfp & __GFP_DIRECT_RECLAIM)


@custom("include/linux/sched/mm.h", "might_alloc", "a scheduling point and the check for sleeping in atomic context")
def might_alloc(gfp: int) -> None:
    """``void might_alloc(gfp_t gfp_mask)``"""
    if gfp & __GFP_DIRECT_RECLAIM:
        if this.watch is not None:
            this.watch.event("might_sleep", what="alloc")
        if this.chooser is not None:
            this.sched.yield_("alloc")


@dup(P)
def alloc_pages(gfp: int, order: int, kind: str = KERNEL) -> Page:
    """``struct page *alloc_pages(gfp_t gfp, unsigned int order)``

    Bytes are uninitialised unless __GFP_ZERO. Context: may sleep with __GFP_DIRECT_RECLAIM. Return: None on failure
    (fail_page_alloc).
    """
    if this.chooser is not None or this.watch is not None:
        might_alloc(gfp)
        if not gfp & __GFP_NOFAIL and should_fail("fail_page_alloc", "alloc_pages" if gfp & __GFP_DIRECT_RECLAIM else NO_WAIT):
            return NULL             # type: ignore[no-any-return]
    return this.machine.alloc.alloc(order, bool(gfp & __GFP_ZERO), kind)


@dup(P)
def alloc_page(gfp: int) -> Page:
    """``struct page *alloc_page(gfp_t gfp)``"""
    return alloc_pages(gfp, 0)


@dup(P)
def get_zeroed_page(gfp: int) -> int:
    """``unsigned long get_zeroed_page(gfp_t gfp)``: an address, or 0."""
    page = alloc_pages(gfp | __GFP_ZERO, 0)
    if page is None:
        return 0
    return page_va(page)


@dup(P)
def alloc_pages_bulk(gfp: int, nr_pages: int, page_array: list[Page]) -> int:
    """``unsigned long alloc_pages_bulk(gfp_t gfp, int nr_pages, struct page **page_array)``: fills the empty slots.

    Return: number of pages in the array; stops at the first failure, having tried one page at least.
    """
    n = 0
    for i in range(nr_pages):
        if page_array[i] is None:
            page = alloc_pages(gfp, 0)
            if page is None:
                break
            page_array[i] = page
        n += 1
    return n
