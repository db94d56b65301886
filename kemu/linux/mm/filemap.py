# SPDX-License-Identifier: GPL-2.0-only
"""The page cache: adding, finding, removing, locking, reading and writing folios (mm/filemap.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EAGAIN, EEXIST, EFAULT, EFBIG, EINTR, EINVAL, EIO, EIOCBQUEUED, ENOENT, ENOEXEC, ENOMEM
from kemu.linux.folio_batch import FOLIO_BATCH_SIZE, FolioBatch, folio_batch_release
from kemu.linux.include.fs.calls import (
    file_accessed,
    filemap_invalidate_lock_shared,
    filemap_invalidate_trylock_shared,
    filemap_invalidate_unlock_shared,
    inode_lock,
    inode_unlock,
)
from kemu.linux.include.fs.constants import (
    AOP_TRUNCATED_PAGE,
    IOCB_APPEND,
    IOCB_DIRECT,
    IOCB_DONTCACHE,
    IOCB_NOIO,
    IOCB_NOWAIT,
    IOCB_WAITQ,
    S_DAX,
)
from kemu.linux.include.fs.types import AddressSpace, Kiocb
from kemu.linux.include.gfp import __GFP_FS, __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL, GFP_NOWAIT
from kemu.linux.include.mm import (
    flush_dcache_folio,
    folio_address,
    folio_get,
    folio_page,
    folio_put,
    folio_size,
    is_shared_maywrite,
    release_fault_lock,
    vma_is_shared_maywrite,
)
from kemu.linux.include.mm_types import (
    FAULT_FLAG_KILLABLE,
    FAULT_FLAG_RETRY_NOWAIT,
    FAULT_FLAG_TRIED,
    VM_EXEC,
    VM_FAULT_LOCKED,
    VM_FAULT_MAJOR,
    VM_FAULT_OOM,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_RAND_READ,
    VM_SEQ_READ,
    vm_area_desc,
    vm_area_struct,
    vm_fault,
    vm_operations_struct,
)
from kemu.linux.include.pagemap import (
    FGF_GET_ORDER,
    FGP_ACCESSED,
    FGP_CREAT,
    FGP_FOR_MMAP,
    FGP_LOCK,
    FGP_NOFS,
    FGP_NOWAIT,
    TASK_KILLABLE,
    TASK_UNINTERRUPTIBLE,
    ReadaheadControl,
    filemap_alloc_folio,
    folio_file_page,
    folio_lock,
    folio_trylock,
    folio_wait_locked_killable,
    mapping_max_folio_size,
)
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.include.sched import cond_resched, memalloc_noio_restore, memalloc_noio_save
from kemu.linux.include.splice import PipeBuffer, PipeInodeInfo, pipe_is_full
from kemu.linux.include.uio import IovIter, copy_folio_to_iter, iov_iter_truncate
from kemu.linux.lib.iov_iter import copy_from_iter, iov_iter_revert
from kemu.linux.math import DIV_ROUND_UP
from kemu.linux.mm.internal import folio_needs_release, maybe_unlock_mmap_for_io
from kemu.linux.mmdebug import VM_BUG_ON_FOLIO
from kemu.linux.page_ref import folio_put_refs
from kemu.linux.port.honesty import custom, dup
from kemu.linux.psi import psi_memstall_enter, psi_memstall_leave
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import Ref
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.pages import (
    KERNEL,
    PAGECACHE,
    Page,
    PG_dirty,
    PG_dropbehind,
    PG_locked,
    PG_readahead,
    PG_referenced,
    PG_uptodate,
    PG_waiters,
    PG_workingset,
)
from kemu.machine.roles import fills
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function

C = "mm/filemap.c"

Filler = Callable[[Any, Page], int]


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
def filemap_free_folio(mapping: AddressSpace, folio: Page) -> None:
    """``static void filemap_free_folio(const struct address_space *mapping, struct folio *folio)``"""
    free_folio = mapping.a_ops.free_folio
    if free_folio is not None:
        free_folio(folio)
    folio_put_refs(folio, 1 << folio.order)


@dup(C)
def filemap_remove_folio(folio: Page) -> None:
    """``void filemap_remove_folio(struct folio *folio)``: the folio is locked and the caller holds a reference."""
    from kemu.linux.include.pagemap import mapping_shrinkable  # noqa: PLC0415  (up into fs/inode.c)

    mapping: AddressSpace = folio.mapping
    BUG_ON(not folio.flags & PG_locked)
    spin_lock(mapping.host.i_lock)
    spin_lock(mapping.xa_lock)
    __filemap_remove_folio(folio)
    spin_unlock(mapping.xa_lock)
    if mapping_shrinkable(mapping):
        from kemu.linux.fs.inode import inode_lru_list_add  # noqa: PLC0415  (up into fs/inode.c)

        inode_lru_list_add(mapping.host)
    spin_unlock(mapping.host.i_lock)

    filemap_free_folio(mapping, folio)


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


@custom(C, "__filemap_add_folio", "may fail with -ENOMEM by fail_function, as the xarray's nodes may")
def __filemap_add_folio(mapping: AddressSpace, folio: Page, index: int, gfp: int, shadowp: Any = None) -> int:
    """``int __filemap_add_folio(struct address_space *mapping, struct folio *folio, pgoff_t index, gfp_t gfp, void **shadowp)``
    """
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

    The folio comes out locked, with a reference of the cache for each of its pages. Return: 0; -EEXIST if an index is taken;
    -ENOMEM.
    """
    folio.flags |= PG_locked
    ret = __filemap_add_folio(mapping, folio, index, gfp)
    if ret:
        folio.flags &= ~PG_locked
    elif this.watch is not None:
        this.watch.lock("folio", folio)
    return ret


