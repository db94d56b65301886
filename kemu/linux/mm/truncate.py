# SPDX-License-Identifier: GPL-2.0-only
"""Taking folios out of the page cache (mm/truncate.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EBUSY, EIO
from kemu.linux.highmem import folio_zero_range
from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.include.mm import folio_get, folio_put
from kemu.linux.include.pagemap import (
    FGP_LOCK,
    folio_cancel_dirty,
    folio_lock,
    folio_trylock,
    mapping_empty,
    mapping_inaccessible,
    mapping_set_exiting,
)
from kemu.linux.include.sched import cond_resched
from kemu.linux.mm.filemap import (
    __filemap_get_folio,
    __filemap_remove_folio,
    _folios_in,
    filemap_free_folio,
    filemap_release_folio,
    filemap_remove_folio,
    folio_unlock,
)
from kemu.linux.mm.internal import folio_needs_release
from kemu.linux.mm.vmscan import remove_mapping
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.machine.current import arch
from kemu.machine.pages import Page, PG_dirty, PG_private

C = "mm/truncate.c"


@dup(C)
def folio_invalidate(folio: Page, offset: int, length: int) -> None:
    """``void folio_invalidate(struct folio *folio, size_t offset, size_t length)``"""
    invalidate = folio.mapping.a_ops.invalidate_folio
    if invalidate is not None:
        invalidate(folio, offset, length)


def truncate_cleanup_folio(folio: Page) -> None:
    """``truncate_cleanup_folio()``"""
    if folio_needs_release(folio):
        folio_invalidate(folio, 0, arch.PAGE_SIZE << folio.order)
    folio_cancel_dirty(folio)


@dup(C)
def truncate_inode_folio(mapping: AddressSpace, folio: Page) -> int:
    """``int truncate_inode_folio(struct address_space *mapping, struct folio *folio)``: -EIO if it belongs elsewhere by now."""
    if folio.mapping is not mapping:
        return -EIO
    truncate_cleanup_folio(folio)
    filemap_remove_folio(folio)
    return 0


@custom(C, "truncate_inode_partial_folio", "large folios are not split: the zeroed part stays cached")
def truncate_inode_partial_folio(folio: Page, start: int, end: int) -> bool:
    """``bool truncate_inode_partial_folio(struct folio *folio, loff_t start, loff_t end)``: ``end`` inclusive."""
    pos = folio.index << arch.PAGE_SHIFT
    size = arch.PAGE_SIZE << folio.order
    offset = start - pos if pos < start else 0
    length = size - offset if pos + size <= end else end + 1 - pos - offset
    if length == size:
        truncate_inode_folio(folio.mapping, folio)
        return True
    if not mapping_inaccessible(folio.mapping):
        folio_zero_range(folio, offset, length)
    if folio_needs_release(folio):
        folio_invalidate(folio, offset, length)
    return True


@dup(C)
def truncate_inode_pages_range(mapping: AddressSpace, lstart: int, lend: int) -> None:
    """``void truncate_inode_pages_range(struct address_space *mapping, loff_t lstart, uoff_t lend)``: bytes, ``lend`` inclusive,
    -1 for all.

    Waits for locked folios. Context: may sleep.
    """
    if not mapping.i_pages:
        return
    shift = arch.PAGE_SHIFT
    start = lstart + arch.PAGE_SIZE - 1 >> shift
    end = arch.ULONG_MAX if lend == -1 else lend + 1 >> shift
    lend = (1 << 64) - 1 if lend == -1 else lend

    # first pass: does not wait for folio locks
    if start < end:
        for folio in _folios_in(mapping, start, end - 1):
            if folio.index < start or folio.index + (1 << folio.order) > end or not folio_trylock(folio):
                continue
            folio_get(folio)
            if folio.mapping is mapping:
                truncate_cleanup_folio(folio)
                filemap_remove_folio(folio)     # delete_from_page_cache_batch()
            folio_unlock(folio)
            folio_put(folio)
        cond_resched()

    same_folio = lstart >> shift == lend >> shift
    partial = __filemap_get_folio(mapping, lstart >> shift, FGP_LOCK, 0)
    if not IS_ERR(partial):
        same_folio = lend < partial.index + (1 << partial.order) << shift
        truncate_inode_partial_folio(partial, lstart, lend)
        folio_unlock(partial)
        folio_put(partial)
    if not same_folio:
        partial = __filemap_get_folio(mapping, lend >> shift, FGP_LOCK, 0)
        if not IS_ERR(partial):
            truncate_inode_partial_folio(partial, lstart, lend)
            folio_unlock(partial)
            folio_put(partial)

    # second pass: waits
    while start < end:
        left = [f for f in _folios_in(mapping, start, end - 1) if f.index >= start and f.index + (1 << f.order) <= end]
        if not left:
            break
        cond_resched()
        for folio in left:
            folio_get(folio)
            folio_lock(folio)
            truncate_inode_folio(mapping, folio)
            folio_unlock(folio)
            folio_put(folio)


@dup(C)
def truncate_inode_pages(mapping: AddressSpace, lstart: int) -> None:
    """``void truncate_inode_pages(struct address_space *mapping, loff_t lstart)``: from byte ``lstart`` to the end."""
    truncate_inode_pages_range(mapping, lstart, -1)


@dup(C)
def truncate_inode_pages_final(mapping: AddressSpace) -> None:
    """``void truncate_inode_pages_final(struct address_space *mapping)``: all of it, before the inode dies."""
    mapping_set_exiting(mapping)
    if not mapping_empty(mapping):
        # cycle the tree lock: whoever does not see AS_EXITING has ended
        spin_lock(mapping.xa_lock)
        spin_unlock(mapping.xa_lock)

    truncate_inode_pages(mapping, 0)


@dup(C)
def mapping_evict_folio(mapping: AddressSpace | None, folio: Page) -> int:
    """``long mapping_evict_folio(struct address_space *mapping, struct folio *folio)``: pages removed; only clean, unused, locked
    folios.
    """
    if mapping is None:
        return 0
    if folio.flags & PG_dirty:
        return 0
    nr = 1 << folio.order
    if folio.refcount > nr + bool(folio.flags & PG_private) + 1:
        return 0
    if not filemap_release_folio(folio, 0):
        return 0
    return nr if remove_mapping(mapping, folio) else 0


@dup(C)
def invalidate_mapping_pages(mapping: AddressSpace, start: int, end: int) -> int:
    """``unsigned long invalidate_mapping_pages(struct address_space *mapping, pgoff_t start, pgoff_t end)``: ``end`` inclusive,
    -1 for all.

    Drops what is clean, unlocked and unused. Return: pages dropped.
    """
    count = 0
    if end == -1:
        end = arch.ULONG_MAX
    for folio in _folios_in(mapping, start, end):
        if folio.index < start or folio.index + (1 << folio.order) - 1 > end or not folio_trylock(folio):
            continue
        folio_get(folio)
        if folio.mapping is mapping:
            count += mapping_evict_folio(mapping, folio)
        folio_unlock(folio)
        folio_put(folio)
    cond_resched()
    return count


@dup(C)
def folio_unmap_invalidate(mapping: AddressSpace, folio: Page, gfp: int) -> int:
    """``int folio_unmap_invalidate(struct address_space *mapping, struct folio *folio, gfp_t gfp)``: 1; -EBUSY."""
    from kemu.linux.include.pagemap import mapping_shrinkable  # noqa: PLC0415  (up into fs/inode.c)

    if folio.mapping is not mapping:
        return -EBUSY
    if not filemap_release_folio(folio, gfp):
        return -EBUSY
    spin_lock(mapping.host.i_lock)
    spin_lock(mapping.xa_lock)
    if folio.flags & PG_dirty:
        spin_unlock(mapping.xa_lock)
        spin_unlock(mapping.host.i_lock)
        return -EBUSY

    BUG_ON(folio.flags & PG_private)
    __filemap_remove_folio(folio)
    spin_unlock(mapping.xa_lock)
    if mapping_shrinkable(mapping):
        from kemu.linux.fs.inode import inode_lru_list_add  # noqa: PLC0415  (up into fs/inode.c)

        inode_lru_list_add(mapping.host)
    spin_unlock(mapping.host.i_lock)

    filemap_free_folio(mapping, folio)
    return 1


@dup(C)
def invalidate_inode_pages2_range(mapping: AddressSpace, start: int, end: int) -> int:
    """``int invalidate_inode_pages2_range(struct address_space *mapping, pgoff_t start, pgoff_t end)``: 0; -EBUSY if a folio
    could not go.
    """
    ret = 0
    if end == -1:
        end = arch.ULONG_MAX
    for folio in _folios_in(mapping, start, end):
        folio_get(folio)
        folio_lock(folio)
        if folio.mapping is mapping and folio_unmap_invalidate(mapping, folio, 0) < 0:
            ret = -EBUSY
        folio_unlock(folio)
        folio_put(folio)
    cond_resched()
    return ret


@dup(C)
def invalidate_inode_pages2(mapping: AddressSpace) -> int:
    """``int invalidate_inode_pages2(struct address_space *mapping)``"""
    return invalidate_inode_pages2_range(mapping, 0, -1)


@custom(C, "truncate_pagecache", "nothing is mapped by user space: there is no unmap_mapping_range()")
def truncate_pagecache(inode: Any, newsize: int) -> None:
    """``void truncate_pagecache(struct inode *inode, loff_t newsize)``"""
    truncate_inode_pages(inode.i_mapping, newsize)


@custom(C, "truncate_setsize", "the rest of the last page of a file that grows is not zeroed (blocks smaller than a page)")
def truncate_setsize(inode: Any, newsize: int) -> None:
    """``void truncate_setsize(struct inode *inode, loff_t newsize)``"""
    inode.i_size = newsize
    truncate_pagecache(inode, newsize)


@custom(C, "truncate_pagecache_range", "nothing is mapped by user space: there is no unmap_mapping_range()")
def truncate_pagecache_range(inode: Any, lstart: int, lend: int) -> None:
    """``void truncate_pagecache_range(struct inode *inode, loff_t lstart, loff_t lend)``: ``lend`` inclusive, -1 for the end."""
    truncate_inode_pages_range(inode.i_mapping, lstart, lend)
