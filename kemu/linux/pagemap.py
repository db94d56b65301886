# SPDX-License-Identifier: GPL-2.0-only
"""The page cache (include/linux/pagemap.h): everything that a file system or its caller uses of it.

The bodies are where Linux has them: mm/filemap.py, mm/readahead.py, mm/truncate.py; what the header has itself is here and in
include/pagemap.py.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import ENOENT
from kemu.linux.folio_batch import (  # noqa: F401
    FolioBatch,
    folio_batch_add,
    folio_batch_count,
    folio_batch_init,
    folio_batch_release,
)
from kemu.linux.include.fs.calls import (  # noqa: F401
    filemap_invalidate_lock,
    filemap_invalidate_lock_shared,
    filemap_invalidate_trylock_shared,
    filemap_invalidate_unlock,
    filemap_invalidate_unlock_shared,
    mapping_writably_mapped,
    ra_has_index,
)
from kemu.linux.include.fs.constants import AOP_TRUNCATED_PAGE  # noqa: F401
from kemu.linux.include.fs.types import AddressSpace, FileRaState
from kemu.linux.include.pagemap import (  # noqa: F401
    DEFINE_READAHEAD,
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
    MAX_PAGECACHE_ORDER,
    TASK_KILLABLE,
    TASK_UNINTERRUPTIBLE,
    ReadaheadControl,
    __readahead_folio,
    attach_page_private,
    detach_page_private,
    dir_pages,
    fgf_set_order,
    filemap_alloc_folio,
    filemap_get_order,
    filemap_write_and_wait,
    folio_attach_private,
    folio_cancel_dirty,
    folio_change_private,
    folio_contains,
    folio_detach_private,
    folio_file_page,
    folio_inode,
    folio_lock,
    folio_next_index,
    folio_next_pos,
    folio_page_idx,
    folio_pos,
    folio_trylock,
    folio_wait_locked_killable,
    i_blocks_per_folio,
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
    offset_in_folio,
    page_offset,
    page_pgoff,
    read_mapping_folio,
    readahead_batch_length,
    readahead_count,
    readahead_folio,
    readahead_gfp_mask,
    readahead_index,
    readahead_length,
    readahead_pos,
    trylock_page,
)
from kemu.linux.mm.filemap import (  # noqa: F401
    __filemap_add_folio,
    __filemap_get_folio,
    __filemap_remove_folio,
    _wait_locked,
    do_read_cache_folio,
    filemap_add_folio,
    filemap_get_entry,
    filemap_get_pages,
    filemap_range_has_page,
    filemap_read,
    filemap_release_folio,
    filemap_remove_folio,
    filemap_write_and_wait_range,
    folio_end_read,
    folio_put_wait_locked,
    folio_unlock,
    generic_file_read_iter,
    kiocb_write_and_wait,
    mapping_read_folio_gfp,
    page_cache_next_miss,
    page_cache_prev_miss,
    read_cache_folio,
)
from kemu.linux.mm.folio_compat import pagecache_get_page, unlock_page  # noqa: F401
from kemu.linux.mm.readahead import (  # noqa: F401
    SZ_128K,
    file_ra_state_init,
    force_page_cache_ra,
    page_cache_async_ra,
    page_cache_ra_order,
    page_cache_ra_unbounded,
    page_cache_sync_ra,
    readahead_expand,
)
from kemu.linux.mm.truncate import (  # noqa: F401
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
from kemu.linux.mm.util import folio_mapping  # noqa: F401
from kemu.linux.mmdebug import VM_BUG_ON_FOLIO  # noqa: F401
from kemu.linux.page_ref import folio_put_refs  # noqa: F401
from kemu.linux.port.honesty import custom, dup
from kemu.linux.swap import folio_mark_accessed  # noqa: F401
from kemu.machine.current import arch, this
from kemu.machine.pages import Page, PG_locked

P = "include/linux/pagemap.h"


@dup(P)
def filemap_get_folio(mapping: AddressSpace, index: int) -> Page:
    """``struct folio *filemap_get_folio(struct address_space *mapping, pgoff_t index)``: ERR_PTR(-ENOENT) if not cached."""
    folio = filemap_get_entry(mapping, index)
    return ERR_PTR(-ENOENT) if folio is None else folio


@dup(P)
def filemap_lock_folio(mapping: AddressSpace, index: int) -> Any:
    """``struct folio *filemap_lock_folio(struct address_space *mapping, pgoff_t index)``"""
    return __filemap_get_folio(mapping, index, FGP_LOCK, 0)


@dup(P)
def filemap_grab_folio(mapping: AddressSpace, index: int) -> Any:
    """``struct folio *filemap_grab_folio(struct address_space *mapping, pgoff_t index)``: locked, made if absent."""
    return __filemap_get_folio(mapping, index, FGP_LOCK | FGP_ACCESSED | FGP_CREAT, mapping.gfp_mask)


@dup(P)
def find_get_page(mapping: AddressSpace, offset: int) -> Page | None:
    """``struct page *find_get_page(struct address_space *mapping, pgoff_t offset)``"""
    return pagecache_get_page(mapping, offset, 0, 0)


@dup(P)
def find_lock_page(mapping: AddressSpace, index: int) -> Page | None:
    """``struct page *find_lock_page(struct address_space *mapping, pgoff_t index)``"""
    return pagecache_get_page(mapping, index, FGP_LOCK, 0)


@dup(P)
def find_or_create_page(mapping: AddressSpace, index: int, gfp_mask: int) -> Page | None:
    """``struct page *find_or_create_page(struct address_space *mapping, pgoff_t index, gfp_t gfp_mask)``"""
    return pagecache_get_page(mapping, index, FGP_LOCK | FGP_ACCESSED | FGP_CREAT, gfp_mask)


@dup(P)
def grab_cache_page_nowait(mapping: AddressSpace, index: int) -> Page | None:
    """``struct page *grab_cache_page_nowait(struct address_space *mapping, pgoff_t index)``"""
    return pagecache_get_page(mapping, index, FGP_LOCK | FGP_CREAT | FGP_NOFS | FGP_NOWAIT, mapping.gfp_mask)


@dup(P)
def read_mapping_page(mapping: AddressSpace, index: int, file: Any = None) -> Any:
    """``struct page *read_mapping_page(struct address_space *mapping, pgoff_t index, struct file *file)``"""
    folio = read_mapping_folio(mapping, index, file)
    if IS_ERR(folio):
        return folio
    return this.machine.alloc.tail(folio, index & ((1 << folio.order) - 1))


@dup(P)
def folio_lock_killable(folio: Page) -> int:
    """``int folio_lock_killable(struct folio *folio)``: -EINTR if a fatal signal came first."""
    if not folio_trylock(folio):
        return _wait_locked(folio, TASK_KILLABLE, True, False)
    return 0


@dup(P)
def lock_page(page: Page) -> None:
    """``void lock_page(struct page *page)``"""
    folio_lock(page.head or page)


@dup(P)
def folio_wait_locked(folio: Page) -> None:
    """``void folio_wait_locked(struct folio *folio)``. Context: may sleep."""
    if folio.flags & PG_locked:
        _wait_locked(folio, TASK_UNINTERRUPTIBLE, False, False)


@custom(P, "VM_READAHEAD_PAGES", "a function, because the page size is a parameter")
def VM_READAHEAD_PAGES() -> int:
    """``VM_READAHEAD_PAGES``: 128 KiB in pages."""
    return SZ_128K >> arch.PAGE_SHIFT


@dup(P)
def page_cache_sync_readahead(mapping: AddressSpace, ra: FileRaState, file: Any, index: int, req_count: int) -> None:
    """``void page_cache_sync_readahead(struct address_space *mapping, struct file_ra_state *ra, struct file *file, pgoff_t index,
    unsigned long req_count)``
    """
    page_cache_sync_ra(ReadaheadControl(file, mapping, ra, index), req_count)


@dup(P)
def page_cache_async_readahead(mapping: AddressSpace, ra: FileRaState, file: Any, folio: Page, req_count: int) -> None:
    """``void page_cache_async_readahead(mapping, ra, file, folio, req_count)``"""
    page_cache_async_ra(ReadaheadControl(file, mapping, ra, folio.index), folio, req_count)
