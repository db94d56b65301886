# SPDX-License-Identifier: GPL-2.0-only
"""The page cache: adding, finding, removing and reading folios (mm/filemap.c). Ports import it from kemu.linux.pagemap."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EAGAIN, EEXIST, EIO, ENOENT, ENOMEM
from kemu.linux.folio_wait import (
    TASK_UNINTERRUPTIBLE,
    VM_BUG_ON_FOLIO,
    folio_lock,
    folio_put_wait_locked,
    folio_trylock,
    folio_unlock,
    folio_wait_locked_killable,
)
from kemu.linux.gfp import __GFP_FS, __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL, GFP_NOWAIT, alloc_pages
from kemu.linux.honesty import custom, dup
from kemu.linux.mapping import AddressSpace
from kemu.linux.mm import folio_put
from kemu.linux.psi import psi_memstall_enter, psi_memstall_leave
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import Ref
from kemu.linux.vfs.inode import inode_lru_list_add, mapping_shrinkable
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.pages import KERNEL, PAGECACHE, Page, PG_locked, PG_private, PG_referenced, PG_uptodate, PG_workingset
from kemu.machine.roles import fills
from kemu.machine.splat import KernelBug, caller_function

C = "mm/filemap.c"
P = "include/linux/pagemap.h"
AOP_TRUNCATED_PAGE = 0x80001
FGP_ACCESSED, FGP_LOCK, FGP_CREAT, FGP_WRITE, FGP_NOFS, FGP_NOWAIT, FGP_FOR_MMAP, FGP_STABLE, FGP_DONTCACHE = (1 << i for i in range(9))
FGP_WRITEBEGIN = FGP_LOCK | FGP_WRITE | FGP_CREAT | FGP_STABLE
Filler = Callable[[Any, Page], int]


@dup(P)
def FGF_GET_ORDER(fgf: int) -> int:
    """``FGF_GET_ORDER(fgf)``"""
    return fgf >> 26


@custom("include/linux/swap.h", "folio_mark_accessed", "sets PG_referenced; there is no LRU")
def folio_mark_accessed(folio: Page) -> None:
    """``void folio_mark_accessed(struct folio *folio)``"""
    folio.flags |= PG_referenced


@custom("include/linux/page_ref.h", "folio_put_refs", "frees at zero")
def folio_put_refs(folio: Page, refs: int) -> None:
    """``void folio_put_refs(struct folio *folio, int refs)``"""
    n = folio.refcount
    if n <= refs:
        if n < refs:
            func = caller_function()[0]
            raise KernelBug(f"BUG: Bad page state: {refs} references dropped of {n} in {func}", [repr(folio)], function=func)
        w = this.watch
        if w is not None and refs > 1:
            w.ref("folio", folio, 1 - refs)
        folio.refcount = 1
        folio_put(folio)
        return
    folio.refcount = n - refs
    w = this.watch
    if w is not None:
        w.ref("folio", folio, -refs)


@dup("include/linux/pagemap.h")
def filemap_alloc_folio(gfp: int, order: int, policy: Any = None) -> Page:
    """``struct folio *filemap_alloc_folio(gfp_t gfp, unsigned int order, struct mempolicy *policy)``

    Return: an unlocked folio with one reference, its bytes uninitialised; None without memory (fail_page_alloc).
    """
    return alloc_pages(gfp, order)


@custom(C, "__filemap_add_folio", "may fail with -ENOMEM by fail_function, as the xarray's nodes may")
def __filemap_add_folio(mapping: AddressSpace, folio: Page, index: int, gfp: int, shadowp: Any = None) -> int:
    """``int __filemap_add_folio(struct address_space *mapping, struct folio *folio, pgoff_t index, gfp_t gfp, void **shadowp)``"""
    order = folio.order
    nr = 1 << order
    if not folio.flags & PG_locked or order < mapping.min_order or index & (nr - 1):
        VM_BUG_ON_FOLIO(not folio.flags & PG_locked, folio, "!folio_test_locked(folio)")
        VM_BUG_ON_FOLIO(order < mapping.min_order, folio, "folio_order(folio) < mapping_min_folio_order(mapping)")
        VM_BUG_ON_FOLIO(index & (nr - 1), folio, "index & (folio_nr_pages(folio) - 1)")
    pages = mapping.i_pages
    if nr == 1:
        if index in pages:
            return -EEXIST
    elif not pages.keys().isdisjoint(range(index, index + nr)):
        return -EEXIST
    if this.chooser is not None and should_fail("fail_function", "__filemap_add_folio"):
        return -ENOMEM
    folio.refcount += nr
    folio.mapping = mapping
    folio.index = index
    folio.kind = PAGECACHE
    if nr == 1:
        pages[index] = folio
    else:
        pages.update(dict.fromkeys(range(index, index + nr), folio))
    mapping.nrpages += nr
    this.counters.folios_cached += 1
    w = this.watch
    if w is not None:
        w.ref("folio", folio, nr)
        w.event("mm_filemap_add_to_page_cache", folio=folio)
    return 0


@dup(C)
def filemap_add_folio(mapping: AddressSpace, folio: Page, index: int, gfp: int) -> int:
    """``int filemap_add_folio(struct address_space *mapping, struct folio *folio, pgoff_t index, gfp_t gfp)``

    The folio comes out locked, with a reference of the cache for each of its pages. Return: 0; -EEXIST if an index is taken; -ENOMEM.
    """
    folio.flags |= PG_locked
    ret = __filemap_add_folio(mapping, folio, index, gfp)
    if ret:
        folio.flags &= ~PG_locked
    elif this.watch is not None:
        this.watch.lock("folio", folio)
    return ret


@dup(C)
def __filemap_remove_folio(folio: Page, shadow: Any = None) -> None:
    """``void __filemap_remove_folio(struct folio *folio, void *shadow)``: the cache's references stay."""
    VM_BUG_ON_FOLIO(not folio.flags & PG_locked, folio, "!folio_test_locked(folio)")
    mapping: AddressSpace = folio.mapping
    index, nr = folio.index, 1 << folio.order
    pages = mapping.i_pages
    for i in range(index, index + nr):
        del pages[i]
    folio.mapping = None
    folio.kind = KERNEL
    mapping.nrpages -= nr
    if this.watch is not None:
        this.watch.event("mm_filemap_delete_from_page_cache", folio=folio)


