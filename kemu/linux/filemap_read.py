# SPDX-License-Identifier: GPL-2.0-only
"""Reading a file through the page cache (the second half of mm/filemap.c). Ports import it from kemu.linux.pagemap."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EAGAIN, EEXIST, EFAULT, EINTR, EINVAL, EIOCBQUEUED, ENOMEM
from kemu.linux.filemap import (
    AOP_TRUNCATED_PAGE,
    filemap_add_folio,
    filemap_alloc_folio,
    filemap_read_folio,
    filemap_write_and_wait_range,
)
from kemu.linux.folio_batch import FOLIO_BATCH_SIZE, FolioBatch
from kemu.linux.folio_wait import TASK_KILLABLE, VM_BUG_ON_FOLIO, folio_put_wait_locked, folio_trylock, folio_unlock
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup
from kemu.linux.mapping import (
    AddressSpace,
    filemap_invalidate_lock_shared,
    filemap_invalidate_trylock_shared,
    filemap_invalidate_unlock_shared,
)
from kemu.linux.mm import flush_dcache_folio, folio_put
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.readahead import ReadaheadControl, page_cache_async_ra, page_cache_sync_ra
from kemu.linux.sched import cond_resched, memalloc_noio_restore, memalloc_noio_save
from kemu.linux.truncate import folio_unmap_invalidate
from kemu.linux.uio import IovIter, copy_folio_to_iter, iov_iter_revert
from kemu.linux.vfs.constants import IOCB_DIRECT, IOCB_DONTCACHE, IOCB_NOIO, IOCB_NOWAIT, IOCB_WAITQ, S_DAX
from kemu.linux.vfs.inode_attr import file_accessed
from kemu.machine.current import arch, this
from kemu.machine.pages import Page, PG_dirty, PG_dropbehind, PG_locked, PG_readahead, PG_referenced, PG_uptodate

C = "mm/filemap.c"


@dup(C)
def filemap_get_read_batch(mapping: AddressSpace, index: int, max_: int, fbatch: FolioBatch) -> None:
    """``static void filemap_get_read_batch(struct address_space *mapping, pgoff_t index, pgoff_t max, struct folio_batch *fbatch)``

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


def _range_uptodate(mapping: AddressSpace, pos: int, count: int, folio: Page, need_uptodate: bool) -> bool:
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
    """``static int filemap_update_page(struct kiocb *iocb, struct address_space *mapping, size_t count, struct folio *folio, bool need_uptodate)``

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
    elif _range_uptodate(mapping, iocb.ki_pos, count, folio, need_uptodate):
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
def filemap_end_dropbehind(folio: Page) -> None:
    """``static void filemap_end_dropbehind(struct folio *folio)``: an uncached read leaves nothing."""
    mapping = folio.mapping

    VM_BUG_ON_FOLIO(not folio.flags & PG_locked, folio, "!folio_test_locked(folio)")
    if folio.flags & PG_dirty or not folio.flags & PG_dropbehind:
        return
    folio.flags &= ~PG_dropbehind
    if mapping is not None:
        folio_unmap_invalidate(mapping, folio, 0)


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

    Copies from the page cache, which it fills as it goes. Return: bytes copied (with ``already_read``), 0 at the end of the file; if none were
    copied: -EINVAL (negative position), -EFAULT (the reader's memory), and what :func:`filemap_get_pages` returns.
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
    """``ssize_t generic_file_read_iter(struct kiocb *iocb, struct iov_iter *iter)``: filemap_read, after ``a_ops->direct_IO`` with IOCB_DIRECT."""
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
