# SPDX-License-Identifier: GPL-2.0-only
"""Where a read goes: struct iov_iter (include/linux/uio.h, lib/iov_iter.c).

User memory is a writable Python buffer (ITER_UBUF); kernel memory is addresses (ITER_KVEC) or pages (ITER_BVEC).
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG, BUG_ON, WARN_ON, WARN_ON_ONCE
from kemu.linux.bvec import BioVec
from kemu.linux.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page

P = "include/linux/uio.h"
C = "lib/iov_iter.c"
ITER_UBUF, ITER_IOVEC, ITER_BVEC, ITER_KVEC, ITER_FOLIOQ, ITER_XARRAY, ITER_DISCARD = range(7)
ITER_SOURCE, ITER_DEST = 1, 0


@dup(P)
class Kvec:
    """``struct kvec``: ``iov_len`` bytes at the kernel address ``iov_base``."""

    __slots__ = ("iov_base", "iov_len")

    def __init__(self, iov_base: int = 0, iov_len: int = 0):
        self.iov_base = iov_base
        self.iov_len = iov_len


@custom(P, "iov_iter", "UBUF, BVEC, KVEC and DISCARD; vec is the user buffer or the list of segments, seg the current one's index")
class IovIter:
    """``struct iov_iter``: ``count`` bytes to go, ``iov_offset`` into the current segment."""

    __slots__ = ("count", "data_source", "iov_offset", "iter_type", "nofault", "nr_segs", "seg", "vec")

    def __init__(self) -> None:
        self.iter_type = ITER_UBUF
        self.data_source = False
        self.nofault = False
        self.iov_offset = 0
        self.count = 0
        self.nr_segs = 0
        self.seg = 0
        self.vec: Any = None


def _init(i: IovIter, iter_type: int, direction: int, vec: Any, nr_segs: int, count: int) -> None:
    i.iter_type = iter_type
    i.data_source = bool(direction)
    i.nofault = False
    i.iov_offset = 0
    i.vec = vec
    i.seg = 0
    i.nr_segs = nr_segs
    i.count = count


@custom(P, "iov_iter_ubuf", "the user's memory is a Python buffer")
def iov_iter_ubuf(i: IovIter, direction: int, buf: bytearray | memoryview, count: int) -> None:
    """``void iov_iter_ubuf(struct iov_iter *i, unsigned int direction, void __user *buf, size_t count)``"""
    _init(i, ITER_UBUF, direction, buf, 1, count)


@dup(C)
def iov_iter_kvec(i: IovIter, direction: int, kvec: list[Kvec], nr_segs: int, count: int) -> None:
    """``void iov_iter_kvec(struct iov_iter *i, unsigned int direction, const struct kvec *kvec, unsigned long nr_segs, size_t count)``"""
    WARN_ON(direction & ~(ITER_SOURCE | ITER_DEST))
    _init(i, ITER_KVEC, direction, kvec, nr_segs, count)


@dup(C)
def iov_iter_bvec(i: IovIter, direction: int, bvec: list[BioVec], nr_segs: int, count: int) -> None:
    """``void iov_iter_bvec(struct iov_iter *i, unsigned int direction, const struct bio_vec *bvec, unsigned long nr_segs, size_t count)``"""
    WARN_ON(direction & ~(ITER_SOURCE | ITER_DEST))
    _init(i, ITER_BVEC, direction, bvec, nr_segs, count)


@dup(C)
def iov_iter_discard(i: IovIter, direction: int, count: int) -> None:
    """``void iov_iter_discard(struct iov_iter *i, unsigned int direction, size_t count)``"""
    BUG_ON(direction != ITER_DEST)
    _init(i, ITER_DISCARD, direction, None, 0, count)


@dup(P)
def iov_iter_count(i: IovIter) -> int:
    """``size_t iov_iter_count(const struct iov_iter *i)``"""
    return i.count


@dup(P)
def iov_iter_truncate(i: IovIter, count: int) -> None:
    """``void iov_iter_truncate(struct iov_iter *i, u64 count)``: at most ``count`` bytes from now on."""
    if i.count > count:
        i.count = count


@dup(P)
def iov_iter_reexpand(i: IovIter, count: int) -> None:
    """``void iov_iter_reexpand(struct iov_iter *i, size_t count)``"""
    i.count = count


@dup(P)
def iov_iter_rw(i: IovIter) -> int:
    """``unsigned char iov_iter_rw(const struct iov_iter *i)``: READ 0, WRITE 1."""
    return 1 if i.data_source else 0


@dup(P)
def iov_iter_is_bvec(i: IovIter) -> bool:
    """``bool iov_iter_is_bvec(const struct iov_iter *i)``"""
    return i.iter_type == ITER_BVEC


@dup(P)
def iov_iter_is_kvec(i: IovIter) -> bool:
    """``bool iov_iter_is_kvec(const struct iov_iter *i)``"""
    return i.iter_type == ITER_KVEC


@dup(P)
def user_backed_iter(i: IovIter) -> bool:
    """``bool user_backed_iter(const struct iov_iter *i)``"""
    return i.iter_type == ITER_UBUF


def _seg_len(i: IovIter, seg: int) -> int:
    s = i.vec[seg]
    return int(s.bv_len if i.iter_type == ITER_BVEC else s.iov_len)


@dup(C)
def iov_iter_advance(i: IovIter, size: int) -> None:
    """``void iov_iter_advance(struct iov_iter *i, size_t size)``"""
    if size > i.count:
        size = i.count
    i.count -= size
    if i.iter_type in (ITER_UBUF, ITER_DISCARD):
        i.iov_offset += size
        return
    size += i.iov_offset
    while i.nr_segs and size >= _seg_len(i, i.seg):
        size -= _seg_len(i, i.seg)
        i.seg += 1
        i.nr_segs -= 1
    i.iov_offset = size


@dup(C)
def iov_iter_revert(i: IovIter, unroll: int) -> None:
    """``void iov_iter_revert(struct iov_iter *i, size_t unroll)``: gives back what iov_iter_advance() took."""
    if not unroll:
        return
    if WARN_ON(unroll > 0x7FFF_FFFF & -(1 << this.mem.shift)):      # MAX_RW_COUNT
        return
    i.count += unroll
    if i.iter_type == ITER_DISCARD:
        return
    if unroll <= i.iov_offset:
        i.iov_offset -= unroll
        return
    unroll -= i.iov_offset
    if i.iter_type == ITER_UBUF:
        BUG()                                   # never beyond the start of the range
    while True:
        i.seg -= 1
        i.nr_segs += 1
        n = _seg_len(i, i.seg)
        if unroll <= n:
            i.iov_offset = n - unroll
            return
        unroll -= n


@dup(C)
def iov_iter_single_seg_count(i: IovIter) -> int:
    """``size_t iov_iter_single_seg_count(const struct iov_iter *i)``"""
    if i.nr_segs > 1 and i.iter_type in (ITER_BVEC, ITER_KVEC):
        return min(i.count, _seg_len(i, i.seg) - i.iov_offset)
    return i.count


def _runs(i: IovIter, n: int) -> list[tuple[int, int]]:
    """The next ``n`` bytes of a KVEC or BVEC as (address, length)."""
    out = []
    seg, off = i.seg, i.iov_offset
    shift = this.mem.shift
    while n > 0:
        s = i.vec[seg]
        if i.iter_type == ITER_BVEC:
            base, length = PAGE_OFFSET + (s.bv_page.pfn << shift) + s.bv_offset, s.bv_len
        else:
            base, length = s.iov_base, s.iov_len
        step = min(length - off, n)
        if step:
            out.append((base + off, step))
        n -= step
        seg += 1
        off = 0
    return out


@dup(C, "_copy_to_iter")
def copy_to_iter(addr: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_to_iter(const void *addr, size_t bytes, struct iov_iter *i)``

    Return: bytes copied; fewer when the iterator ends or the user's memory faults (fail_usercopy).
    """
    n = bytes_ if bytes_ <= i.count else i.count
    if n <= 0:
        return 0
    if WARN_ON_ONCE(i.data_source):
        return 0
    if i.iter_type == ITER_UBUF:
        if this.chooser is not None and should_fail("fail_usercopy", "copy_to_iter"):
            return 0
        pos = i.iov_offset
        this.mem.give_to(i.vec, pos, addr, n)
        i.iov_offset = pos + n
        i.count -= n
        return n
    if i.iter_type != ITER_DISCARD:
        src = addr
        for dst, step in _runs(i, n):
            this.mem.copy(dst, src, step)
            src += step
    iov_iter_advance(i, n)
    return n


