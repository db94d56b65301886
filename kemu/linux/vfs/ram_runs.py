# SPDX-License-Identifier: GPL-2.0-only
"""Writes that move whole ranges into the page cache of a file system without backing store.

Where nobody listens (no Chooser, no watch) generic_perform_write() need not go folio by folio: this makes the same folios, in the same state, as
its loop would, in runs of fresh frames that take one copy.
"""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.mapping import AddressSpace
from kemu.linux.types import Ref, arch
from kemu.linux.uio import ITER_KVEC, IovIter, _runs, iov_iter_advance
from kemu.linux.vfs.constants import FMODE_CAN_WRITE, FMODE_WRITE
from kemu.linux.vfs.inode_attr import file_update_time
from kemu.linux.vfs.types import File, Inode, address_space_operations
from kemu.machine.current import this
from kemu.machine.memory import OK, PAGE_OFFSET
from kemu.machine.pages import PAGECACHE, Page, PageAllocator, PG_dirty, PG_locked, PG_uptodate

_WRITABLE = FMODE_WRITE | FMODE_CAN_WRITE

# a_ops whose folios may be made in runs -> what accounts for ``nr`` new pages of an inode (False: no room)
_whole_ranges: dict[int, Callable[[Inode, int], bool] | None] = {}


def writes_whole_ranges(a_ops: address_space_operations, account: Callable[[Inode, int], bool] | None) -> None:
    """Declare a_ops that keep every byte in the page cache, as ram_aops do."""
    _whole_ranges[id(a_ops)] = account


class _Run:
    """``nr`` uptodate, dirty folios of one page, from frames that are zero and have never been used.

    Like tail pages, their Pages are made when someone asks for one: an unpacker writes many files that no one reads.
    """

    __slots__ = ("alloc", "index", "mapping", "nr", "pfn")

    def __init__(self, alloc: PageAllocator, mapping: AddressSpace, index: int, nr: int, pfn: int):
        self.alloc = alloc
        self.mapping = mapping
        self.index = index
        self.nr = nr
        self.pfn = pfn

    def pages(self) -> list[Page]:
        mapping, index, pfn = self.mapping, self.index, self.pfn
        run = []
        for i in range(self.nr):
            page = Page(pfn + i, 0, PAGECACHE)
            page.flags = PG_uptodate | PG_dirty
            page.mapping = mapping
            page.index = index + i
            run.append(page)
        return run

    def make(self) -> None:
        """The folios of a mapping that has no others."""
        mapping, run = self.mapping, self.pages()
        mapping.i_pages = dict(zip(range(self.index, self.index + self.nr), run))
        mapping.i_run = None
        self.alloc.made(self.pfn, dict(zip(range(self.pfn, self.pfn + self.nr), run)))


def _make_run(mapping: AddressSpace, index: int, nr: int, pfn: int) -> None:
    alloc = this.machine.alloc
    if nr == 1:
        this.mem.state[pfn] = OK
    else:
        this.mem.state.update(dict.fromkeys(range(pfn, pfn + nr), OK))
    run = _Run(alloc, mapping, index, nr, pfn)
    if mapping.nrpages:
        pages = run.pages()
        mapping.i_pages.update(zip(range(index, index + nr), pages))
        alloc.pages.update(zip(range(pfn, pfn + nr), pages))
    else:
        del mapping.i_pages
        mapping.i_run = run.make
        alloc.later(pfn, run.make)
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
        if pfn + nr > alloc.top_pfn or account is not None and not account(mapping.host, nr):
            break
        k = min((nr << shift) - off, n - done)
        runs = mem.pieces(src + done, k, False)
        # no watch: whether the source was ever written interests no one
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
        if done < n:
            pages = mapping.i_pages
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


def write_at_once(file: File, buf: int, count: int, pos: Ref) -> int:
    """What generic_file_write_iter() makes of kernel_write(), where nobody listens: bytes written, fewer where the loop over folios must go on.

    0: nothing was done, make the ordinary call.
    """
    mapping = file.f_mapping
    inode = mapping.host
    at = pos.v
    sem = inode.i_rwsem
    key = id(mapping.a_ops)
    if (file.f_mode & _WRITABLE != _WRITABLE or file.f_iocb_flags or not 0 <= at <= at + count <= inode.i_sb.s_maxbytes or count > 0x7FFF_FFFF & arch.PAGE_MASK
            or sem is not None and (sem.writer is not None or sem.readers) or this.task.pending_signal or key not in _whole_ranges):
        return 0
    n = _write_run(mapping, buf, at, count, _whole_ranges[key])
    if n:
        file_update_time(file)
        if at + n > inode.i_size:
            inode.i_size = at + n
        pos.v = at + n
    return n


def write_ranges(mapping: AddressSpace, i: IovIter, pos: int) -> int:
    """Write what can be written in whole ranges from the iterator's current segment; bytes written, 0 if the loop over folios must do it."""
    if this.chooser is not None or this.watch is not None or i.iter_type != ITER_KVEC or id(mapping.a_ops) not in _whole_ranges:
        return 0
    src, n = _runs(i, i.count)[0]
    n = _write_run(mapping, src, pos, n, _whole_ranges[id(mapping.a_ops)])
    if n:
        iov_iter_advance(i, n)
        if pos + n > mapping.host.i_size:
            mapping.host.i_size = pos + n
    return n
