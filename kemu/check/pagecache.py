# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of the page cache: one mapping for a folio, its index stays, and a read that succeeded wrote every byte."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.check.watch import Detector, Detectors
from kemu.check.where import Site, filler_site
from kemu.machine.current import this
from kemu.machine.pages import Page, page_va
from kemu.machine.shadow import UNINIT
from kemu.machine.splat import KernelBug, Splat, call_trace, caller_function

if TYPE_CHECKING:
    from kemu.machine.machine import Machine


class PageCache(Detector):
    """Watches folios enter and leave mappings and end their reads."""

    name = "page cache"

    def __init__(self) -> None:
        self.where: dict[int, tuple[Page, Any, int]] = {}       # id(folio) -> folio, mapping, index
        self.machine: Machine | None = None
        self.filled_by: Site | None = None                      # the operation that ended the last successful read

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine

    def on_mm_filemap_add_to_page_cache(self, folio: Page) -> None:
        known = self.where.get(id(folio))
        func = caller_function()[0]
        if known is not None and known[0] is folio:
            raise KernelBug(f"BUG: Bad page cache in {func}: folio added to a second mapping",
                            [repr(folio), "Call Trace:", *call_trace()], function=func)
        self.where[id(folio)] = (folio, folio.mapping, folio.index)

    def on_mm_filemap_delete_from_page_cache(self, folio: Page) -> None:
        known = self.where.pop(id(folio), None)
        if known is not None and folio.index != known[2]:
            func = caller_function()[0]
            raise KernelBug(f"BUG: Bad page cache in {func}: index {known[2]:#x} became {folio.index:#x} while cached",
                            [repr(folio)], function=func)

    def page_free(self, page: Page) -> None:
        if id(page) in self.where and self.where[id(page)][0] is page:
            func = caller_function()[0]
            raise KernelBug(f"BUG: Bad page state in {func}: freed while in the page cache",
                            [repr(page), "Call Trace:", *call_trace()], function=func)

    def on_folio_end_read(self, folio: Page, success: bool) -> None:
        if not success:
            return
        self.filled_by = filler_site()
        mem = this.mem
        for i in range(1 << folio.order):
            state = mem.get_state(folio.pfn + i)
            if state == UNINIT or (type(state) is not int and UNINIT in state):         # type: ignore[operator]
                func, line = caller_function()
                at = 0 if type(state) is int else state.index(UNINIT)                   # type: ignore[union-attr]
                raise Splat(f"BUG: KMSAN: uninit-value in {func}: read of folio ends with bytes that nobody wrote",
                            [repr(folio), f"The first is byte {(i << mem.shift) + at} of {mem.page_size << folio.order}",
                             "Call Trace:", *call_trace()],
                            function=func, line=line, addr=page_va(folio) + (i << mem.shift) + at)

    def finish(self) -> None:
        for folio, mapping, index in self.where.values():
            if folio.mapping is not mapping or folio.index != index:
                raise KernelBug("BUG: Bad page cache: folio changed its place while cached",
                                [repr(folio), f"entered at index {index:#x} of {mapping!r}"], function="filemap_add_folio")
