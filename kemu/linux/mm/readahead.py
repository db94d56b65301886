# SPDX-License-Identifier: GPL-2.0-only
"""Read-ahead: how much, and into which folios (mm/readahead.c)."""
from __future__ import annotations

from kemu.linux.block.blk_core import blk_finish_plug, blk_start_plug
from kemu.linux.bug import BUG_ON
from kemu.linux.errno import ENOMEM
from kemu.linux.include.backing_dev import blk_cgroup_congested
from kemu.linux.include.blkdev import BlkPlug
from kemu.linux.include.fs.calls import filemap_invalidate_lock_shared, filemap_invalidate_unlock_shared
from kemu.linux.include.fs.constants import FMODE_RANDOM
from kemu.linux.include.fs.types import AddressSpace, FileRaState
from kemu.linux.include.mm import folio_get, folio_put
from kemu.linux.include.pagemap import ReadaheadControl, filemap_alloc_folio, readahead_folio, readahead_gfp_mask, readahead_pos
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.include.sched import memalloc_nofs_restore, memalloc_nofs_save
from kemu.linux.math import ilog2, roundup_pow_of_two
from kemu.linux.mm.backing_dev import inode_to_bdi
from kemu.linux.mm.filemap import (
    filemap_add_folio,
    filemap_remove_folio,
    folio_unlock,
    page_cache_next_miss,
    page_cache_prev_miss,
)
from kemu.linux.port.honesty import dup
from kemu.linux.psi import psi_memstall_enter, psi_memstall_leave
from kemu.machine.current import arch
from kemu.machine.pages import Page, PG_dropbehind, PG_readahead, PG_workingset
from kemu.machine.roles import fills

C = "mm/readahead.c"

SZ_128K = 0x20000


@dup(C)
def file_ra_state_init(ra: FileRaState, mapping: AddressSpace) -> None:
    """``void file_ra_state_init(struct file_ra_state *ra, struct address_space *mapping)``"""
    ra.ra_pages = inode_to_bdi(mapping.host).ra_pages
    ra.prev_pos = -1


@fills
@dup(C)
def read_pages(rac: ReadaheadControl) -> None:
    """``static void read_pages(struct readahead_control *rac)``: starts the I/O; nothing is left in ``rac`` afterwards."""
    if not rac._nr_pages:
        return
    aops = rac.mapping.a_ops
    if rac._workingset:
        psi_memstall_enter(rac._pflags)
    plug = BlkPlug()
    blk_start_plug(plug)
    if aops.readahead is not None:
        aops.readahead(rac)
        # Clean up the remaining folios.
        while (folio := readahead_folio(rac)) is not None:
            folio_get(folio)
            filemap_remove_folio(folio)
            folio_unlock(folio)
            folio_put(folio)
    else:
        while (folio := readahead_folio(rac)) is not None:
            aops.read_folio(rac.file, folio)
    blk_finish_plug(plug)
    if rac._workingset:
        psi_memstall_leave(rac._pflags)
    rac._workingset = False
    BUG_ON(rac._nr_pages)


@dup(C)
def ractl_alloc_folio(ractl: ReadaheadControl, gfp_mask: int, order: int) -> Page | None:
    """``static struct folio *ractl_alloc_folio(struct readahead_control *ractl, gfp_t gfp_mask, unsigned int order)``"""
    folio = filemap_alloc_folio(gfp_mask, order)
    if folio is not None and ractl.dropbehind:
        folio.flags |= PG_dropbehind
    return folio


