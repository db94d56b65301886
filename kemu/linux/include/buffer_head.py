# SPDX-License-Identifier: GPL-2.0-only
"""struct buffer_head, its bits and its lock (include/linux/buffer_head.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BlockDevice
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spinlock_t
from kemu.machine.current import this
from kemu.machine.pages import Page, PG_private
from kemu.machine.sched import WaitQueue

P = "include/linux/buffer_head.h"

(BH_Uptodate, BH_Dirty, BH_Lock, BH_Req, BH_Mapped, BH_New, BH_Async_Read, BH_Async_Write, BH_Delay, BH_Boundary, BH_Write_EIO,
 BH_Unwritten, BH_Quiet, BH_Meta, BH_Prio, BH_Defer_Completion) = range(16)
_Uptodate, _Dirty, _Lock, _Req, _Mapped, _New, _Async_Read = (1 << i for i in range(7))
_Boundary, _Quiet, _Meta, _Prio = 1 << BH_Boundary, 1 << BH_Quiet, 1 << BH_Meta, 1 << BH_Prio
_DISCARD = _Mapped | _New | _Req | 1 << BH_Delay | 1 << BH_Unwritten
GetBlock = Callable[[Any, int, Any, int], int]


@dup(P)
class BufferHead:
    """``struct buffer_head``: one block of a folio. ``b_state`` has BH_* bits; ``offset`` is bh_offset()."""

    __slots__ = ("b_bdev", "b_blocknr", "b_count", "b_folio", "b_private", "b_size", "b_state", "b_this_page", "b_uptodate_lock",
                 "offset", "waiters")

    def __init__(self, folio: Page | None = None, offset: int = 0, size: int = 0):
        self.b_state = 0
        self.b_uptodate_lock = spinlock_t("b_uptodate_lock")
        self.b_this_page: BufferHead = None             # type: ignore[assignment]
        self.b_folio: Page = folio                      # type: ignore[assignment]
        self.b_blocknr = -1
        self.b_size = size
        self.offset = offset
        self.b_bdev: BlockDevice = None                 # type: ignore[assignment]
        self.b_private: Any = None
        self.b_count = 0
        self.waiters: WaitQueue | None = None

    def __repr__(self) -> str:
        return f"<buffer_head block:{self.b_blocknr} size:{self.b_size} offset:{self.offset} state:{self.b_state:#x}>"


@dup(P)
def buffer_uptodate(bh: BufferHead) -> bool:
    """``bool buffer_uptodate(const struct buffer_head *bh)``"""
    return bool(bh.b_state & _Uptodate)


@dup(P)
def buffer_mapped(bh: BufferHead) -> bool:
    """``bool buffer_mapped(const struct buffer_head *bh)``"""
    return bool(bh.b_state & _Mapped)


@dup(P)
def set_buffer_mapped(bh: BufferHead) -> None:
    """``void set_buffer_mapped(struct buffer_head *bh)``"""
    bh.b_state |= _Mapped


@dup(P)
def set_buffer_uptodate(bh: BufferHead) -> None:
    """``void set_buffer_uptodate(struct buffer_head *bh)``"""
    bh.b_state |= _Uptodate


@dup(P)
def bh_offset(bh: BufferHead) -> int:
    """``unsigned long bh_offset(const struct buffer_head *bh)``: in its folio."""
    return bh.offset


@dup(P)
def folio_buffers(folio: Page) -> Any:
    """``folio_buffers(folio)``: the first one, or None."""
    return (folio.private or None) if folio.flags & PG_private else None


@custom(P, "lock_buffer", "a bit and a scheduler queue")
def lock_buffer(bh: BufferHead) -> None:
    """``void lock_buffer(struct buffer_head *bh)``. Context: may sleep."""
    while bh.b_state & _Lock:
        if bh.waiters is None:
            bh.waiters = WaitQueue("a buffer's lock", "the end of its read")
        this.sched.block(bh.waiters)
    bh.b_state |= _Lock


@custom(P, "invalidate_bh_lrus", "there are no per-CPU caches of buffer heads")
def invalidate_bh_lrus() -> None:
    """``void invalidate_bh_lrus(void)``"""