@custom(C, "folio_wait_bit_common", "for PG_locked; the lock is never handed over, so a woken task may have to wait again")
def _wait_locked(folio: Page, state: int, exclusive: bool, drop: bool) -> int:
    waiters: FolioWaiters | None = folio.waiters
    if waiters is None:
        waiters = folio.waiters = FolioWaiters(folio)
    folio.flags |= PG_waiters
    if drop:
        folio_put(folio)
    task = this.task
    killable = state == TASK_KILLABLE
    queue = waiters.exclusive if exclusive else waiters.shared
    while True:
        if killable and task.pending_signal:
            return -EINTR
        this.sched.block(queue)
        if not exclusive:                   # it was free once: enough for who only waits
            return -EINTR if killable and task.pending_signal and folio.flags & PG_locked else 0
        if not folio.flags & PG_locked:
            folio.flags |= PG_locked
            if this.watch is not None:
                this.watch.lock("folio", folio)
            return 0
        folio.flags |= PG_waiters


@dup(C)
def folio_put_wait_locked(folio: Page, state: int) -> int:
    """``int folio_put_wait_locked(struct folio *folio, int state)``: the reference is dropped before the wait."""
    if not folio.flags & PG_locked:
        folio_put(folio)
        return 0
    return _wait_locked(folio, state, False, True)


def _wake(folio: Page) -> None:
    waiters: FolioWaiters | None = folio.waiters
    if waiters is None:
        folio.flags &= ~PG_waiters
        return
    waiters.shared.wake()
    waiters.exclusive.wake(1)
    if not waiters.exclusive.tasks:
        folio.flags &= ~PG_waiters


@custom(C, "folio_unlock", "a scheduler queue instead of a hashed wait queue with a lock")
def folio_unlock(folio: Page) -> None:
    """``void folio_unlock(struct folio *folio)``: wakes who waits. Context: any but NMI."""
    flags = folio.flags
    if not flags & PG_locked:
        VM_BUG_ON_FOLIO(True, folio, "!folio_test_locked(folio)")
    folio.flags = flags & ~PG_locked
    w = this.watch
    if w is not None:
        w.unlock("folio", folio)
    if flags & PG_waiters:
        _wake(folio)


@custom(C, "folio_end_read", "a scheduler queue instead of a hashed wait queue with a lock")
def folio_end_read(folio: Page, success: bool) -> None:
    """``void folio_end_read(struct folio *folio, bool success)``: no more reads are under way; unlocks, and marks uptodate on
    success.

    A folio that is not locked, or that is uptodate already, is a report. Context: any but NMI.
    """
    flags = folio.flags
    if not flags & PG_locked:
        VM_BUG_ON_FOLIO(True, folio, "!folio_test_locked(folio)")
    if success:
        if flags & PG_uptodate:
            VM_BUG_ON_FOLIO(True, folio, "success && folio_test_uptodate(folio)")
        folio.flags = (flags | PG_uptodate) & ~PG_locked
    else:
        folio.flags = flags & ~PG_locked
    w = this.watch
    if w is not None:
        w.event("folio_end_read", folio=folio, success=bool(success))
        w.unlock("folio", folio)
    if flags & PG_waiters:
        _wake(folio)


@dup(C)
def filemap_end_dropbehind(folio: Page) -> None:
    """``static void filemap_end_dropbehind(struct folio *folio)``: an uncached read leaves nothing."""
    mapping = folio.mapping

    VM_BUG_ON_FOLIO(not folio.flags & PG_locked, folio, "!folio_test_locked(folio)")
    if folio.flags & PG_dirty or not folio.flags & PG_dropbehind:
        return
    folio.flags &= ~PG_dropbehind
    if mapping is not None:
        from kemu.linux.mm.truncate import folio_unmap_invalidate  # noqa: PLC0415  (circle: mm/truncate.c needs this)

        folio_unmap_invalidate(mapping, folio, 0)


@custom(C, "wait_page_queue", "two queues in the folio instead of a hash of all folios' waiters")
class FolioWaiters:
    """Who sleeps on a folio's lock bit: those that want the lock, and those that only wait for it to be free."""

    __slots__ = ("exclusive", "shared")

    def __init__(self, folio: Page):
        what = f"the lock of folio pfn:{folio.pfn:#x} index:{folio.index:#x}"
        owner = "the end of its read"
        self.exclusive = WaitQueue(what, owner)
        self.shared = WaitQueue(what, owner)


@dup(C)
def page_cache_next_miss(mapping: AddressSpace, index: int, max_scan: int) -> int:
    """``pgoff_t page_cache_next_miss(struct address_space *mapping, pgoff_t index, unsigned long max_scan)``: first gap at or
    after ``index``.
    """
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
    """``pgoff_t page_cache_prev_miss(struct address_space *mapping, pgoff_t index, unsigned long max_scan)``: ULONG_MAX when it
    wraps.
    """
    pages = mapping.i_pages
    i = index
    while max_scan:
        if i < 0:
            break
        if i not in pages:
            return i
        i -= 1
        max_scan -= 1
    return i & arch.ULONG_MAX


