# SPDX-License-Identifier: GPL-2.0-only
"""Mapping pages for the kernel (include/linux/highmem.h)."""
from __future__ import annotations

from kemu.linux.bug import BUG_ON, VM_BUG_ON
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import arch, this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page

P = "include/linux/highmem.h"


@custom(P, "kmap_local_page", "maps one page with nothing mapped beside it, on every architecture")
def kmap_local_page(page: Page) -> int:
    """``void *kmap_local_page(const struct page *page)``

    The window is PAGE_SIZE bytes; the bytes before and after it are not mapped, so code that relies on the direct map's neighbour
    page is reported, as it would fail with highmem. Windows nest: unmap in reverse order. Context: any. Return: address, never
    NULL.
    """
    return this.kmap.map(page.pfn)


@custom(P, "kmap_local_folio", "as kmap_local_page")
def kmap_local_folio(folio: Page, offset: int) -> int:
    """``void *kmap_local_folio(const struct folio *folio, size_t offset)``: the page that contains byte ``offset``, at that byte.
    """
    return this.kmap.map(folio.pfn + (offset >> arch.PAGE_SHIFT)) + (offset & (arch.PAGE_SIZE - 1))


@custom(P, "kunmap_local", "reports an unmap out of order")
def kunmap_local(addr: int) -> None:
    """``kunmap_local(addr)``: any address inside the window."""
    this.kmap.unmap(addr)


def _va(page: Page) -> int:
    return PAGE_OFFSET + (page.pfn << arch.PAGE_SHIFT)


@dup(P)
def memcpy_to_page(page: Page, offset: int, src: int, n: int) -> None:
    """``void memcpy_to_page(struct page *page, size_t offset, const char *from, size_t len)``: within one page."""
    to = this.kmap.map(page.pfn)
    this.mem.copy(to + offset, src, n)
    this.kmap.unmap(to)


@dup(P)
def memcpy_from_page(dst: int, page: Page, offset: int, n: int) -> None:
    """``void memcpy_from_page(char *to, struct page *page, size_t offset, size_t len)``"""
    frm = this.kmap.map(page.pfn)
    this.mem.copy(dst, frm + offset, n)
    this.kmap.unmap(frm)


@dup(P)
def memcpy_to_folio(folio: Page, offset: int, src: int, n: int) -> None:
    """``void memcpy_to_folio(struct folio *folio, size_t offset, const char *from, size_t len)``: crosses the folio's pages."""
    this.mem.copy(_va(folio) + offset, src, n)


@dup(P)
def memcpy_from_folio(dst: int, folio: Page, offset: int, n: int) -> None:
    """``void memcpy_from_folio(char *to, struct folio *folio, size_t offset, size_t len)``"""
    this.mem.copy(dst, _va(folio) + offset, n)


@dup(P)
def folio_zero_segment(folio: Page, start: int, xend: int) -> None:
    """``void folio_zero_segment(struct folio *folio, size_t start, size_t xend)``"""
    if xend > start:
        BUG_ON(xend > arch.PAGE_SIZE << folio.order)
        this.mem.fill(_va(folio) + start, 0, xend - start)


@dup(P)
def folio_zero_segments(folio: Page, start1: int, xend1: int, start2: int, xend2: int) -> None:
    """``void folio_zero_segments(folio, start1, xend1, start2, xend2)``"""
    folio_zero_segment(folio, start1, xend1)
    folio_zero_segment(folio, start2, xend2)


@dup(P)
def folio_zero_range(folio: Page, start: int, length: int) -> None:
    """``void folio_zero_range(struct folio *folio, size_t start, size_t length)``"""
    folio_zero_segment(folio, start, start + length)


@dup(P)
def zero_user_segment(page: Page, start: int, end: int) -> None:
    """``void zero_user_segment(struct page *page, unsigned start, unsigned end)``"""
    BUG_ON(end > arch.PAGE_SIZE << (page.head or page).order)
    if end > start:
        this.mem.fill(_va(page) + start, 0, end - start)


@dup(P)
def clear_highpage(page: Page) -> None:
    """``void clear_highpage(struct page *page)``"""
    this.mem.fill(_va(page), 0, arch.PAGE_SIZE)


@dup(P)
def copy_highpage(to: Page, frm: Page) -> None:
    """``void copy_highpage(struct page *to, struct page *from)``"""
    this.mem.copy(_va(to), _va(frm), arch.PAGE_SIZE)


@custom(P, "folio_fill_tail", "through the direct map")
def folio_fill_tail(folio: Page, offset: int, from_: int, len_: int) -> None:
    """``void folio_fill_tail(struct folio *folio, size_t offset, const char *from, size_t len)``: the rest of the folio is
    zeroed.
    """
    size = arch.PAGE_SIZE << folio.order
    VM_BUG_ON(offset + len_ > size)
    base = PAGE_OFFSET + (folio.pfn << arch.PAGE_SHIFT)
    this.mem.copy(base + offset, from_, len_)
    folio_zero_segment(folio, offset + len_, size)