@dup(C)
def page_cache_ra_unbounded(ractl: ReadaheadControl, nr_to_read: int, lookahead_size: int) -> None:
    """``void page_cache_ra_unbounded(struct readahead_control *ractl, unsigned long nr_to_read, unsigned long lookahead_size)``

    Folios of the mapping's smallest order; the one at the start of the last ``lookahead_size`` pages gets PG_readahead. Errors
    are left to the reader, who will find folios that are not uptodate. Context: the mapping's invalidate_lock is held shared.
    """
    mapping = ractl.mapping
    index = ractl._index
    gfp_mask = readahead_gfp_mask(mapping)
    mark = -1
    i = 0
    min_order = mapping.min_order
    min_nrpages = 1 << min_order
    nofs = memalloc_nofs_save()
    index &= -min_nrpages
    if lookahead_size <= nr_to_read:
        mark = (ractl._index + nr_to_read - lookahead_size + min_nrpages - 1 & -min_nrpages) - index
    nr_to_read += ractl._index - index
    ractl._index = index
    pages = mapping.i_pages

    # Preallocate as many pages as we will need.
    while i < nr_to_read:
        if index + i in pages:
            # kick off the current batch of contiguous pages before continuing with the next batch
            read_pages(ractl)
            ractl._index += min_nrpages
            i = ractl._index - index
            continue
        folio = ractl_alloc_folio(ractl, gfp_mask, min_order)
        if folio is None:
            break
        ret = filemap_add_folio(mapping, folio, index + i, gfp_mask)
        if ret < 0:
            folio_put(folio)
            if ret == -ENOMEM:
                break
            read_pages(ractl)
            ractl._index += min_nrpages
            i = ractl._index - index
            continue
        if i == mark:
            folio.flags |= PG_readahead
        if folio.flags & PG_workingset:
            ractl._workingset = True
        ractl._nr_pages += min_nrpages
        i += min_nrpages

    read_pages(ractl)
    memalloc_nofs_restore(nofs)


@dup(C)
def do_page_cache_ra(ractl: ReadaheadControl, nr_to_read: int, lookahead_size: int) -> None:
    """``static void do_page_cache_ra(struct readahead_control *ractl, unsigned long nr_to_read, unsigned long lookahead_size)``:
    up to i_size.
    """
    mapping = ractl.mapping
    index = ractl._index
    isize = mapping.host.i_size
    if isize == 0:
        return
    end_index = isize - 1 >> arch.PAGE_SHIFT
    if index > end_index:
        return
    # Don't read past the page containing the last byte of the file
    if nr_to_read > end_index - index:
        nr_to_read = end_index - index + 1
        lookahead_size = 0
    filemap_invalidate_lock_shared(mapping)
    page_cache_ra_unbounded(ractl, nr_to_read, lookahead_size)
    filemap_invalidate_unlock_shared(mapping)


@dup(C)
def force_page_cache_ra(ractl: ReadaheadControl, nr_to_read: int) -> None:
    """``void force_page_cache_ra(struct readahead_control *ractl, unsigned long nr_to_read)``: in units of 2 MiB."""
    mapping = ractl.mapping
    ra = ractl.ra
    assert ra is not None
    bdi = inode_to_bdi(mapping.host)
    if mapping.a_ops.read_folio is None and mapping.a_ops.readahead is None:
        return
    nr_to_read = min(nr_to_read, max(bdi.io_pages, ra.ra_pages))
    while nr_to_read:
        this_chunk = min(2 * 1024 * 1024 >> arch.PAGE_SHIFT, nr_to_read)
        do_page_cache_ra(ractl, this_chunk, 0)
        nr_to_read -= this_chunk


@dup(C)
def get_init_ra_size(size: int, max_: int) -> int:
    """``static unsigned long get_init_ra_size(unsigned long size, unsigned long max)``"""
    newsize = roundup_pow_of_two(size)
    if newsize <= max_ // 32:
        return newsize * 4
    if newsize <= max_ // 4:
        return newsize * 2
    return max_


@dup(C)
def get_next_ra_size(ra: FileRaState, max_: int) -> int:
    """``static unsigned long get_next_ra_size(struct file_ra_state *ra, unsigned long max)``"""
    cur = ra.size
    if cur < max_ // 16:
        return 4 * cur
    if cur <= max_ // 2:
        return 2 * cur
    return max_