@dup(C)
def filemap_get_entry(mapping: AddressSpace, index: int) -> Page | None:
    """``void *filemap_get_entry(struct address_space *mapping, pgoff_t index)``: with a reference; there are no shadow entries.
    """
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

    Return: the folio with a reference (locked with FGP_LOCK); ERR_PTR: -ENOENT not cached, -EAGAIN (FGP_NOWAIT) locked or no
    memory, -ENOMEM.
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
                VM_BUG_ON_FOLIO(not folio.index <= index < folio.index + (1 << folio.order), folio,
                                "!folio_contains(folio, index)")
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


@custom(C, "find_get_entries", "all of the range at once, without references")
def _folios_in(mapping: AddressSpace, start: int, end: int) -> list[Page]:
    """The folios that have a page in [start, end], by index."""
    pages = mapping.i_pages
    if end - start + 1 < len(pages):
        found = {id(f): f for i in range(start, end + 1) if (f := pages.get(i)) is not None}
    else:
        found = {id(f): f for i, f in pages.items() if start <= i <= end}
    return sorted(found.values(), key=lambda f: f.index)


@dup(C)
def filemap_get_read_batch(mapping: AddressSpace, index: int, max_: int, fbatch: FolioBatch) -> None:
    """``static void filemap_get_read_batch(struct address_space *mapping, pgoff_t index, pgoff_t max, struct folio_batch
    *fbatch)``

    Contiguous folios from ``index`` on, the last of which may be marked for read-ahead or not be uptodate.
    """
    get = mapping.i_pages.get
    folios = fbatch.folios
    w = this.watch
    room = FOLIO_BATCH_SIZE - len(folios)
    rcu_read_lock()
    while index <= max_:
        folio = get(index)
        if folio is None:
            break
        folio.refcount += 1
        if w is not None:
            w.ref("folio", folio, 1)
        folios.append(folio)
        room -= 1
        if not room or folio.flags & (PG_uptodate | PG_readahead) != PG_uptodate:
            break
        index = folio.index + (1 << folio.order)
    rcu_read_unlock()


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


def filemap_range_uptodate(mapping: AddressSpace, pos: int, count: int, folio: Page, need_uptodate: bool) -> bool:
    """``filemap_range_uptodate()``"""
    if folio.flags & PG_uptodate:
        return True
    # pipes can't handle partially uptodate pages
    if need_uptodate:
        return False
    if mapping.a_ops.is_partially_uptodate is None:
        return False
    if mapping.host.i_blkbits >= arch.PAGE_SHIFT + folio.order:
        return False
    fpos = folio.index << arch.PAGE_SHIFT
    if fpos > pos:
        count -= fpos - pos
        pos = 0
    else:
        pos -= fpos
    if pos == 0 and count >= arch.PAGE_SIZE << folio.order:
        return False
    return bool(mapping.a_ops.is_partially_uptodate(folio, pos, count))


@custom(C, "filemap_update_page", "IOCB_WAITQ ends with -EIOCBQUEUED without a callback")
def filemap_update_page(iocb: Any, mapping: AddressSpace, count: int, folio: Page, need_uptodate: bool) -> int:
    """``static int filemap_update_page(struct kiocb *iocb, struct address_space *mapping, size_t count, struct folio *folio, bool
    need_uptodate)``

    Brings a cached folio uptodate. Return: 0; AOP_TRUNCATED_PAGE (the reference is dropped: look again); -EAGAIN, -EIO, -EINTR.
    """
    if iocb.ki_flags & IOCB_NOWAIT:
        if not filemap_invalidate_trylock_shared(mapping):
            return -EAGAIN
    else:
        filemap_invalidate_lock_shared(mapping)

    unlock = True
    if not folio_trylock(folio):
        error = -EAGAIN
        unlock = False
        if not iocb.ki_flags & (IOCB_NOWAIT | IOCB_NOIO):
            if not iocb.ki_flags & IOCB_WAITQ:
                filemap_invalidate_unlock_shared(mapping)
                # This is where we usually end up waiting for a previously submitted readahead to finish.
                folio_put_wait_locked(folio, TASK_KILLABLE)
                return AOP_TRUNCATED_PAGE
            error = -EIOCBQUEUED
    elif folio.mapping is None:
        error = AOP_TRUNCATED_PAGE
    elif filemap_range_uptodate(mapping, iocb.ki_pos, count, folio, need_uptodate):
        error = 0
    elif iocb.ki_flags & (IOCB_NOIO | IOCB_NOWAIT | IOCB_WAITQ):
        error = -EAGAIN
    else:
        error = filemap_read_folio(iocb.ki_filp, mapping.a_ops.read_folio, folio)
        unlock = False
    if unlock:
        folio_unlock(folio)
    filemap_invalidate_unlock_shared(mapping)
    if error == AOP_TRUNCATED_PAGE:
        folio_put(folio)
    return error


