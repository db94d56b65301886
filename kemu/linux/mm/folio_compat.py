# SPDX-License-Identifier: GPL-2.0-only
"""Page cache calls by struct page (mm/folio-compat.c)."""
from __future__ import annotations

from kemu.linux.err import IS_ERR
from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.mm.filemap import __filemap_get_folio, folio_unlock
from kemu.linux.port.honesty import dup
from kemu.machine.current import this
from kemu.machine.pages import Page

C = "mm/folio-compat.c"


@dup(C)
def unlock_page(page: Page) -> None:
    """``void unlock_page(struct page *page)``"""
    folio_unlock(page.head or page)


@dup(C)
def pagecache_get_page(mapping: AddressSpace, index: int, fgp_flags: int, gfp: int) -> Page | None:
    """``struct page *pagecache_get_page(struct address_space *mapping, pgoff_t index, fgf_t fgp_flags, gfp_t gfp)``: None on any
    error.
    """
    folio = __filemap_get_folio(mapping, index, fgp_flags, gfp)
    if IS_ERR(folio):
        return None
    return this.machine.alloc.tail(folio, index & ((1 << folio.order) - 1))