@dup(C)
def filemap_remove_folio(folio: Page) -> None:
    """``void filemap_remove_folio(struct folio *folio)``: the folio is locked and the caller holds a reference."""
    mapping: AddressSpace = folio.mapping
    BUG_ON(not folio.flags & PG_locked)
    spin_lock(mapping.host.i_lock)
    spin_lock(mapping.xa_lock)
    __filemap_remove_folio(folio)
    spin_unlock(mapping.xa_lock)
    if mapping_shrinkable(mapping):
        inode_lru_list_add(mapping.host)
    spin_unlock(mapping.host.i_lock)

    filemap_free_folio(mapping, folio)


@dup(C)
def filemap_free_folio(mapping: AddressSpace, folio: Page) -> None:
    """``static void filemap_free_folio(const struct address_space *mapping, struct folio *folio)``"""
    free_folio = mapping.a_ops.free_folio
    if free_folio is not None:
        free_folio(folio)
    folio_put_refs(folio, 1 << folio.order)


@dup("mm/internal.h")
def folio_needs_release(folio: Page) -> bool:
    """``bool folio_needs_release(struct folio *folio)``"""
    if folio.flags & PG_private:
        return True
    mapping = folio.mapping
    return mapping is not None and bool(mapping.flags & 1 << 6)


@dup(C)
def filemap_release_folio(folio: Page, gfp: int) -> bool:
    """``bool filemap_release_folio(struct folio *folio, gfp_t gfp)``: True if the file system let go of ``folio->private``."""
    mapping = folio.mapping
    BUG_ON(not folio.flags & PG_locked)
    if not folio_needs_release(folio):
        return True
    if mapping is not None and mapping.a_ops.release_folio is not None:
        return bool(mapping.a_ops.release_folio(folio, gfp))
    from kemu.linux.buffer_head import try_to_free_buffers

    return try_to_free_buffers(folio)


@dup(C)
def filemap_get_entry(mapping: AddressSpace, index: int) -> Page | None:
    """``void *filemap_get_entry(struct address_space *mapping, pgoff_t index)``: with a reference; there are no shadow entries."""
    rcu_read_lock()
    folio = mapping.i_pages.get(index)
    if folio is not None:
        folio.refcount += 1
        if this.watch is not None:
            this.watch.ref("folio", folio, 1)
    rcu_read_unlock()
    return folio


