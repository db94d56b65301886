# SPDX-License-Identifier: GPL-2.0-only
"""Copying to and from an iov_iter (lib/iov_iter.c).

User memory is a writable Python buffer (ITER_UBUF); kernel memory is addresses (ITER_KVEC) or pages (ITER_BVEC).
"""
from __future__ import annotations

from kemu.linux.bug import BUG, BUG_ON, WARN_ON, WARN_ON_ONCE
from kemu.linux.bvec import BioVec
from kemu.linux.include.uio import (
    ITER_BVEC,
    ITER_DEST,
    ITER_DISCARD,
    ITER_KVEC,
    ITER_SOURCE,
    ITER_UBUF,
    IovIter,
    Kvec,
    _init,
    _runs,
)
from kemu.linux.port.honesty import dup
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page

C = "lib/iov_iter.c"


@dup(C)
def iov_iter_kvec(i: IovIter, direction: int, kvec: list[Kvec], nr_segs: int, count: int) -> None:
    """``void iov_iter_kvec(struct iov_iter *i, unsigned int direction, const struct kvec *kvec, unsigned long nr_segs, size_t
    count)``
    """
    WARN_ON(direction & ~(ITER_SOURCE | ITER_DEST))
    _init(i, ITER_KVEC, direction, kvec, nr_segs, count)


@dup(C)
def iov_iter_bvec(i: IovIter, direction: int, bvec: list[BioVec], nr_segs: int, count: int) -> None:
    """``void iov_iter_bvec(struct iov_iter *i, unsigned int direction, const struct bio_vec *bvec, unsigned long nr_segs, size_t
    count)``
    """
    WARN_ON(direction & ~(ITER_SOURCE | ITER_DEST))
    _init(i, ITER_BVEC, direction, bvec, nr_segs, count)


@dup(C)
def iov_iter_discard(i: IovIter, direction: int, count: int) -> None:
    """``void iov_iter_discard(struct iov_iter *i, unsigned int direction, size_t count)``"""
    BUG_ON(direction != ITER_DEST)
    _init(i, ITER_DISCARD, direction, None, 0, count)


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


@dup(C)
def page_copy_sane(page: Page, offset: int, n: int) -> bool:
    """``static bool page_copy_sane(struct page *page, size_t offset, size_t n)``: the bytes are the folio's."""
    head = page.head or page
    v = n + offset + (page.pfn - head.pfn << this.mem.shift)
    return not WARN_ON(n > v or v > 1 << this.mem.shift + head.order)


@dup(C)
def copy_page_to_iter(page: Page, offset: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_page_to_iter(struct page *page, size_t offset, size_t bytes, struct iov_iter *i)``: may cross the folio's
    pages.
    """
    if not page_copy_sane(page, offset, bytes_):
        return 0
    if WARN_ON_ONCE(i.data_source):
        return 0
    return copy_to_iter(PAGE_OFFSET + (page.pfn << this.mem.shift) + offset, bytes_, i)


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
    """``unsigned long iov_iter_alignment(const struct iov_iter *i)``: the addresses and lengths or-ed; user buffers count as page
    aligned.
    """
    if i.iter_type in (ITER_UBUF, ITER_DISCARD):
        return i.count
    res = 0
    for base, n in _runs(i, i.count):
        res |= base | n
    return res