@dup(C)
def filemap_create_folio(iocb: Any, fbatch: FolioBatch) -> int:
    """``static int filemap_create_folio(struct kiocb *iocb, struct folio_batch *fbatch)``: without read-ahead, one folio."""
    mapping: AddressSpace = iocb.ki_filp.f_mapping
    min_order = mapping.min_order
    if iocb.ki_flags & (IOCB_NOWAIT | IOCB_WAITQ):
        return -EAGAIN
    folio = filemap_alloc_folio(mapping.gfp_mask, min_order)
    if folio is None:
        return -ENOMEM
    # Protect against truncate / hole punch
    filemap_invalidate_lock_shared(mapping)
    index = iocb.ki_pos >> arch.PAGE_SHIFT + min_order << min_order
    error = filemap_add_folio(mapping, folio, index, mapping.gfp_mask & GFP_KERNEL)
    if error == -EEXIST:
        error = AOP_TRUNCATED_PAGE
    if not error:
        error = filemap_read_folio(iocb.ki_filp, mapping.a_ops.read_folio, folio)
    filemap_invalidate_unlock_shared(mapping)
    if error:
        folio_put(folio)
        return error
    fbatch.folios.append(folio)
    return 0


@dup(C)
def filemap_get_pages(iocb: Any, count: int, fbatch: FolioBatch, need_uptodate: bool) -> int:
    """``static int filemap_get_pages(struct kiocb *iocb, size_t count, struct folio_batch *fbatch, bool need_uptodate)``

    Return: 0 with at least one uptodate folio in the batch, or -errno: -EINTR, -EAGAIN, -ENOMEM, -EIO, what read_folio returned.
    """
    from kemu.linux.mm.readahead import page_cache_async_ra, page_cache_sync_ra  # noqa: PLC0415  (circle: mm/readahead.c needs this)

    filp = iocb.ki_filp
    mapping: AddressSpace = filp.f_mapping
    shift = arch.PAGE_SHIFT
    index = iocb.ki_pos >> shift
    # "last_index" is the index of the folio beyond the end of the read
    nrbytes = arch.PAGE_SIZE << mapping.min_order
    last_index = (iocb.ki_pos + count + nrbytes - 1 & -nrbytes) >> shift
    folios = fbatch.folios
    while True:
        if this.task.pending_signal:
            return -EINTR
        filemap_get_read_batch(mapping, index, last_index - 1, fbatch)
        if not folios:
            ractl = ReadaheadControl(filp, mapping, filp.f_ra, index)
            if iocb.ki_flags & IOCB_NOIO:
                return -EAGAIN
            flags = memalloc_noio_save() if iocb.ki_flags & IOCB_NOWAIT else 0
            if iocb.ki_flags & IOCB_DONTCACHE:
                ractl.dropbehind = True
            page_cache_sync_ra(ractl, last_index - index)
            if iocb.ki_flags & IOCB_NOWAIT:
                memalloc_noio_restore(flags)
            filemap_get_read_batch(mapping, index, last_index - 1, fbatch)
        if not folios:
            err = filemap_create_folio(iocb, fbatch)
            if err == AOP_TRUNCATED_PAGE:
                continue
            return err

        folio = folios[-1]
        err = 0
        if folio.flags & PG_readahead:
            if iocb.ki_flags & IOCB_NOIO:
                err = -EAGAIN
            else:
                ractl = ReadaheadControl(filp, mapping, filp.f_ra, folio.index)
                page_cache_async_ra(ractl, folio, last_index - folio.index)
        if not err and not folio.flags & PG_uptodate:
            if len(folios) > 1:
                err = -EAGAIN
            else:
                err = filemap_update_page(iocb, mapping, count, folio, need_uptodate)
        if not err:
            return 0
        if err < 0:
            folio_put(folio)
        folios.pop()
        if folios:
            return 0
        if err == AOP_TRUNCATED_PAGE:
            continue
        return err


@dup(C)
def filemap_end_dropbehind_read(folio: Page) -> None:
    """``static void filemap_end_dropbehind_read(struct folio *folio)``"""
    if not folio.flags & PG_dropbehind:
        return
    if folio.flags & PG_dirty:
        return
    if folio_trylock(folio):
        filemap_end_dropbehind(folio)
        folio_unlock(folio)


