# SPDX-License-Identifier: GPL-2.0-only
"""The page cache's flags, locks and arithmetic: what of include/linux/pagemap.h the bodies in mm/ and fs/ need."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.include.fs.types import AddressSpace, FileRaState, Inode
from kemu.linux.include.gfp import __GFP_NORETRY, __GFP_NOWARN, alloc_pages
from kemu.linux.include.mm import folio_get, folio_page, folio_put
from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.include.sched import TASK_KILLABLE, TASK_UNINTERRUPTIBLE
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.mmdebug import VM_BUG_ON_FOLIO
from kemu.linux.page_flags import folio_test_private
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.types import Ref
from kemu.machine.current import NULL, arch, this
from kemu.machine.pages import Page, PG_dirty, PG_locked, PG_private

P = "include/linux/pagemap.h"

(FGP_ACCESSED, FGP_LOCK, FGP_CREAT, FGP_WRITE, FGP_NOFS, FGP_NOWAIT, FGP_FOR_MMAP, FGP_STABLE,
 FGP_DONTCACHE) = (1 << i for i in range(9))
FGP_WRITEBEGIN = FGP_LOCK | FGP_WRITE | FGP_CREAT | FGP_STABLE


def mapping_shrinkable(mapping: AddressSpace) -> bool:
    """May memory pressure take the inode? With highmem its page cache goes first; else it is not on the LRU as long as it has
    pages.
    """
    return not mapping.nrpages or IS_ENABLED("CONFIG_HIGHMEM")


@dup(P)
def FGF_GET_ORDER(fgf: int) -> int:
    """``FGF_GET_ORDER(fgf)``"""
    return fgf >> 26


@dup(P)
def filemap_alloc_folio(gfp: int, order: int, policy: Any = None) -> Page:
    """``struct folio *filemap_alloc_folio(gfp_t gfp, unsigned int order, struct mempolicy *policy)``

    Return: an unlocked folio with one reference, its bytes uninitialised; None without memory (fail_page_alloc).
    """
    return alloc_pages(gfp, order)


@dup(P)
def read_mapping_folio(mapping: AddressSpace, index: int, file: Any = None) -> Page:
    """``struct folio *read_mapping_folio(struct address_space *mapping, pgoff_t index, struct file *file)``: read_cache_folio
    with the mapping's own filler.
    """
    from kemu.linux.mm.filemap import read_cache_folio  # noqa: PLC0415  (up into mm/filemap.c)

    return read_cache_folio(mapping, index, None, file)


@custom(P, "filemap_write_and_wait", "as filemap_write_and_wait_range")
def filemap_write_and_wait(mapping: AddressSpace) -> int:
    """``int filemap_write_and_wait(struct address_space *mapping)``: 0."""
    return 0


@dup(P)
def folio_trylock(folio: Page) -> bool:
    """``bool folio_trylock(struct folio *folio)``"""
    if folio.flags & PG_locked:
        return False
    folio.flags |= PG_locked
    w = this.watch
    if w is not None:
        w.lock("folio", folio)
    return True


@custom(P, "folio_lock", "a scheduler queue instead of a hashed wait queue with a lock")
def folio_lock(folio: Page) -> None:
    """``void folio_lock(struct folio *folio)``. Context: may sleep."""
    w = this.watch
    if w is not None:
        w.event("might_sleep", what="folio_lock")
    if folio.flags & PG_locked:
        from kemu.linux.mm.filemap import _wait_locked  # noqa: PLC0415  (up into mm/filemap.c)

        _wait_locked(folio, TASK_UNINTERRUPTIBLE, True, False)
        return
    folio.flags |= PG_locked
    if w is not None:
        w.lock("folio", folio)


@dup(P)
def trylock_page(page: Page) -> bool:
    """``bool trylock_page(struct page *page)``"""
    return folio_trylock(page.head or page)


@dup(P)
def folio_wait_locked_killable(folio: Page) -> int:
    """``int folio_wait_locked_killable(struct folio *folio)``: -EINTR if a fatal signal came first."""
    from kemu.linux.mm.filemap import _wait_locked  # noqa: PLC0415  (up into mm/filemap.c)

    if not folio.flags & PG_locked:
        return 0
    return _wait_locked(folio, TASK_KILLABLE, False, False)


(AS_EIO, AS_ENOSPC, AS_MM_ALL_LOCKS, AS_UNEVICTABLE, AS_EXITING, AS_NO_WRITEBACK_TAGS, AS_RELEASE_ALWAYS, AS_STABLE_WRITES,
 AS_INACCESSIBLE, AS_WRITEBACK_MAY_DEADLOCK_ON_RECLAIM, AS_KERNEL_FILE) = range(11)
XA_CHUNK_SHIFT = 6
MAX_XAS_ORDER = XA_CHUNK_SHIFT * 2 - 1


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


@dup(P)
class ReadaheadControl:
    """``struct readahead_control``: one read-ahead request; the constructor is DEFINE_READAHEAD."""

    __slots__ = ("_batch_count", "_index", "_nr_pages", "_pflags", "_workingset", "dropbehind", "file", "mapping", "ra")

    def __init__(self, file: Any, mapping: AddressSpace, ra: FileRaState | None, index: int):
        self.file = file
        self.mapping = mapping
        self.ra = ra
        self._index = index
        self._nr_pages = 0
        self._batch_count = 0
        self.dropbehind = False
        self._workingset = False
        self._pflags = Ref(0)


DEFINE_READAHEAD = ReadaheadControl


@dup(P)
def readahead_pos(rac: ReadaheadControl) -> int:
    """``loff_t readahead_pos(const struct readahead_control *rac)``: bytes."""
    return rac._index << arch.PAGE_SHIFT


@dup(P)
def readahead_length(rac: ReadaheadControl) -> int:
    """``size_t readahead_length(const struct readahead_control *rac)``: bytes."""
    return rac._nr_pages << arch.PAGE_SHIFT


@dup(P)
def readahead_index(rac: ReadaheadControl) -> int:
    """``pgoff_t readahead_index(const struct readahead_control *rac)``"""
    return rac._index


@dup(P)
def readahead_count(rac: ReadaheadControl) -> int:
    """``unsigned int readahead_count(const struct readahead_control *rac)``: pages."""
    return rac._nr_pages


@dup(P)
def readahead_batch_length(rac: ReadaheadControl) -> int:
    """``size_t readahead_batch_length(const struct readahead_control *rac)``: bytes."""
    return rac._batch_count << arch.PAGE_SHIFT


@dup(P)
def __readahead_folio(ractl: ReadaheadControl) -> Page:
    """``struct folio *__readahead_folio(struct readahead_control *ractl)``: the next one, with its reference."""
    batch = ractl._batch_count
    left = ractl._nr_pages - batch
    if left < 0:
        BUG_ON(batch > ractl._nr_pages)
    ractl._nr_pages = left
    ractl._index += batch
    if not left:
        ractl._batch_count = 0
        return NULL             # type: ignore[no-any-return]
    folio = ractl.mapping.i_pages[ractl._index]
    if not folio.flags & PG_locked:
        VM_BUG_ON_FOLIO(True, folio, "!folio_test_locked(folio)")
    ractl._batch_count = 1 << folio.order
    return folio


@dup(P)
def readahead_folio(ractl: ReadaheadControl) -> Page:
    """``struct folio *readahead_folio(struct readahead_control *ractl)``: the next folio, locked, its reference dropped (the
    cache keeps its own).
    """
    folio = __readahead_folio(ractl)
    if folio is not None:
        folio_put(folio)
    return folio


@dup(P)
def folio_cancel_dirty(folio: Page) -> None:
    """``void folio_cancel_dirty(struct folio *folio)``"""
    folio.flags &= ~PG_dirty


names("dup", P, "AS_EXITING", "AS_RELEASE_ALWAYS")
names("dup", P, "DEFINE_READAHEAD")
