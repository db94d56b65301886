# SPDX-License-Identifier: GPL-2.0-only
"""struct page, struct folio and their references (include/linux/mm.h)."""
from kemu.linux.include.mm import (  # noqa: F401
    PAGE_ALIGN,
    Folio,
    PageHighMem,
    flush_dcache_folio,
    flush_dcache_page,
    folio_address,
    folio_get,
    folio_get_private,
    folio_nr_pages,
    folio_order,
    folio_page,
    folio_pages,
    folio_put,
    folio_ref_count,
    folio_shift,
    folio_size,
    folio_try_get,
    get_page,
    is_vmalloc_addr,
    offset_in_page,
    page_address,
    page_folio,
    page_private,
    page_ref_count,
    page_to_pfn,
    put_page,
    set_page_private,
    virt_to_folio,
    virt_to_page,
    vma_desc_set_flags,
    vma_desc_test_all,
)
from kemu.linux.include.mm_types import vm_fault, vm_operations_struct  # noqa: F401
from kemu.linux.mm.util import vma_set_file  # noqa: F401
from kemu.linux.mm.vmalloc import vmalloc_to_page  # noqa: F401
from kemu.linux.port.honesty import names
from kemu.machine.pages import Page  # noqa: F401

names("custom", "include/linux/mm_types.h", "Page", how="struct page and struct folio are one class; a folio is its head page")
