# SPDX-License-Identifier: GPL-2.0-only
"""The page cache (include/linux/pagemap.h): everything that a file system or its caller uses of it.

The code is where Linux has it: mapping (struct address_space), folio_wait (the lock), filemap and filemap_read (mm/filemap.c), readahead
(mm/readahead.c), truncate (mm/truncate.c).
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.linux.filemap import (
    AOP_TRUNCATED_PAGE,
    FGF_GET_ORDER,
    FGP_ACCESSED,
    FGP_CREAT,
    FGP_DONTCACHE,
    FGP_FOR_MMAP,
    FGP_LOCK,
    FGP_NOFS,
    FGP_NOWAIT,
    FGP_STABLE,
    FGP_WRITE,
    FGP_WRITEBEGIN,
    __filemap_add_folio,
    __filemap_get_folio,
    __filemap_remove_folio,
    do_read_cache_folio,
    filemap_add_folio,
    filemap_alloc_folio,
    filemap_get_entry,
    filemap_get_folio,
    filemap_grab_folio,
    filemap_lock_folio,
    filemap_range_has_page,
    filemap_release_folio,
    filemap_remove_folio,
    filemap_write_and_wait,
    filemap_write_and_wait_range,
    find_get_page,
    find_lock_page,
    find_or_create_page,
    folio_mark_accessed,
    folio_put_refs,
    grab_cache_page_nowait,
    mapping_read_folio_gfp,
    page_cache_next_miss,
    page_cache_prev_miss,
    pagecache_get_page,
    read_cache_folio,
    read_mapping_folio,
    read_mapping_page,
)
from kemu.linux.filemap_read import filemap_get_pages, filemap_read, generic_file_read_iter, kiocb_write_and_wait
from kemu.linux.folio_batch import FolioBatch, folio_batch_add, folio_batch_count, folio_batch_init, folio_batch_release
from kemu.linux.folio_wait import (
    VM_BUG_ON_FOLIO,
    folio_end_read,
    folio_lock,
    folio_lock_killable,
    folio_put_wait_locked,
    folio_trylock,
    folio_unlock,
    folio_wait_locked,
    folio_wait_locked_killable,
    lock_page,
    trylock_page,
    unlock_page,
)
from kemu.linux.honesty import dup
from kemu.linux.mapping import (
    MAX_PAGECACHE_ORDER,
    AddressSpace,
    FileRaState,
    filemap_invalidate_lock,
    filemap_invalidate_lock_shared,
    filemap_invalidate_trylock_shared,
    filemap_invalidate_unlock,
    filemap_invalidate_unlock_shared,
    mapping_align_index,
    mapping_empty,
    mapping_exiting,
    mapping_gfp_constraint,
    mapping_gfp_mask,
    mapping_inaccessible,
    mapping_large_folio_support,
    mapping_max_folio_order,
    mapping_max_folio_size,
    mapping_min_folio_nrbytes,
    mapping_min_folio_nrpages,
    mapping_min_folio_order,
    mapping_release_always,
    mapping_set_exiting,
    mapping_set_folio_min_order,
    mapping_set_folio_order_range,
    mapping_set_gfp_mask,
    mapping_set_large_folios,
    mapping_set_release_always,
    mapping_set_stable_writes,
    mapping_set_unevictable,
    mapping_unevictable,
    mapping_writably_mapped,
    ra_has_index,
    readahead_gfp_mask,
)
from kemu.linux.mm import folio_get, folio_page, folio_put
from kemu.linux.page_flags import folio_test_private
from kemu.linux.readahead import (
    DEFINE_READAHEAD,
    VM_READAHEAD_PAGES,
    ReadaheadControl,
    __readahead_folio,
    file_ra_state_init,
    force_page_cache_ra,
    page_cache_async_ra,
    page_cache_async_readahead,
    page_cache_ra_order,
    page_cache_ra_unbounded,
    page_cache_sync_ra,
    page_cache_sync_readahead,
    readahead_batch_length,
    readahead_count,
    readahead_expand,
    readahead_folio,
    readahead_index,
    readahead_length,
    readahead_pos,
)
from kemu.linux.truncate import (
    folio_cancel_dirty,
    folio_invalidate,
    invalidate_inode_pages2,
    invalidate_inode_pages2_range,
    invalidate_mapping_pages,
    truncate_inode_pages,
    truncate_inode_pages_final,
    truncate_inode_pages_range,
    truncate_pagecache,
    truncate_pagecache_range,
    truncate_setsize,
)
from kemu.machine.current import arch
from kemu.machine.pages import Page, PG_private

if TYPE_CHECKING:
    from kemu.linux.vfs.types import Inode

P = "include/linux/pagemap.h"


@dup(P)
def folio_pos(folio: Page) -> int:
    """``loff_t folio_pos(const struct folio *folio)``: byte position in the file; negative for an index that no file has."""
    pos = folio.index << arch.PAGE_SHIFT
    return pos if pos < 1 << 63 else pos - (1 << 64)


@dup(P)
def folio_next_index(folio: Page) -> int:
    """``pgoff_t folio_next_index(const struct folio *folio)``"""
    return folio.index + (1 << folio.order)


@dup(P)
def folio_next_pos(folio: Page) -> int:
    """``loff_t folio_next_pos(const struct folio *folio)``"""
    return folio.index + (1 << folio.order) << arch.PAGE_SHIFT


@dup(P)
def folio_file_page(folio: Page, index: int) -> Page:
    """``struct page *folio_file_page(struct folio *folio, pgoff_t index)``: the page of the folio that holds ``index``."""
    return folio if not folio.order else folio_page(folio, index & ((1 << folio.order) - 1))


@dup(P)
def folio_contains(folio: Page, index: int) -> bool:
    """``bool folio_contains(const struct folio *folio, pgoff_t index)``"""
    return 0 <= index - folio.index < 1 << folio.order


@dup(P)
def folio_inode(folio: Page) -> Inode:
    """``struct inode *folio_inode(struct folio *folio)``"""
    return folio.mapping.host             # type: ignore[no-any-return]


@dup("mm/util.c")
def folio_mapping(folio: Page) -> AddressSpace | None:
    """``struct address_space *folio_mapping(const struct folio *folio)``"""
    return folio.mapping                            # type: ignore[no-any-return]


@dup("include/linux/mm.h")
def folio_page_idx(folio: Page, page: Page) -> int:
    """``unsigned long folio_page_idx(const struct folio *folio, const struct page *page)``"""
    return page.pfn - folio.pfn


@dup(P)
def page_pgoff(folio: Page, page: Page) -> int:
    """``pgoff_t page_pgoff(const struct folio *folio, const struct page *page)``"""
    return folio.index + page.pfn - folio.pfn


@dup(P)
def page_offset(page: Page) -> int:
    """``loff_t page_offset(struct page *page)``: byte position in the file."""
    folio = page.head or page
    return folio.index + page.pfn - folio.pfn << arch.PAGE_SHIFT


@dup("include/linux/mm.h")
def offset_in_folio(folio: Page, p: int) -> int:
    """``offset_in_folio(folio, p)``"""
    return p & ((arch.PAGE_SIZE << folio.order) - 1)


@dup(P)
def i_blocks_per_folio(inode: Any, folio: Page) -> int:
    """``unsigned int i_blocks_per_folio(const struct inode *inode, const struct folio *folio)``"""
    return int(arch.PAGE_SIZE << folio.order >> inode.i_blkbits)


@dup(P)
def folio_attach_private(folio: Page, data: Any) -> None:
    """``void folio_attach_private(struct folio *folio, void *data)``: takes a reference."""
    folio_get(folio)
    folio.private = data
    folio.flags |= PG_private


@dup(P)
def folio_change_private(folio: Page, data: Any) -> Any:
    """``void *folio_change_private(struct folio *folio, void *data)``: what was there."""
    old = folio.private
    folio.private = data
    return old or None


@dup(P)
def folio_detach_private(folio: Page) -> Any:
    """``void *folio_detach_private(struct folio *folio)``: what was attached, or None; drops the reference."""
    if not folio_test_private(folio):
        return None
    data = folio.private
    folio.flags &= ~PG_private
    folio.private = 0
    folio_put(folio)
    return data or None


@dup(P)
def attach_page_private(page: Page, data: Any) -> None:
    """``void attach_page_private(struct page *page, void *data)``"""
    folio_attach_private(page.head or page, data)


@dup(P)
def detach_page_private(page: Page) -> Any:
    """``void *detach_page_private(struct page *page)``"""
    return folio_detach_private(page.head or page)


@dup(P)
def filemap_get_order(size: int) -> int:
    """``unsigned int filemap_get_order(size_t size)``"""
    return max(size.bit_length() - 1 - arch.PAGE_SHIFT, 0)


@dup(P)
def fgf_set_order(size: int) -> int:
    """``fgf_t fgf_set_order(size_t size)``: a hint for __filemap_get_folio()."""
    return filemap_get_order(size) << 26


@dup(P)
def dir_pages(inode: Any) -> int:
    """``unsigned long dir_pages(const struct inode *inode)``"""
    return int(inode.i_size + arch.PAGE_SIZE - 1 >> arch.PAGE_SHIFT)


__all__ = [
    "AOP_TRUNCATED_PAGE", "AddressSpace", "DEFINE_READAHEAD", "FGF_GET_ORDER", "FGP_ACCESSED", "FGP_CREAT", "FGP_DONTCACHE", "FGP_FOR_MMAP", "FGP_LOCK",
    "FGP_NOFS", "FGP_NOWAIT", "FGP_STABLE", "FGP_WRITE", "FGP_WRITEBEGIN", "FileRaState", "FolioBatch", "MAX_PAGECACHE_ORDER", "ReadaheadControl",
    "VM_BUG_ON_FOLIO", "VM_READAHEAD_PAGES", "__filemap_add_folio", "__filemap_get_folio", "__filemap_remove_folio", "__readahead_folio",
    "attach_page_private", "detach_page_private", "dir_pages", "do_read_cache_folio", "fgf_set_order", "file_ra_state_init", "filemap_add_folio",
    "filemap_alloc_folio", "filemap_get_entry", "filemap_get_folio", "filemap_get_order", "filemap_get_pages", "filemap_grab_folio",
    "filemap_invalidate_lock", "filemap_invalidate_lock_shared", "filemap_invalidate_trylock_shared", "filemap_invalidate_unlock",
    "filemap_invalidate_unlock_shared", "filemap_lock_folio", "filemap_range_has_page", "filemap_read", "filemap_release_folio",
    "filemap_remove_folio", "filemap_write_and_wait", "filemap_write_and_wait_range", "find_get_page", "find_lock_page", "find_or_create_page",
    "folio_attach_private", "folio_batch_add", "folio_batch_count", "folio_batch_init", "folio_batch_release", "folio_cancel_dirty",
    "folio_change_private", "folio_contains", "folio_detach_private", "folio_end_read", "folio_file_page", "folio_inode", "folio_invalidate",
    "folio_lock", "folio_lock_killable", "folio_mapping", "folio_mark_accessed", "folio_next_index", "folio_next_pos", "folio_page_idx", "folio_pos",
    "folio_put_refs", "folio_put_wait_locked", "folio_trylock", "folio_unlock", "folio_wait_locked", "folio_wait_locked_killable",
    "force_page_cache_ra", "generic_file_read_iter", "grab_cache_page_nowait", "i_blocks_per_folio", "invalidate_inode_pages2",
    "invalidate_inode_pages2_range", "invalidate_mapping_pages", "kiocb_write_and_wait", "lock_page", "mapping_align_index", "mapping_empty",
    "mapping_exiting", "mapping_gfp_constraint", "mapping_gfp_mask", "mapping_inaccessible", "mapping_large_folio_support",
    "mapping_max_folio_order", "mapping_max_folio_size", "mapping_min_folio_nrbytes", "mapping_min_folio_nrpages", "mapping_min_folio_order",
    "mapping_read_folio_gfp", "mapping_release_always", "mapping_set_exiting", "mapping_set_folio_min_order", "mapping_set_folio_order_range",
    "mapping_set_gfp_mask", "mapping_set_large_folios", "mapping_set_release_always", "mapping_set_stable_writes", "mapping_set_unevictable",
    "mapping_unevictable", "mapping_writably_mapped", "offset_in_folio", "page_cache_async_ra", "page_cache_async_readahead", "page_cache_next_miss",
    "page_cache_prev_miss", "page_cache_ra_order", "page_cache_ra_unbounded", "page_cache_sync_ra", "page_cache_sync_readahead", "page_offset",
    "page_pgoff", "pagecache_get_page", "ra_has_index", "read_cache_folio", "read_mapping_folio", "read_mapping_page", "readahead_batch_length", "readahead_count",
    "readahead_expand", "readahead_folio", "readahead_gfp_mask", "readahead_index", "readahead_length", "readahead_pos", "truncate_inode_pages",
    "truncate_inode_pages_final", "truncate_inode_pages_range", "truncate_pagecache", "truncate_pagecache_range", "truncate_setsize",
    "trylock_page", "unlock_page",
]