@dup(C)
def ra_alloc_folio(ractl: ReadaheadControl, index: int, mark: int, order: int, gfp: int) -> int:
    """``static inline int ra_alloc_folio(struct readahead_control *ractl, pgoff_t index, pgoff_t mark, unsigned int order, gfp_t
    gfp)``
    """
    folio = ractl_alloc_folio(ractl, gfp, order)
    if folio is None:
        return -ENOMEM
    if index == mark & -(1 << order):
        folio.flags |= PG_readahead
    err = filemap_add_folio(ractl.mapping, folio, index, gfp)
    if err:
        folio_put(folio)
        return err
    ractl._nr_pages += 1 << order
    if folio.flags & PG_workingset:
        ractl._workingset = True
    return 0


@dup(C)
def page_cache_ra_order(ractl: ReadaheadControl, ra: FileRaState) -> None:
    """``void page_cache_ra_order(struct readahead_control *ractl, struct file_ra_state *ra)``: reads the window with folios of up
    to ``ra->order``.
    """
    mapping = ractl.mapping
    start = index = ractl._index
    if not mapping.max_order:
        ra.order = 0
    else:
        min_order = mapping.min_order
        limit = mapping.host.i_size - 1 >> arch.PAGE_SHIFT
        gfp = readahead_gfp_mask(mapping)
        if limit > index + ra.size - 1:
            limit = index + ra.size - 1
            mark = index + ra.size - ra.async_size
        else:
            mark = arch.ULONG_MAX           # the end of the file: no read-ahead mark
        new_order = max(min(mapping.max_order, ra.order, ilog2(ra.size)), min_order)
        ra.order = new_order
        err = 0
        nofs = memalloc_nofs_save()
        filemap_invalidate_lock_shared(mapping)
        index &= -(1 << min_order)
        ractl._index = index
        while index <= limit:
            order = new_order
            # Align with smaller pages if needed
            if index & ((1 << order) - 1):
                order = (index & -index).bit_length() - 1
            # Don't allocate pages past EOF
            while order > min_order and index + (1 << order) - 1 > limit:
                order -= 1
            err = ra_alloc_folio(ractl, index, mark, order, gfp)
            if err:
                break
            index += 1 << order
        read_pages(ractl)
        filemap_invalidate_unlock_shared(mapping)
        memalloc_nofs_restore(nofs)
        # pages that were in the cache already may have left gaps: the regular code takes care of them
        if not err:
            return
    if ra.size > index - start:
        do_page_cache_ra(ractl, ra.size - (index - start), ra.async_size)


@dup(C)
def ractl_max_pages(ractl: ReadaheadControl, req_size: int) -> int:
    """``static unsigned long ractl_max_pages(struct readahead_control *ractl, unsigned long req_size)``"""
    assert ractl.ra is not None
    bdi = inode_to_bdi(ractl.mapping.host)
    max_pages = ractl.ra.ra_pages
    if req_size > max_pages and bdi.io_pages > max_pages:
        max_pages = min(req_size, bdi.io_pages)
    return max_pages


@dup(C)
def page_cache_sync_ra(ractl: ReadaheadControl, req_count: int) -> None:
    """``void page_cache_sync_ra(struct readahead_control *ractl, unsigned long req_count)``: a cache miss at ``ractl->_index``.
    """
    index = ractl._index
    do_forced_ra = ractl.file is not None and bool(ractl.file.f_mode & FMODE_RANDOM)
    ra = ractl.ra
    assert ra is not None
    # Even if readahead is disabled, issue this request as readahead as we'll need it to satisfy the requested range.
    if not ra.ra_pages or blk_cgroup_congested():
        if ractl.file is None:
            return
        req_count = 1
        do_forced_ra = True
    # be dumb
    if do_forced_ra:
        force_page_cache_ra(ractl, req_count)
        return

    max_pages = ractl_max_pages(ractl, req_count)
    prev_index = (ra.prev_pos & 0xFFFF_FFFF_FFFF_FFFF) >> arch.PAGE_SHIFT
    # A start of file, oversized read, or sequential cache miss
    if not index or req_count > max_pages or (index - prev_index & arch.ULONG_MAX) <= 1:
        ra.start = index
        ra.size = get_init_ra_size(req_count, max_pages)
        ra.async_size = ra.size - req_count if ra.size > req_count else ra.size >> 1
    else:
        # look for the traces that a sequential stream would leave behind
        rcu_read_lock()
        miss = page_cache_prev_miss(ractl.mapping, index - 1, max_pages)
        rcu_read_unlock()
        contig_count = index - miss - 1 & arch.ULONG_MAX
        # Standalone, small random read. Read as is, and do not pollute the readahead state.
        if contig_count <= req_count:
            do_page_cache_ra(ractl, req_count, 0)
            return
        # File cached from the beginning: it is a strong indication of long-run stream (or whole-file-read)
        if miss == arch.ULONG_MAX:
            contig_count *= 2
        ra.start = index
        ra.size = min(contig_count + req_count, max_pages)
        ra.async_size = 1
    ra.order = 0
    ractl._index = ra.start
    page_cache_ra_order(ractl, ra)