@dup(C, "__filemap_get_folio_mpol")
def __filemap_get_folio(mapping: AddressSpace, index: int, fgp_flags: int, gfp: int) -> Page:
    """``struct folio *__filemap_get_folio(struct address_space *mapping, pgoff_t index, fgf_t fgp_flags, gfp_t gfp)``

    Return: the folio with a reference (locked with FGP_LOCK); ERR_PTR: -ENOENT not cached, -EAGAIN (FGP_NOWAIT) locked or no memory, -ENOMEM.
    """
    while True:
        folio = filemap_get_entry(mapping, index)
        if folio is not None:
            if fgp_flags & FGP_LOCK:
                if fgp_flags & FGP_NOWAIT:
                    if not folio_trylock(folio):
                        folio_put(folio)
                        return ERR_PTR(-EAGAIN)
                else:
                    folio_lock(folio)
                # Has the page been truncated?
                if folio.mapping is not mapping:
                    folio_unlock(folio)
                    folio_put(folio)
                    continue
                VM_BUG_ON_FOLIO(not folio.index <= index < folio.index + (1 << folio.order), folio, "!folio_contains(folio, index)")
            if fgp_flags & FGP_ACCESSED:
                folio.flags |= PG_referenced
            return folio
        if not fgp_flags & FGP_CREAT:
            return ERR_PTR(-ENOENT)

        min_order = mapping.min_order
        order = max(min_order, FGF_GET_ORDER(fgp_flags))
        index &= -(1 << min_order)
        if fgp_flags & FGP_NOFS:
            gfp &= ~__GFP_FS
        if fgp_flags & FGP_NOWAIT:
            gfp &= ~GFP_KERNEL
            gfp |= GFP_NOWAIT
        if WARN_ON_ONCE(not fgp_flags & (FGP_LOCK | FGP_FOR_MMAP)):
            fgp_flags |= FGP_LOCK
        order = min(order, mapping.max_order)
        # If we're not aligned, allocate a smaller folio
        if index & ((1 << order) - 1):
            order = (index & -index).bit_length() - 1
        while True:
            alloc_gfp = gfp
            err = -ENOMEM
            if order > min_order:
                alloc_gfp |= __GFP_NORETRY | __GFP_NOWARN
            folio = filemap_alloc_folio(alloc_gfp, order)
            if folio is not None:
                if fgp_flags & FGP_ACCESSED:
                    folio.flags |= PG_referenced
                err = filemap_add_folio(mapping, folio, index, gfp)
                if not err:
                    break
                folio_put(folio)
                folio = None
            order -= 1
            if order < min_order:
                break
        if err == -EEXIST:
            continue
        if err:
            # -EAGAIN: the caller retries in a blocking fashion
            if fgp_flags & FGP_NOWAIT and err == -ENOMEM:
                err = -EAGAIN
            return ERR_PTR(err)
        assert folio is not None
        if fgp_flags & FGP_FOR_MMAP:
            folio_unlock(folio)
        return folio


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


@dup("mm/folio-compat.c")
def pagecache_get_page(mapping: AddressSpace, index: int, fgp_flags: int, gfp: int) -> Page | None:
    """``struct page *pagecache_get_page(struct address_space *mapping, pgoff_t index, fgf_t fgp_flags, gfp_t gfp)``: None on any error."""
    folio = __filemap_get_folio(mapping, index, fgp_flags, gfp)
    if IS_ERR(folio):
        return None
    return this.machine.alloc.tail(folio, index & ((1 << folio.order) - 1))


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


@fills
@dup(C)
def filemap_read_folio(file: Any, filler: Filler, folio: Page) -> int:
    """``static int filemap_read_folio(struct file *file, filler_t filler, struct folio *folio)``: reads a locked folio and waits.

    Return: 0; what the filler returned; -EIO if the folio did not become uptodate; -EINTR.
    """
    workingset = folio.flags & PG_workingset
    pflags = Ref(0)
    # Start the actual read. The read will unlock the page.
    if workingset:
        psi_memstall_enter(pflags)
    error = filler(file, folio)
    if workingset:
        psi_memstall_leave(pflags)
    if error:
        return error
    if folio.flags & PG_locked:
        error = folio_wait_locked_killable(folio)
        if error:
            return error
    if folio.flags & PG_uptodate:
        return 0
    if file is not None:
        file.f_ra.ra_pages //= 4                # shrink_readahead_size_eio()
    return -EIO


