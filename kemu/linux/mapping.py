# SPDX-License-Identifier: GPL-2.0-only
"""struct address_space and its flags (include/linux/fs.h, include/linux/pagemap.h). Ports import it from kemu.linux.pagemap."""
from __future__ import annotations

from typing import Any

from kemu.linux.gfp import __GFP_NORETRY, __GFP_NOWARN, GFP_HIGHUSER_MOVABLE
from kemu.linux.honesty import custom, dup, names
from kemu.linux.rwsem import down_read, down_read_trylock, down_write, rw_semaphore, up_read, up_write
from kemu.linux.spinlock import spinlock_t
from kemu.machine.current import arch, this
from kemu.machine.pages import Page

P = "include/linux/pagemap.h"
(AS_EIO, AS_ENOSPC, AS_MM_ALL_LOCKS, AS_UNEVICTABLE, AS_EXITING, AS_NO_WRITEBACK_TAGS, AS_RELEASE_ALWAYS, AS_STABLE_WRITES, AS_INACCESSIBLE,
 AS_WRITEBACK_MAY_DEADLOCK_ON_RECLAIM, AS_KERNEL_FILE) = range(11)
XA_CHUNK_SHIFT = 6
MAX_XAS_ORDER = XA_CHUNK_SHIFT * 2 - 1


@custom("include/linux/fs.h", "address_space", "i_pages is a dict from index to folio, a large folio under each of its indices; the folio orders are fields")
class AddressSpace:
    """``struct address_space``: the page cache of ``host``."""

    __slots__ = ("a_ops", "flags", "gfp_mask", "host", "i_mmap_writable", "i_pages", "i_private_data", "i_private_list", "i_private_lock", "invalidate_lock", "max_order",
                 "min_order", "nrpages", "wb_err", "writeback_index", "xa_lock", "__weakref__")

    def __init__(self, host: Any = None, a_ops: Any = None):
        self.host = host
        self.a_ops = a_ops
        self.i_pages: dict[int, Page] = {}
        self.nrpages = 0
        self.flags = 0
        self.gfp_mask = GFP_HIGHUSER_MOVABLE
        self.min_order = 0
        self.max_order = 0
        self.invalidate_lock: rw_semaphore | None = None        # made when it is first taken
        self.i_mmap_writable = 0
        self.i_private_data: Any = None
        self.i_private_list: Any = None
        self.i_private_lock = spinlock_t("i_private_lock")
        self.xa_lock = spinlock_t("i_pages.xa_lock")     # i_pages.xa_lock
        self.wb_err = 0
        self.writeback_index = 0


@custom("include/linux/fs.h", "file_ra_state", "plain fields")
class FileRaState:
    """``struct file_ra_state``: the last read-ahead attempt of an open file, in pages."""

    __slots__ = ("async_size", "mmap_miss", "order", "prev_pos", "ra_pages", "size", "start")

    def __init__(self) -> None:
        self.start = 0
        self.size = 0
        self.async_size = 0
        self.ra_pages = 0
        self.order = 0
        self.mmap_miss = 0
        self.prev_pos = 0


@dup("include/linux/fs.h")
def ra_has_index(ra: FileRaState, index: int) -> bool:
    """``int ra_has_index(struct file_ra_state *ra, pgoff_t index)``"""
    return ra.start <= index < ra.start + ra.size


@dup(P)
def mapping_empty(mapping: AddressSpace) -> bool:
    """``bool mapping_empty(const struct address_space *mapping)``"""
    return not mapping.i_pages


@dup(P)
def mapping_set_exiting(mapping: AddressSpace) -> None:
    """``void mapping_set_exiting(struct address_space *mapping)``"""
    mapping.flags |= 1 << AS_EXITING


@dup(P)
def mapping_exiting(mapping: AddressSpace) -> bool:
    """``int mapping_exiting(const struct address_space *mapping)``"""
    return bool(mapping.flags & 1 << AS_EXITING)


