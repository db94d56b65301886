# SPDX-License-Identifier: GPL-2.0-only
"""struct iov_iter (include/linux/uio.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page

P = "include/linux/uio.h"

ITER_UBUF, ITER_IOVEC, ITER_BVEC, ITER_KVEC, ITER_FOLIOQ, ITER_XARRAY, ITER_DISCARD = range(7)
ITER_SOURCE, ITER_DEST = 1, 0


@dup(P)
class Kvec:
    """``struct kvec``: ``iov_len`` bytes at the kernel address ``iov_base``."""

    __slots__ = ("iov_base", "iov_len")

    def __init__(self, iov_base: int = 0, iov_len: int = 0):
        self.iov_base = iov_base
        self.iov_len = iov_len


@custom(P, "iov_iter",
        "UBUF, BVEC, KVEC and DISCARD; vec is the user buffer or the list of segments, seg the current one's index")
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


@dup(P)
def copy_folio_to_iter(folio: Page, offset: int, bytes_: int, i: IovIter) -> int:
    """``size_t copy_folio_to_iter(struct folio *folio, size_t offset, size_t bytes, struct iov_iter *i)``"""
    from kemu.linux.lib.iov_iter import copy_to_iter  # noqa: PLC0415  (up into lib/iov_iter.c)

    return copy_to_iter(PAGE_OFFSET + (folio.pfn << this.mem.shift) + offset, bytes_, i)
