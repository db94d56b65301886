# SPDX-License-Identifier: GPL-2.0-only
"""struct folio and struct page: sizes, addresses, references, contents (include/linux/mm.h, include/linux/highmem.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.include.mm_types import (
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_TRIED,
    VMA_MAYWRITE_BIT,
    VMA_SHARED_BIT,
    vm_area_desc,
    vm_area_struct,
    vm_fault,
)
from kemu.linux.mm.swap import put_page_last
from kemu.linux.port.honesty import custom, dup, names, stub
from kemu.machine.current import arch, this
from kemu.machine.memory import PAGE_OFFSET, VMALLOC_END, VMALLOC_START
from kemu.machine.pages import FROZEN, LARGE_KMALLOC, SLAB, Page, PageAllocator
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/mm.h"


@dup("include/asm-generic/getorder.h")
def get_order(size: int) -> int:
    """``int get_order(unsigned long size)``"""
    return max((size - 1).bit_length() - arch.PAGE_SHIFT, 0)


Folio = Page


@dup("include/linux/page-flags.h")
def page_folio(page: Page) -> Page:
    """``struct folio *page_folio(struct page *page)``"""
    return page.head or page


@dup("include/linux/page-flags.h")
def folio_page(folio: Page, n: int) -> Page:
    """``struct page *folio_page(struct folio *folio, size_t n)``"""
    return folio if n == 0 else PageAllocator.tail(folio, n)


@custom("include/linux/page-flags.h", "folio_page", "a run of them at once")
def folio_pages(folio: Page, n: int, nr: int) -> list[Page]:
    """``folio_page(folio, n)`` and the ``nr - 1`` behind it."""
    if not folio.order:
        return [folio]
    tails = folio.tails
    if tails is None:
        tails = folio.tails = [None] * (1 << folio.order)
    if not n:
        tails[0] = folio
    out = tails[n:n + nr]
    if None in out:
        out = tails[n:n + nr] = [page or PageAllocator.tail(folio, i) for i, page in enumerate(out, n)]
    if not n:
        tails[0] = None
    return out                                      # type: ignore[return-value]


@dup(P)
def folio_order(folio: Page) -> int:
    """``unsigned int folio_order(const struct folio *folio)``"""
    return folio.order


@dup(P)
def folio_nr_pages(folio: Page) -> int:
    """``unsigned long folio_nr_pages(const struct folio *folio)``"""
    return 1 << folio.order


@dup(P)
def folio_size(folio: Page) -> int:
    """``size_t folio_size(const struct folio *folio)``: bytes."""
    return arch.PAGE_SIZE << folio.order


@dup(P)
def folio_shift(folio: Page) -> int:
    """``unsigned int folio_shift(const struct folio *folio)``"""
    return arch.PAGE_SHIFT + folio.order


@dup(P)
def page_address(page: Page) -> int:
    """``void *page_address(const struct page *page)``: in the direct map."""
    return PAGE_OFFSET + (page.pfn << arch.PAGE_SHIFT)


@dup(P)
def folio_address(folio: Page) -> int:
    """``void *folio_address(const struct folio *folio)``"""
    return PAGE_OFFSET + (folio.pfn << arch.PAGE_SHIFT)


@dup("include/asm-generic/memory_model.h")
def page_to_pfn(page: Page) -> int:
    """``unsigned long page_to_pfn(struct page *page)``"""
    return page.pfn


@dup(P)
def is_vmalloc_addr(x: int) -> bool:
    """``bool is_vmalloc_addr(const void *x)``"""
    return VMALLOC_START <= x < VMALLOC_END


def _page_of(pfn: int, addr: int, what: str) -> Page:
    alloc = this.machine.alloc
    page = alloc.lookup(pfn) if pfn >= 0 else None
    if page is not None:
        return page
    if 0 <= pfn < this.mem.nr_pages:
        page = Page(pfn, 0, "reserved")
        alloc.pages[pfn] = page
        return page
    func = caller_function()[0]
    raise KernelBug(f"BUG: unable to handle page fault in {func}: {what}({addr:016x})", function=func, addr=addr)


@dup(P)
def virt_to_page(addr: int) -> Page:
    """``struct page *virt_to_page(const void *kaddr)``: direct-map addresses only; anything else is a report."""
    pfn = (addr - PAGE_OFFSET) >> arch.PAGE_SHIFT
    return _page_of(pfn if 0 <= pfn < this.mem.nr_pages else -1, addr, "virt_to_page")


@dup(P)
def virt_to_folio(addr: int) -> Page:
    """``struct folio *virt_to_folio(const void *x)``"""
    return page_folio(virt_to_page(addr))


@dup(P)
def folio_get(folio: Page) -> None:
    """``void folio_get(struct folio *folio)``: a reference on a frozen (slab) or free folio is a report."""
    if folio.refcount <= 0 or folio.kind in FROZEN:
        func = caller_function()[0]
        raise KernelBug(f"BUG: Bad page state: reference taken on {folio.kind} folio with refcount {folio.refcount} in {func}",
                        [repr(folio)], function=func)
    folio.refcount += 1
    if this.watch is not None:
        this.watch.ref("folio", folio, 1)


@dup("include/linux/page_ref.h")
def folio_try_get(folio: Page) -> bool:
    """``bool folio_try_get(struct folio *folio)``"""
    if folio.refcount <= 0:
        return False
    folio_get(folio)
    return True


@dup(P)
def folio_put(folio: Page) -> None:
    """``void folio_put(struct folio *folio)``: frees at zero."""
    put_page_last(folio)


@dup(P)
def get_page(page: Page) -> None:
    """``void get_page(struct page *page)``"""
    folio = page.head or page
    if folio.kind in FROZEN and this.watch is not None:
        this.watch.event("frozen_reference", folio=folio)
    if WARN_ON_ONCE(folio.kind is SLAB):
        return
    if WARN_ON_ONCE(folio.kind is LARGE_KMALLOC):
        return
    folio_get(folio)


@dup(P)
def put_page(page: Page) -> None:
    """``void put_page(struct page *page)``"""
    folio_put(page.head or page)


@dup("include/linux/page_ref.h")
def page_ref_count(page: Page) -> int:
    """``int page_ref_count(const struct page *page)``"""
    return (page.head or page).refcount


folio_ref_count = page_ref_count


@dup("include/linux/mm_types.h")
def set_page_private(page: Page, private: Any) -> None:
    """``void set_page_private(struct page *page, unsigned long private)``"""
    page.private = private


@dup("include/linux/mm_types.h")
def page_private(page: Page) -> Any:
    """``page_private(page)``"""
    return page.private


@dup("include/linux/mm_types.h")
def folio_get_private(folio: Page) -> Any:
    """``void *folio_get_private(struct folio *folio)``: None for NULL."""
    return folio.private or None


@dup("include/linux/page-flags.h")
def PageHighMem(page: Page) -> bool:
    """``bool PageHighMem(const struct page *page)``: 64 bit has none."""
    return False


@custom("include/linux/cacheflush.h", "flush_dcache_folio", "told to the watch (an aliasing D-cache profile needs it)")
def flush_dcache_folio(folio: Page) -> None:
    """``void flush_dcache_folio(struct folio *folio)``"""
    if this.watch is not None:
        this.watch.event("flush_dcache", folio=folio)


@custom("include/linux/cacheflush.h", "flush_dcache_page", "as flush_dcache_folio")
def flush_dcache_page(page: Page) -> None:
    """``void flush_dcache_page(struct page *page)``"""
    flush_dcache_folio(page.head or page)


@dup(P)
def offset_in_page(p: int) -> int:
    """``offset_in_page(p)``"""
    return p & (arch.PAGE_SIZE - 1)


@dup(P)
def PAGE_ALIGN(addr: int) -> int:
    """``PAGE_ALIGN(addr)``"""
    return (addr + arch.PAGE_SIZE - 1) & arch.PAGE_MASK


def totalram_pages() -> int:
    """``totalram_pages()``: frames that are not reserved."""
    return this.machine.alloc.top_pfn


names("custom", "include/linux/mm_types.h", "Folio", how="struct page and struct folio are one class; a folio is its head page")
names("dup", "include/linux/page_ref.h", "folio_ref_count")
names("dup", P, "totalram_pages")


@custom(P, "is_shared_maywrite", "takes the flags themselves")
def is_shared_maywrite(flags: int) -> bool:
    """``bool is_shared_maywrite(const vma_flags_t *flags)``"""
    bits = 1 << VMA_SHARED_BIT | 1 << VMA_MAYWRITE_BIT
    return flags & bits == bits


@dup(P)
def vma_is_shared_maywrite(vma: vm_area_struct) -> bool:
    """``bool vma_is_shared_maywrite(const struct vm_area_struct *vma)``"""
    return is_shared_maywrite(vma.vm_flags)


@custom(P, "vma_desc_test_all", "a function instead of a macro")
def vma_desc_test_all(desc: vm_area_desc, *bits: int) -> bool:
    """``vma_desc_test_all(desc, ...)``"""
    return all(desc.vma_flags >> bit & 1 for bit in bits)


@custom(P, "vma_desc_set_flags", "a function instead of a macro")
def vma_desc_set_flags(desc: vm_area_desc, *bits: int) -> None:
    """``vma_desc_set_flags(desc, ...)``"""
    for bit in bits:
        desc.vma_flags |= 1 << bit


@dup(P)
def fault_flag_allow_retry_first(flags: int) -> bool:
    """``bool fault_flag_allow_retry_first(enum fault_flag flags)``"""
    return bool(flags & FAULT_FLAG_ALLOW_RETRY) and not flags & FAULT_FLAG_TRIED


@stub(P, how="no fault is under a lock")
def release_fault_lock(vmf: vm_fault) -> None:
    """``void release_fault_lock(struct vm_fault *vmf)``"""