@dup(P)
def mapping_release_always(mapping: AddressSpace) -> bool:
    """``bool mapping_release_always(const struct address_space *mapping)``"""
    return bool(mapping.flags & 1 << AS_RELEASE_ALWAYS)


@dup(P)
def mapping_set_release_always(mapping: AddressSpace) -> None:
    """``void mapping_set_release_always(struct address_space *mapping)``"""
    mapping.flags |= 1 << AS_RELEASE_ALWAYS


@dup(P)
def mapping_set_unevictable(mapping: AddressSpace) -> None:
    """``void mapping_set_unevictable(struct address_space *mapping)``"""
    mapping.flags |= 1 << AS_UNEVICTABLE


@dup(P)
def mapping_unevictable(mapping: AddressSpace | None) -> bool:
    """``bool mapping_unevictable(const struct address_space *mapping)``"""
    return mapping is not None and bool(mapping.flags & 1 << AS_UNEVICTABLE)


@dup(P)
def mapping_set_stable_writes(mapping: AddressSpace) -> None:
    """``void mapping_set_stable_writes(struct address_space *mapping)``"""
    mapping.flags |= 1 << AS_STABLE_WRITES


@dup(P)
def mapping_inaccessible(mapping: AddressSpace) -> bool:
    """``bool mapping_inaccessible(const struct address_space *mapping)``"""
    return bool(mapping.flags & 1 << AS_INACCESSIBLE)


@dup("include/linux/fs.h")
def mapping_writably_mapped(mapping: AddressSpace) -> bool:
    """``bool mapping_writably_mapped(const struct address_space *mapping)``"""
    return mapping.i_mmap_writable > 0


@dup(P)
def mapping_gfp_mask(mapping: AddressSpace) -> int:
    """``gfp_t mapping_gfp_mask(const struct address_space *mapping)``"""
    return mapping.gfp_mask


@dup(P)
def mapping_gfp_constraint(mapping: AddressSpace, gfp_mask: int) -> int:
    """``gfp_t mapping_gfp_constraint(const struct address_space *mapping, gfp_t gfp_mask)``"""
    return mapping.gfp_mask & gfp_mask


@dup(P)
def mapping_set_gfp_mask(m: AddressSpace, mask: int) -> None:
    """``void mapping_set_gfp_mask(struct address_space *m, gfp_t mask)``: only while the mapping is empty."""
    m.gfp_mask = mask


@dup(P)
def readahead_gfp_mask(x: AddressSpace) -> int:
    """``gfp_t readahead_gfp_mask(struct address_space *x)``"""
    return x.gfp_mask | __GFP_NORETRY | __GFP_NOWARN


@custom(P, "MAX_PAGECACHE_ORDER", "a function, because the page size is a parameter; PMD order of x86-64 and arm64")
def MAX_PAGECACHE_ORDER() -> int:
    """``MAX_PAGECACHE_ORDER``"""
    return min(MAX_XAS_ORDER, arch.PAGE_SHIFT - 3)


@custom(P, "mapping_set_folio_order_range", "no effect if the machine's CONFIG_TRANSPARENT_HUGEPAGE is named and off")
def mapping_set_folio_order_range(mapping: AddressSpace, min_: int, max_: int) -> None:
    """``void mapping_set_folio_order_range(struct address_space *mapping, unsigned int min, unsigned int max)``"""
    if not this.machine.config.get("CONFIG_TRANSPARENT_HUGEPAGE", True):
        return
    limit = MAX_PAGECACHE_ORDER()
    min_ = min(min_, limit)
    max_ = max(min(max_, limit), min_)
    mapping.min_order = min_
    mapping.max_order = max_


@dup(P)
def mapping_set_folio_min_order(mapping: AddressSpace, min_: int) -> None:
    """``void mapping_set_folio_min_order(struct address_space *mapping, unsigned int min)``"""
    mapping_set_folio_order_range(mapping, min_, MAX_PAGECACHE_ORDER())


@dup(P)
def mapping_set_large_folios(mapping: AddressSpace) -> None:
    """``void mapping_set_large_folios(struct address_space *mapping)``: the file system can take folios of any order."""
    mapping_set_folio_order_range(mapping, 0, MAX_PAGECACHE_ORDER())