@dup(C, "_copy_from_iter")
def copy_from_iter(addr: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_from_iter(void *addr, size_t bytes, struct iov_iter *i)``: see :func:`copy_to_iter`."""
    n = min(bytes_, i.count)
    if n <= 0:
        return 0
    if WARN_ON_ONCE(not i.data_source):
        return 0
    if i.iter_type == ITER_UBUF:
        if this.chooser is not None and should_fail("fail_usercopy", "copy_from_iter"):
            return 0
        this.mem.store(addr, bytes(i.vec[i.iov_offset:i.iov_offset + n]))
    elif i.iter_type != ITER_DISCARD:
        dst = addr
        for src, step in _runs(i, n):
            this.mem.copy(dst, src, step)
            dst += step
    iov_iter_advance(i, n)
    return n


@dup("lib/iov_iter.c")
def page_copy_sane(page: Page, offset: int, n: int) -> bool:
    """``static bool page_copy_sane(struct page *page, size_t offset, size_t n)``: the bytes are the folio's."""
    head = page.head or page
    v = n + offset + (page.pfn - head.pfn << this.mem.shift)
    return not WARN_ON(n > v or v > 1 << this.mem.shift + head.order)


@dup(C)
def copy_page_to_iter(page: Page, offset: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_page_to_iter(struct page *page, size_t offset, size_t bytes, struct iov_iter *i)``: may cross the folio's pages."""
    if not page_copy_sane(page, offset, bytes_):
        return 0
    if WARN_ON_ONCE(i.data_source):
        return 0
    return copy_to_iter(PAGE_OFFSET + (page.pfn << this.mem.shift) + offset, bytes_, i)


@dup(P)
def copy_folio_to_iter(folio: Page, offset: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_folio_to_iter(struct folio *folio, size_t offset, size_t bytes, struct iov_iter *i)``"""
    return copy_to_iter(PAGE_OFFSET + (folio.pfn << this.mem.shift) + offset, bytes_, i)


@dup(C)
def copy_page_from_iter(page: Page, offset: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_page_from_iter(struct page *page, size_t offset, size_t bytes, struct iov_iter *i)``"""
    if not page_copy_sane(page, offset, bytes_):
        return 0
    return copy_from_iter(PAGE_OFFSET + (page.pfn << this.mem.shift) + offset, bytes_, i)


@dup(C)
def iov_iter_zero(bytes_: int, i: IovIter) -> int:
    """``size_t iov_iter_zero(size_t bytes, struct iov_iter *i)``: bytes zeroed."""
    n = min(bytes_, i.count)
    if n <= 0:
        return 0
    if i.iter_type == ITER_UBUF:
        if this.chooser is not None and should_fail("fail_usercopy", "iov_iter_zero"):
            return 0
        i.vec[i.iov_offset:i.iov_offset + n] = bytes(n)
        this.counters.bytes_to_reader += n
    elif i.iter_type != ITER_DISCARD:
        for dst, step in _runs(i, n):
            this.mem.fill(dst, 0, step)
    iov_iter_advance(i, n)
    return n


@dup(C)
def iov_iter_alignment(i: IovIter) -> int:
    """``unsigned long iov_iter_alignment(const struct iov_iter *i)``: the addresses and lengths or-ed; user buffers count as page aligned."""
    if i.iter_type in (ITER_UBUF, ITER_DISCARD):
        return i.count
    res = 0
    for base, n in _runs(i, i.count):
        res |= base | n
    return res
