# SPDX-License-Identifier: GPL-2.0-only
"""Bios: ended exactly once, and a read that succeeded wrote every byte it was asked for."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.check.watch import Detector, Detectors
from kemu.check.where import Site, site
from kemu.linux.mm import page_folio
from kemu.linux.page_flags import folio_test_uptodate
from kemu.machine.current import this
from kemu.machine.shadow import OK, UNINIT
from kemu.machine.splat import KernelBug, Splat, call_trace, caller_function

if TYPE_CHECKING:
    from kemu.machine.machine import Machine

REQ_OP_MASK = 0xFF
_FORGET = bytes([UNINIT, *range(1, 256)])        # OK becomes UNINIT, everything else stays


class Bios(Detector):
    """What a read is about to fill counts as never written until somebody writes it."""

    name = "bios"

    def __init__(self) -> None:
        self.under_way: dict[int, tuple[Any, list[tuple[int, int]], Site | None]] = {}
        self.machine: Machine | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine

    def on_submit_bio(self, bio: Any) -> None:
        runs = _runs(bio, bio.bi_iter.bi_size)
        self.under_way[id(bio)] = (bio, runs, site())
        if bio.bi_opf & REQ_OP_MASK == 0:
            for start, n in runs:
                _forget(start, n)

    def on_bio_endio(self, bio: Any) -> None:
        entry = self.under_way.pop(id(bio), None)
        if bio.bi_status or bio.bi_opf & REQ_OP_MASK:
            return
        if bio.bi_end_io is None and not any(folio_test_uptodate(page_folio(v.bv_page)) for v in bio.bi_io_vec[:bio.bi_vcnt]):
            # nobody is told how it ended: what it read has been judged by folio, and is not believed
            return
        runs = entry[1] if entry is not None and entry[0] is bio else _runs(bio, -1)
        for start, n in runs:
            bad = _unwritten(start, n)
            if bad is not None:
                func, line = caller_function()
                at, count = bad
                raise Splat(f"BUG: KMSAN: uninit-value in {func}: bio ends without error, but bytes of it were never written",
                            [repr(bio), f"The first is byte {at} of a segment of {n}; {count} bytes are missing",
                             f"Virtual time: {this.machine.clock.now_ns} ns", "Call Trace:", *call_trace()], function=func,
                            line=line)

    def free(self, what: str, obj: Any) -> None:
        self.under_way.pop(id(obj), None)

    def finish(self) -> None:
        for bio, _, where in self.under_way.values():
            func = where.function if where else "?"
            self.under_way = {}
            raise KernelBug(f"BUG: bio never ended, submitted in {func}", [repr(bio), f"submitted in {where or '?'}"],
                            function=func)


def _runs(bio: Any, size: int) -> list[tuple[int, int]]:
    """(arena offset, length) of a bio's segments, the first ``size`` bytes of them (-1: all)."""
    shift = this.mem.shift
    out = []
    skip = bio.bi_iter.bi_bvec_done if size >= 0 else 0
    for bv in bio.bi_io_vec[bio.bi_iter.bi_idx if size >= 0 else 0:bio.bi_vcnt]:
        n = bv.bv_len - skip if size < 0 else min(bv.bv_len - skip, size)
        if n <= 0:
            break
        out.append(((bv.bv_page.pfn << shift) + bv.bv_offset + skip, n))
        skip = 0
        if size >= 0:
            size -= n
    return out


def _pages(start: int, n: int) -> list[tuple[int, int, int]]:
    """(pfn, offset, length) of the pages of a run."""
    mem = this.mem
    out = []
    while n > 0:
        off = start & mem.mask
        step = min(n, mem.page_size - off)
        out.append((start >> mem.shift, off, step))
        start += step
        n -= step
    return out


def _forget(start: int, n: int) -> None:
    mem = this.mem
    for pfn, off, step in _pages(start, n):
        st = mem.get_state(pfn)
        if type(st) is int:
            if st == OK:
                if step == mem.page_size:
                    mem.set_page(pfn, UNINIT)
                else:
                    mem.poke(pfn, off, step, UNINIT)
        else:
            st[off:off + step] = st[off:off + step].translate(_FORGET)          # type: ignore[index]


def _unwritten(start: int, n: int) -> tuple[int, int] | None:
    """Offset of the first byte that was never written, and how many there are."""
    mem = this.mem
    done, first, count = 0, -1, 0
    for pfn, off, step in _pages(start, n):
        st = mem.get_state(pfn)
        part = (bytes([st]) * step) if type(st) is int else bytes(st[off:off + step])       # type: ignore[index,list-item]
        k = part.count(UNINIT)
        if k:
            if first < 0:
                first = done + part.index(UNINIT)
            count += k
        done += step
    return (first, count) if count else None