@dup(P)
def mapping_max_folio_order(mapping: AddressSpace) -> int:
    """``unsigned int mapping_max_folio_order(const struct address_space *mapping)``"""
    return mapping.max_order


@dup(P)
def mapping_min_folio_order(mapping: AddressSpace) -> int:
    """``unsigned int mapping_min_folio_order(const struct address_space *mapping)``"""
    return mapping.min_order


@dup(P)
def mapping_min_folio_nrpages(mapping: AddressSpace) -> int:
    """``unsigned long mapping_min_folio_nrpages(const struct address_space *mapping)``"""
    return 1 << mapping.min_order


@dup(P)
def mapping_min_folio_nrbytes(mapping: AddressSpace) -> int:
    """``unsigned long mapping_min_folio_nrbytes(const struct address_space *mapping)``"""
    return arch.PAGE_SIZE << mapping.min_order


@dup(P)
def mapping_max_folio_size(mapping: AddressSpace) -> int:
    """``size_t mapping_max_folio_size(const struct address_space *mapping)``"""
    return arch.PAGE_SIZE << mapping.max_order


@dup(P)
def mapping_align_index(mapping: AddressSpace, index: int) -> int:
    """``pgoff_t mapping_align_index(const struct address_space *mapping, pgoff_t index)``"""
    return index & -(1 << mapping.min_order)


@dup(P)
def mapping_large_folio_support(mapping: AddressSpace) -> bool:
    """``bool mapping_large_folio_support(const struct address_space *mapping)``"""
    return mapping.max_order > 0


def _invalidate_lock(mapping: AddressSpace) -> rw_semaphore:
    sem = mapping.invalidate_lock
    if sem is None:
        sem = mapping.invalidate_lock = rw_semaphore()
    return sem


@dup("include/linux/fs.h")
def filemap_invalidate_lock(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_lock(struct address_space *mapping)``: keeps the cache from being filled."""
    down_write(_invalidate_lock(mapping))


@dup("include/linux/fs.h")
def filemap_invalidate_unlock(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_unlock(struct address_space *mapping)``"""
    up_write(_invalidate_lock(mapping))


@dup("include/linux/fs.h")
def filemap_invalidate_lock_shared(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_lock_shared(struct address_space *mapping)``: keeps the cache from being truncated."""
    down_read(_invalidate_lock(mapping))


@dup("include/linux/fs.h")
def filemap_invalidate_trylock_shared(mapping: AddressSpace) -> bool:
    """``int filemap_invalidate_trylock_shared(struct address_space *mapping)``"""
    return bool(down_read_trylock(_invalidate_lock(mapping)))


@dup("include/linux/fs.h")
def filemap_invalidate_unlock_shared(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_unlock_shared(struct address_space *mapping)``"""
    up_read(_invalidate_lock(mapping))


names("dup", P, "AS_EXITING", "AS_RELEASE_ALWAYS")

__all__ = ["AddressSpace", "FileRaState", "MAX_PAGECACHE_ORDER", "filemap_invalidate_lock", "filemap_invalidate_lock_shared",
           "filemap_invalidate_trylock_shared", "filemap_invalidate_unlock", "filemap_invalidate_unlock_shared", "mapping_align_index", "mapping_empty",
           "mapping_exiting", "mapping_gfp_constraint", "mapping_gfp_mask", "mapping_inaccessible", "mapping_large_folio_support",
           "mapping_max_folio_order", "mapping_max_folio_size", "mapping_min_folio_nrbytes", "mapping_min_folio_nrpages", "mapping_min_folio_order",
           "mapping_release_always", "mapping_set_exiting", "mapping_set_folio_min_order", "mapping_set_folio_order_range", "mapping_set_gfp_mask",
           "mapping_set_large_folios", "mapping_set_release_always", "mapping_set_stable_writes", "mapping_set_unevictable", "mapping_unevictable",
           "mapping_writably_mapped", "ra_has_index", "readahead_gfp_mask"]