@dup(C)
def filemap_read(iocb: Any, iter_: IovIter, already_read: int) -> int:
    """``ssize_t filemap_read(struct kiocb *iocb, struct iov_iter *iter, ssize_t already_read)``

    Copies from the page cache, which it fills as it goes. Return: bytes copied (with ``already_read``), 0 at the end of the file;
    if none were copied: -EINVAL (negative position), -EFAULT (the reader's memory), and what :func:`filemap_get_pages` returns.
    """
    filp = iocb.ki_filp
    ra = filp.f_ra
    mapping: AddressSpace = filp.f_mapping
    inode = mapping.host
    fbatch = FolioBatch()
    error = 0
    last_pos = ra.prev_pos
    shift, psize = arch.PAGE_SHIFT, arch.PAGE_SIZE

    if iocb.ki_pos < 0:
        return -EINVAL
    maxbytes = inode.i_sb.s_maxbytes
    if iocb.ki_pos >= maxbytes:
        return 0
    if not iter_.count:
        return 0
    if iter_.count > maxbytes - iocb.ki_pos:
        iter_.count = maxbytes - iocb.ki_pos

    while True:
        cond_resched()
        # an async read that has copied something must not return -EIOCBQUEUED any more
        if iocb.ki_flags & IOCB_WAITQ and already_read:
            iocb.ki_flags |= IOCB_NOWAIT
        if iocb.ki_pos >= inode.i_size:
            break
        error = filemap_get_pages(iocb, iter_.count, fbatch, False)
        if error < 0:
            break
        # i_size must be checked after we know the pages are Uptodate.
        isize = inode.i_size
        pos = iocb.ki_pos
        folios = fbatch.folios
        if pos < isize:
            end_offset = min(isize, pos + iter_.count)
            writably_mapped = mapping.i_mmap_writable > 0
            first = folios[0]
            fshift = shift + first.order
            if pos >> fshift != last_pos - 1 >> fshift:
                first.flags |= PG_referenced
            for folio in folios:
                fsize = psize << folio.order
                offset = pos & (fsize - 1)
                bytes_ = min(end_offset - pos, fsize - offset)
                if end_offset < folio.index << shift:
                    break
                if folio is not first:
                    folio.flags |= PG_referenced
                if writably_mapped:
                    flush_dcache_folio(folio)
                copied = copy_folio_to_iter(folio, offset, bytes_, iter_)
                already_read += copied
                pos += copied
                iocb.ki_pos = last_pos = pos
                if copied < bytes_:
                    error = -EFAULT
                    break
        for folio in folios:
            if folio.flags & PG_dropbehind:
                filemap_end_dropbehind_read(folio)
            folio_put(folio)
        fbatch.folios = []
        if not (iter_.count and iocb.ki_pos < isize and not error):
            break

    if filp.f_path.dentry is not None:              # not one made by hand
        file_accessed(filp)
    ra.prev_pos = last_pos
    return already_read if already_read else error


@custom(C, "kiocb_write_and_wait", "nothing is ever dirty: reading only")
def kiocb_write_and_wait(iocb: Any, count: int) -> int:
    """``int kiocb_write_and_wait(struct kiocb *iocb, size_t count)``"""
    return filemap_write_and_wait_range(iocb.ki_filp.f_mapping, iocb.ki_pos, iocb.ki_pos + count - 1)


@dup(C)
def generic_file_read_iter(iocb: Any, iter_: IovIter) -> int:
    """``ssize_t generic_file_read_iter(struct kiocb *iocb, struct iov_iter *iter)``: filemap_read, after ``a_ops->direct_IO``
    with IOCB_DIRECT.
    """
    count = iter_.count
    retval = 0
    if not count:
        return 0
    if iocb.ki_flags & IOCB_DIRECT:
        mapping = iocb.ki_filp.f_mapping
        inode = mapping.host
        retval = kiocb_write_and_wait(iocb, count)
        if retval < 0:
            return retval
        if iocb.ki_filp.f_path.dentry is not None:      # not one made by hand
            file_accessed(iocb.ki_filp)

        retval = int(mapping.a_ops.direct_IO(iocb, iter_))
        if retval >= 0:
            iocb.ki_pos += retval
            count -= retval
        if retval != -EIOCBQUEUED:
            iov_iter_revert(iter_, count - iter_.count)
        if retval < 0 or not count or inode.i_flags & S_DAX:
            return retval
        if iocb.ki_pos >= inode.i_size:
            return retval
    return filemap_read(iocb, iter_, retval)


@dup(C)
def splice_folio_into_pipe(pipe: PipeInodeInfo, folio: Page, fpos: int, size: int) -> int:
    """``size_t splice_folio_into_pipe(struct pipe_inode_info *pipe, struct folio *folio, loff_t fpos, size_t size)``: page by
    page, without a copy.
    """
    psize = arch.PAGE_SIZE
    offset = fpos & ((psize << folio.order) - 1)
    size = min(size, (psize << folio.order) - offset)
    n = offset >> arch.PAGE_SHIFT
    offset &= psize - 1
    spliced = 0
    while spliced < size and not pipe_is_full(pipe):
        part = min(psize - offset, size - spliced)
        folio_get(folio)
        pipe.bufs.append(PipeBuffer(folio_page(folio, n), offset, part))
        n += 1
        spliced += part
        offset = 0
    return spliced


@dup(C)
def filemap_splice_read(in_: Any, ppos: Ref, pipe: PipeInodeInfo, len_: int, flags: int) -> int:
    """``ssize_t filemap_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len, unsigned int
    flags)``

    Return: bytes, fewer when the pipe is full; 0 at the end; -errno as filemap_read().
    """
    inode = in_.f_mapping.host
    if ppos.v >= inode.i_sb.s_maxbytes:
        return 0
    iocb = Kiocb()
    iocb.ki_filp = in_
    npages = max(pipe.max_usage - len(pipe.bufs), 0)
    len_ = min(len_, npages << arch.PAGE_SHIFT)
    total_spliced = 0
    error = 0
    fbatch = FolioBatch()
    stop = False
    while not stop:
        cond_resched()
        if ppos.v >= inode.i_size:
            break
        iocb.ki_pos = ppos.v
        error = filemap_get_pages(iocb, len_, fbatch, True)
        if error < 0:
            break
        isize = inode.i_size
        if ppos.v >= isize:
            break
        end_offset = min(isize, ppos.v + len_)
        for folio in fbatch.folios:
            if folio.index << arch.PAGE_SHIFT >= end_offset:
                stop = True
                break
            folio.flags |= PG_referenced
            if in_.f_mapping.i_mmap_writable > 0:
                flush_dcache_folio(folio)
            n = splice_folio_into_pipe(pipe, folio, ppos.v, min(len_, isize - ppos.v))
            if not n:
                stop = True
                break
            len_ -= n
            total_spliced += n
            ppos.v += n
            in_.f_ra.prev_pos = ppos.v
            if pipe_is_full(pipe):
                stop = True
                break
        folio_batch_release(fbatch)
        if not len_:
            break
    folio_batch_release(fbatch)
    if in_.f_path.dentry is not None:
        file_accessed(in_)
    return total_spliced if total_spliced else error