@dup(C)
def do_read_cache_folio(mapping: AddressSpace, index: int, filler: Filler | None, file: Any, gfp: int) -> Page:
    """``static struct folio *do_read_cache_folio(struct address_space *mapping, pgoff_t index, filler_t filler, struct file *file, gfp_t gfp)``"""
    if filler is None:
        filler = mapping.a_ops.read_folio
        if filler is None:
            func = caller_function()[0]
            raise KernelBug(f"BUG: kernel NULL pointer dereference in {func}: a_ops->read_folio of a mapping that has none", function=func)
    while True:
        folio = filemap_get_entry(mapping, index)
        if folio is None:
            folio = filemap_alloc_folio(gfp, mapping.min_order)
            if folio is None:
                return ERR_PTR(-ENOMEM)
            index &= -(1 << mapping.min_order)
            err = filemap_add_folio(mapping, folio, index, gfp)
            if err:
                folio_put(folio)
                if err == -EEXIST:
                    continue
                return ERR_PTR(err)
        else:
            if folio.flags & PG_uptodate:
                break
            if not folio_trylock(folio):
                folio_put_wait_locked(folio, TASK_UNINTERRUPTIBLE)
                continue
            # Folio was truncated from mapping
            if folio.mapping is None:
                folio_unlock(folio)
                folio_put(folio)
                continue
            # Someone else locked and filled the page in a very small window
            if folio.flags & PG_uptodate:
                folio_unlock(folio)
                break
        err = filemap_read_folio(file, filler, folio)
        if err:
            folio_put(folio)
            if err == AOP_TRUNCATED_PAGE:
                continue
            return ERR_PTR(err)
        break
    folio.flags |= PG_referenced
    return folio


@dup(C)
def read_cache_folio(mapping: AddressSpace, index: int, filler: Filler | None, file: Any) -> Page:
    """``struct folio *read_cache_folio(struct address_space *mapping, pgoff_t index, filler_t filler, struct file *file)``

    Return: an uptodate folio that contains ``index``, with a reference; ERR_PTR: -EIO (not uptodate after the read), -ENOMEM, -EINTR, or what
    ``filler`` (None: ``a_ops->read_folio``) returned. Context: may sleep.
    """
    return do_read_cache_folio(mapping, index, filler, file, mapping.gfp_mask)


@dup(P)
def read_mapping_folio(mapping: AddressSpace, index: int, file: Any = None) -> Page:
    """``struct folio *read_mapping_folio(struct address_space *mapping, pgoff_t index, struct file *file)``: read_cache_folio with the mapping's own filler."""
    return read_cache_folio(mapping, index, None, file)


@dup(C)
def mapping_read_folio_gfp(mapping: AddressSpace, index: int, gfp: int) -> Any:
    """``struct folio *mapping_read_folio_gfp(struct address_space *mapping, pgoff_t index, gfp_t gfp)``"""
    return do_read_cache_folio(mapping, index, None, None, gfp)


@dup(P)
def read_mapping_page(mapping: AddressSpace, index: int, file: Any = None) -> Any:
    """``struct page *read_mapping_page(struct address_space *mapping, pgoff_t index, struct file *file)``"""
    folio = read_mapping_folio(mapping, index, file)
    if IS_ERR(folio):
        return folio
    return this.machine.alloc.tail(folio, index & ((1 << folio.order) - 1))


@dup(C)
def page_cache_next_miss(mapping: AddressSpace, index: int, max_scan: int) -> int:
    """``pgoff_t page_cache_next_miss(struct address_space *mapping, pgoff_t index, unsigned long max_scan)``: first gap at or after ``index``."""
    pages = mapping.i_pages
    i = index
    while max_scan:
        if i not in pages:
            return i
        i += 1
        max_scan -= 1
    return i


@dup(C)
def page_cache_prev_miss(mapping: AddressSpace, index: int, max_scan: int) -> int:
    """``pgoff_t page_cache_prev_miss(struct address_space *mapping, pgoff_t index, unsigned long max_scan)``: ULONG_MAX when it wraps."""
    pages = mapping.i_pages
    i = index
    while max_scan:
        if i < 0:
            break
        if i not in pages:
            return i
        i -= 1
        max_scan -= 1
    from kemu.machine.current import arch

    return i & arch.ULONG_MAX


@dup(C)
def filemap_range_has_page(mapping: AddressSpace, start_byte: int, end_byte: int) -> bool:
    """``bool filemap_range_has_page(struct address_space *mapping, loff_t start_byte, loff_t end_byte)``: end inclusive."""
    if end_byte < start_byte:
        return False
    shift = this.mem.shift
    first, last = start_byte >> shift, end_byte >> shift
    rcu_read_lock()
    found = any(first <= i <= last for i in mapping.i_pages)
    rcu_read_unlock()
    return found


@custom(C, "filemap_write_and_wait_range", "nothing is ever dirty: reading only")
def filemap_write_and_wait_range(mapping: AddressSpace, lstart: int, lend: int) -> int:
    """``int filemap_write_and_wait_range(struct address_space *mapping, loff_t lstart, loff_t lend)``: 0."""
    return 0


@custom(P, "filemap_write_and_wait", "as filemap_write_and_wait_range")
def filemap_write_and_wait(mapping: AddressSpace) -> int:
    """``int filemap_write_and_wait(struct address_space *mapping)``: 0."""
    return 0