@dup(C)
def page_cache_async_ra(ractl: ReadaheadControl, folio: Page, req_count: int) -> None:
    """``void page_cache_async_ra(struct readahead_control *ractl, struct folio *folio, unsigned long req_count)``: ``folio``
    carried PG_readahead.
    """
    ra = ractl.ra
    assert ra is not None
    index = ractl._index
    if not ra.ra_pages:
        return
    folio.flags &= ~PG_readahead
    if blk_cgroup_congested():
        return
    max_pages = ractl_max_pages(ractl, req_count)
    # It's the expected callback index, assume sequential access. Ramp up sizes, and push forward the readahead window.
    expected = ra.start + ra.size - ra.async_size & -(1 << folio.order)
    if index == expected:
        ra.start += ra.size
        ra.size = max(ra.size, get_next_ra_size(ra, max_pages))
    else:
        # Hit a marked folio without valid readahead state, e.g. interleaved reads.
        rcu_read_lock()
        start = page_cache_next_miss(ractl.mapping, index + 1, max_pages)
        rcu_read_unlock()
        if not start or start - index > max_pages:
            return
        ra.start = start
        ra.size = start - index             # old async_size
        ra.size += req_count
        ra.size = get_next_ra_size(ra, max_pages)
    ra.order += 2
    align = 1 << min(ra.order, (max_pages & -max_pages).bit_length() - 1)
    end = ra.start + ra.size
    aligned_end = end & -align
    if aligned_end > ra.start:
        ra.size -= end - aligned_end
    ra.async_size = ra.size
    ractl._index = ra.start
    page_cache_ra_order(ractl, ra)


@dup(C)
def readahead_expand(ractl: ReadaheadControl, new_start: int, new_len: int) -> None:
    """``void readahead_expand(struct readahead_control *ractl, loff_t new_start, size_t new_len)``: bytes.

    Grows the request outwards with locked folios until it meets a cached one or memory runs out: look at ``ractl`` for what was
    had.
    """
    mapping = ractl.mapping
    ra = ractl.ra
    gfp_mask = readahead_gfp_mask(mapping)
    min_order = mapping.min_order
    min_nrpages = 1 << min_order
    psize = arch.PAGE_SIZE
    new_index = new_start // psize
    BUG_ON(ractl._index & (min_nrpages - 1))

    def more(index: int) -> Page | None:
        if index in mapping.i_pages:
            return None                     # Folio apparently present
        folio = ractl_alloc_folio(ractl, gfp_mask, min_order)
        if folio is None:
            return None
        if filemap_add_folio(mapping, folio, index & -min_nrpages, gfp_mask) < 0:
            folio_put(folio)
            return None
        if folio.flags & PG_workingset and not ractl._workingset:
            ractl._workingset = True
            psi_memstall_enter(ractl._pflags)
        ractl._nr_pages += min_nrpages
        return folio

    # Expand the leading edge downwards
    while ractl._index > new_index:
        folio = more(ractl._index - 1)
        if folio is None:
            return
        ractl._index = folio.index

    new_len += new_start - readahead_pos(ractl)
    new_nr_pages = (new_len + psize - 1) // psize
    # Expand the trailing edge upwards
    while ractl._nr_pages < new_nr_pages:
        if more(ractl._index + ractl._nr_pages) is None:
            return
        if ra is not None:
            ra.size += min_nrpages
            ra.async_size += min_nrpages