MMAP_LOTSAMISS = 100


@dup(C)
def lock_folio_maybe_drop_mmap(vmf: vm_fault, folio: Page, fpin: Ref) -> int:
    """``static int lock_folio_maybe_drop_mmap(struct vm_fault *vmf, struct folio *folio, struct file **fpin)``: 1 if the folio is
    locked.
    """
    if folio_trylock(folio):
        return 1

    # NOTE! This will make us return with VM_FAULT_RETRY, but with the fault lock still held. That's how
    # FAULT_FLAG_RETRY_NOWAIT is supposed to work. We have way too many special cases..
    if vmf.flags & FAULT_FLAG_RETRY_NOWAIT:
        return 0

    fpin.v = maybe_unlock_mmap_for_io(vmf, fpin.v)
    if vmf.flags & FAULT_FLAG_KILLABLE:
        if _wait_locked(folio, TASK_KILLABLE, True, False):             # __folio_lock_killable()
            # We didn't have the right flags to drop the fault lock, but all fault_handlers only check for fatal signals if we
            # return VM_FAULT_RETRY, so we need to drop the fault lock here and return 0 if we don't have a fpin.
            if fpin.v is None:
                release_fault_lock(vmf)
            return 0
    else:
        folio_lock(folio)

    return 1


@custom(C, "do_sync_mmap_readahead", "no transparent huge pages; the mapping is not executable")
def do_sync_mmap_readahead(vmf: vm_fault) -> Any:
    """``static struct file *do_sync_mmap_readahead(struct vm_fault *vmf)``: the file that was pinned, or None."""
    from kemu.linux.mm.readahead import page_cache_ra_order, page_cache_sync_ra  # noqa: PLC0415  (circle: mm/readahead.c needs this)

    file = vmf.vma.vm_file
    ra = file.f_ra
    mapping = file.f_mapping
    ractl = ReadaheadControl(file, mapping, ra, vmf.pgoff)
    fpin = None
    vm_flags = vmf.vma.vm_flags

    # If we don't want any read-ahead, don't bother
    if vm_flags & VM_RAND_READ:
        return fpin

    if not ra.ra_pages:
        return fpin

    if vm_flags & VM_SEQ_READ:
        fpin = maybe_unlock_mmap_for_io(vmf, fpin)
        page_cache_sync_ra(ractl, ra.ra_pages)
        return fpin

    # Avoid banging the cache line if not needed
    mmap_miss = ra.mmap_miss
    if mmap_miss < MMAP_LOTSAMISS * 10:
        mmap_miss += 1
        ra.mmap_miss = mmap_miss

    # Do we miss much more than hit in this file? If so, stop bothering with read-ahead. It will only hurt.
    if mmap_miss > MMAP_LOTSAMISS:
        return fpin

    # mmap read-around
    ra.start = max(0, vmf.pgoff - ra.ra_pages // 2)
    ra.size = ra.ra_pages
    ra.async_size = ra.ra_pages // 4
    ra.order = 0

    fpin = maybe_unlock_mmap_for_io(vmf, fpin)
    ractl._index = ra.start
    page_cache_ra_order(ractl, ra)
    return fpin


@dup(C)
def do_async_mmap_readahead(vmf: vm_fault, folio: Page) -> Any:
    """``static struct file *do_async_mmap_readahead(struct vm_fault *vmf, struct folio *folio)``: the file that was pinned, or
    None.
    """
    from kemu.linux.mm.readahead import page_cache_async_ra  # noqa: PLC0415  (circle: mm/readahead.c needs this)

    file = vmf.vma.vm_file
    ra = file.f_ra
    ractl = ReadaheadControl(file, file.f_mapping, ra, vmf.pgoff)
    fpin = None

    # If we don't want any read-ahead, don't bother
    if vmf.vma.vm_flags & VM_RAND_READ or not ra.ra_pages:
        return fpin

    # If the folio is locked, we're likely racing against another fault. Don't touch the mmap_miss counter to avoid decreasing
    # it multiple times for a single folio and break the balance with mmap_miss increase in do_sync_mmap_readahead().
    if not folio.flags & PG_locked and not vmf.vma.vm_flags & (VM_SEQ_READ | VM_EXEC):
        mmap_miss = ra.mmap_miss
        if mmap_miss:
            mmap_miss -= 1
            ra.mmap_miss = mmap_miss

    if folio.flags & PG_readahead:
        fpin = maybe_unlock_mmap_for_io(vmf, fpin)
        page_cache_async_ra(ractl, folio, ra.ra_pages)
    return fpin


@dup(C)
def filemap_fault(vmf: vm_fault) -> int:
    """``vm_fault_t filemap_fault(struct vm_fault *vmf)``: VM_FAULT_* bits; with VM_FAULT_LOCKED ``vmf.page`` is locked and has a
    reference. Context: may sleep.
    """
    from kemu.linux.fs.file_table import fput  # noqa: PLC0415  (up into fs/file_table.c)

    file = vmf.vma.vm_file
    fpin: Ref = Ref(None)
    mapping = file.f_mapping
    inode = mapping.host
    index = vmf.pgoff
    ret = 0
    mapping_locked = False

    max_idx = DIV_ROUND_UP(inode.i_size, arch.PAGE_SIZE)
    if index >= max_idx:
        return VM_FAULT_SIGBUS

    # Do we have something in the page cache already?
    folio = __filemap_get_folio(mapping, index, 0, 0)
    if not IS_ERR(folio):
        # We found the page, so try async readahead before waiting for the lock.
        if not vmf.flags & FAULT_FLAG_TRIED:
            fpin.v = do_async_mmap_readahead(vmf, folio)
        if not folio.flags & PG_uptodate:
            filemap_invalidate_lock_shared(mapping)
            mapping_locked = True
    else:
        # No page in the page cache at all
        ret = VM_FAULT_MAJOR
        fpin.v = do_sync_mmap_readahead(vmf)
    find = IS_ERR(folio)
    while True:
        if find:                                    # retry_find:
            # See comment in filemap_create_folio() why we need invalidate_lock
            if not mapping_locked:
                filemap_invalidate_lock_shared(mapping)
                mapping_locked = True
            folio = __filemap_get_folio(mapping, index, FGP_CREAT | FGP_FOR_MMAP, vmf.gfp_mask)
            if IS_ERR(folio):
                if fpin.v is not None:
                    break                           # goto out_retry
                filemap_invalidate_unlock_shared(mapping)
                return VM_FAULT_OOM

        if not lock_folio_maybe_drop_mmap(vmf, folio, fpin):
            break                                   # goto out_retry

        # Did it get truncated?
        if folio.mapping is not mapping:
            folio_unlock(folio)
            folio_put(folio)
            find = True
            continue                                # goto retry_find

        # We have a locked folio in the page cache, now we need to check that it's up-to-date. If not, it is going to be due to
        # an error, or because readahead was otherwise unable to retrieve it.
        if not folio.flags & PG_uptodate:
            # If the invalidate lock is not held, the folio was in cache and uptodate and now it is not. Strange but possible
            # since we didn't hold the page lock all the time. Let's drop everything, get the invalidate lock and try again.
            if not mapping_locked:
                folio_unlock(folio)
                folio_put(folio)
                find = True
                continue                            # goto retry_find

            # OK, the folio is really not uptodate. page_not_uptodate: try to re-read it _once_, synchronously, to see errors.
            fpin.v = maybe_unlock_mmap_for_io(vmf, fpin.v)
            error = filemap_read_folio(file, mapping.a_ops.read_folio, folio)
            if fpin.v is not None:
                break                               # goto out_retry
            folio_put(folio)

            if not error or error == AOP_TRUNCATED_PAGE:
                find = True
                continue                            # goto retry_find
            filemap_invalidate_unlock_shared(mapping)

            return VM_FAULT_SIGBUS

        # We've made it this far and we had to drop our mmap_lock, now is the time to return to the upper layer and have it
        # re-find the vma and redo the fault.
        if fpin.v is not None:
            folio_unlock(folio)
            break                                   # goto out_retry
        if mapping_locked:
            filemap_invalidate_unlock_shared(mapping)

        # Found the page and have a reference on it. We must recheck i_size under page lock.
        max_idx = DIV_ROUND_UP(inode.i_size, arch.PAGE_SIZE)
        if index >= max_idx:
            folio_unlock(folio)
            folio_put(folio)
            return VM_FAULT_SIGBUS

        vmf.page = folio_file_page(folio, index)
        return ret | VM_FAULT_LOCKED

    # out_retry: We dropped the mmap_lock, we need to return to the fault handler to re-find the vma and come back and find our
    # hopefully still populated page.
    if not IS_ERR(folio):
        folio_put(folio)
    if mapping_locked:
        filemap_invalidate_unlock_shared(mapping)
    if fpin.v is not None:
        fput(fpin.v)
    return ret | VM_FAULT_RETRY


generic_file_vm_ops = vm_operations_struct(fault=filemap_fault)


@dup(C)
def generic_file_mmap(file: Any, vma: vm_area_struct) -> int:
    """``int generic_file_mmap(struct file *file, struct vm_area_struct *vma)``. Return: 0, -ENOEXEC."""
    mapping = file.f_mapping

    if mapping.a_ops.read_folio is None:
        return -ENOEXEC
    file_accessed(file)
    vma.vm_ops = generic_file_vm_ops
    return 0


@dup(C)
def generic_file_mmap_prepare(desc: vm_area_desc) -> int:
    """``int generic_file_mmap_prepare(struct vm_area_desc *desc)``. Return: 0, -ENOEXEC."""
    file = desc.file
    mapping = file.f_mapping

    if mapping.a_ops.read_folio is None:
        return -ENOEXEC
    file_accessed(file)
    desc.vm_ops = generic_file_vm_ops
    return 0


@dup(C)
def generic_file_readonly_mmap(file: Any, vma: vm_area_struct) -> int:
    """``int generic_file_readonly_mmap(struct file *file, struct vm_area_struct *vma)``. Return: 0, -EINVAL for one that may be
    written and is shared, -ENOEXEC.
    """
    if vma_is_shared_maywrite(vma):
        return -EINVAL
    return generic_file_mmap(file, vma)


@dup(C)
def generic_file_readonly_mmap_prepare(desc: vm_area_desc) -> int:
    """``int generic_file_readonly_mmap_prepare(struct vm_area_desc *desc)``. Return: 0, -EINVAL, -ENOEXEC."""
    if is_shared_maywrite(desc.vma_flags):
        return -EINVAL
    return generic_file_mmap_prepare(desc)


@dup(C)
def do_read_cache_folio(mapping: AddressSpace, index: int, filler: Filler | None, file: Any, gfp: int) -> Page:
    """``static struct folio *do_read_cache_folio(struct address_space *mapping, pgoff_t index, filler_t filler, struct file
    *file, gfp_t gfp)``
    """
    if filler is None:
        filler = mapping.a_ops.read_folio
        if filler is None:
            func = caller_function()[0]
            raise KernelBug(f"BUG: kernel NULL pointer dereference in {func}: a_ops->read_folio of a mapping that has none",
                            function=func)
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

    Return: an uptodate folio that contains ``index``, with a reference; ERR_PTR: -EIO (not uptodate after the read), -ENOMEM,
    -EINTR, or what ``filler`` (None: ``a_ops->read_folio``) returned. Context: may sleep.
    """
    return do_read_cache_folio(mapping, index, filler, file, mapping.gfp_mask)


@dup(C)
def mapping_read_folio_gfp(mapping: AddressSpace, index: int, gfp: int) -> Any:
    """``struct folio *mapping_read_folio_gfp(struct address_space *mapping, pgoff_t index, gfp_t gfp)``"""
    return do_read_cache_folio(mapping, index, None, None, gfp)


@dup(C)
def generic_perform_write(iocb: Kiocb, i: IovIter) -> int:
    """``ssize_t generic_perform_write(struct kiocb *iocb, struct iov_iter *i)``. Return: bytes written, or the first error."""
    mapping = iocb.ki_filp.f_mapping
    a_ops = mapping.a_ops
    pos = iocb.ki_pos
    chunk = mapping_max_folio_size(mapping)
    written = 0
    status = 0
    while i.count:
        if this.task.pending_signal:
            status = -EINTR
            break
        nbytes = min(chunk - (pos & (chunk - 1)), i.count)
        folio_ref, fsdata = Ref(None), Ref(None)
        status = a_ops.write_begin(iocb, mapping, pos, nbytes, folio_ref, fsdata)
        if status < 0:
            break
        folio = folio_ref.v
        offset = pos & (folio_size(folio) - 1)
        nbytes = min(nbytes, folio_size(folio) - offset)
        copied = copy_from_iter(folio_address(folio) + offset, nbytes, i)
        flush_dcache_folio(folio)
        status = a_ops.write_end(iocb, mapping, pos, nbytes, copied, folio, fsdata.v)
        if status != copied:
            iov_iter_revert(i, copied - max(status, 0))
            if status < 0:
                break
        if status == 0:
            status = -EFAULT
            break
        pos += status
        written += status
    if not written:
        return status
    iocb.ki_pos += written
    return written


@custom(C, "generic_file_write_iter", "no direct writes, no O_SYNC")
def generic_file_write_iter(iocb: Kiocb, from_: IovIter) -> int:
    """``ssize_t generic_file_write_iter(struct kiocb *iocb, struct iov_iter *from)``.

    Return: bytes written, -EFBIG, -ENOMEM, -EFAULT.
    """
    file = iocb.ki_filp
    inode = file.f_mapping.host
    inode_lock(inode)
    ret = 0
    if from_.count:
        if iocb.ki_flags & IOCB_APPEND:
            iocb.ki_pos = inode.i_size
        if iocb.ki_pos >= inode.i_sb.s_maxbytes:
            ret = -EFBIG
        else:
            from kemu.linux.fs.inode import file_remove_privs, file_update_time  # noqa: PLC0415  (up into fs/inode.c)

            iov_iter_truncate(from_, inode.i_sb.s_maxbytes - iocb.ki_pos)
            ret = file_remove_privs(file) or file_update_time(file) or generic_perform_write(iocb, from_)
    inode_unlock(inode)
    return ret


@dup(C)
def filemap_release_folio(folio: Page, gfp: int) -> bool:
    """``bool filemap_release_folio(struct folio *folio, gfp_t gfp)``: True if the file system let go of ``folio->private``."""
    from kemu.linux.fs.buffer import try_to_free_buffers  # noqa: PLC0415  (up into fs/buffer.c)

    mapping = folio.mapping
    BUG_ON(not folio.flags & PG_locked)
    if not folio_needs_release(folio):
        return True
    if mapping is not None and mapping.a_ops.release_folio is not None:
        return bool(mapping.a_ops.release_folio(folio, gfp))
    return try_to_free_buffers(folio)
