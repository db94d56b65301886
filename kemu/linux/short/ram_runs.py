# SPDX-License-Identifier: GPL-2.0-only
"""Writes that move whole ranges into the page cache of a file system without backing store.

generic_perform_write() goes folio by folio. This makes the same folios, in the same state, as its loop would, in runs of fresh
frames that take one copy.
"""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.fs.libfs import ram_aops
from kemu.linux.include.fs.types import AddressSpace, Inode, Kiocb
from kemu.linux.include.uio import ITER_KVEC, IovIter, _runs
from kemu.linux.lib.iov_iter import iov_iter_advance
from kemu.linux.mm.filemap import generic_perform_write
from kemu.linux.mm.shmem import shmem_aops, shmem_inode_acct_blocks
from kemu.machine.current import arch, this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import PAGECACHE, Page, PG_dirty, PG_locked, PG_uptodate
from kemu.machine.series import ShortForms
from kemu.machine.shadow import OK

short = ShortForms("short: whole ranges", packages=("kemu.linux",), stands_for=("kemu.linux",),
                   title="writes of many pages to files in memory")


def _account_shmem(inode: Inode, nr: int) -> bool:
    if shmem_inode_acct_blocks(inode, nr):
        return False
    inode.alloced += nr                         # type: ignore[attr-defined]
    inode.i_blocks += nr << arch.PAGE_SHIFT - 9
    return True


# a_ops that keep every byte in the page cache -> what accounts for ``nr`` new pages of an inode (False: no room)
_accounts: dict[int, Callable[[Inode, int], bool] | None] = {id(ram_aops): None, id(shmem_aops): _account_shmem}


def _make_run(mapping: AddressSpace, index: int, nr: int, pfn: int) -> None:
    """``nr`` uptodate, dirty folios of one page, from frames that are zero and have never been used."""
    alloc = this.machine.alloc
    this.mem.state.update(dict.fromkeys(range(pfn, pfn + nr), OK))
    run = []
    for i in range(nr):
        page = Page(pfn + i, 0, PAGECACHE)
        page.flags = PG_uptodate | PG_dirty
        page.mapping = mapping
        page.index = index + i
        run.append(page)
    mapping.i_pages.update(zip(range(index, index + nr), run))
    alloc.pages.update(zip(range(pfn, pfn + nr), run))
    mapping.nrpages += nr
    c = this.counters
    c.pages_allocated += nr
    c.pages_in_use += nr
    if c.pages_in_use > c.pages_peak:
        c.pages_peak = c.pages_in_use
    c.folios_cached += nr


def _write_run(mapping: AddressSpace, src: int, pos: int, n: int, account: Callable[[Inode, int], bool] | None) -> int:
    """Move [src, src + n) to the file's [pos, pos + n); bytes moved, fewer where the loop over folios must go on."""
    mem, alloc = this.mem, this.machine.alloc
    shift, mask, size = mem.shift, mem.mask, mem.page_size
    pages, buf = mapping.i_pages, mem.buf
    done = 0
    while done < n:
        at = pos + done
        index, off = at >> shift, at & mask
        folio = pages.get(index)
        if folio is not None:
            if folio.order or folio.flags & (PG_locked | PG_uptodate) != PG_uptodate:
                break
            k = min(size - off, n - done)
            mem.copy(PAGE_OFFSET + (folio.pfn << shift) + off, src + done, k)
            folio.flags |= PG_dirty
            done += k
            continue
        end = (pos + n - 1 >> shift) + 1
        if pages:
            nr = 1
            while index + nr < end and index + nr not in pages:
                nr += 1
        else:
            nr = end - index
        pfn = alloc.next_pfn
        if pfn + nr > alloc.top_pfn or (account is not None and not account(mapping.host, nr)):
            break
        k = min((nr << shift) - off, n - done)
        runs = mem.pieces(src + done, k, False)
        # whether the source was ever written interests no one
        alloc.next_pfn = pfn + nr
        if nr > 1:
            mem.touch(pfn, nr)
        to = (pfn << shift) + off
        for base, m in runs:
            buf[to:to + m] = buf[base:base + m]
            to += m
        mem.counters.bytes_copied += k
        _make_run(mapping, index, nr, pfn)
        done += k
    return done


def fill_new(mapping: AddressSpace, src: int, size: int) -> int:
    """The pages of a file that has none yet: ``size`` readable bytes at the offset ``src`` of the arena. Return: ``size``.

    What _write_run() does then, where there are frames for all and nothing to account for.
    """
    mem, alloc = this.mem, this.machine.alloc
    nr = size + mem.mask >> mem.shift
    pfn = alloc.next_pfn
    alloc.next_pfn = pfn + nr
    if nr > 1:
        mem.touch(pfn, nr)
    to = pfn << mem.shift
    mem.buf[to:to + size] = mem.buf[src:src + size]
    mem.counters.bytes_copied += size
    _make_run(mapping, 0, nr, pfn)
    return size


@short.replaces(generic_perform_write)
def generic_perform_write_in_runs(iocb: Kiocb, i: IovIter) -> int:
    """generic_perform_write(): what the iterator's first segment says in whole ranges, the rest folio by folio."""
    mapping = iocb.ki_filp.f_mapping
    key = id(mapping.a_ops)
    if i.iter_type != ITER_KVEC or not i.count or key not in _accounts or this.task.pending_signal:
        return generic_perform_write(iocb, i)
    src, n = _runs(i, i.count)[0]
    n = _write_run(mapping, src, iocb.ki_pos, n, _accounts[key])
    if not n:
        return generic_perform_write(iocb, i)
    iov_iter_advance(i, n)
    iocb.ki_pos += n
    mapping.host.i_size = max(mapping.host.i_size, iocb.ki_pos)
    return n + max(generic_perform_write(iocb, i), 0) if i.count else n
