# SPDX-License-Identifier: GPL-2.0-only
"""kmalloc memory: objects in slab pages with redzones, freed ones in quarantine.

Kernel objects that ported code uses by field (an inode, a pcluster) are Python objects and take no arena memory; byte buffers do.
Sizes round up to kmalloc's classes, natural alignment for powers of two included, and the bytes between the asked-for size and
the next object are redzone.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from kemu.machine.current import this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import LARGE_KMALLOC, SLAB, Page, PageAllocator
from kemu.machine.shadow import FREE_PAGE, OK, PAGE_REDZONE, SLAB_FREE, SLAB_REDZONE, UNINIT
from kemu.machine.splat import KernelBug, caller_function

CLASSES = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
QUARANTINE = 256            # freed objects that wait before their slab page may go back


class SlabObject:
    """One live or freed kmalloc object; the history in a report comes from here."""

    __slots__ = ("addr", "allocated_by", "freed_by", "pages", "size", "slot")

    def __init__(self, addr: int, size: int, slot: int, pages: Page | None):
        self.addr = addr
        self.size = size
        self.slot = slot
        self.pages = pages                  # large kmalloc: its own run
        self.allocated_by = ""
        self.freed_by = ""


class Slab:
    """kmalloc and kfree over the page allocator."""

    __slots__ = ("alloc", "freed", "live", "open", "order_list", "page_of")

    def __init__(self, alloc: PageAllocator):
        self.alloc = alloc
        self.live: dict[int, SlabObject] = {}
        self.freed: dict[int, SlabObject] = {}
        self.open: dict[int, list[int]] = {}        # slot size -> [next address, end address]
        self.order_list: list[int] = []

    def kmalloc(self, size: int, zero: bool) -> int:
        """Address of ``size`` bytes, 0 if memory is exhausted, 16 (ZERO_SIZE_PTR) for size 0."""
        if size == 0:
            return 16
        mem = self.alloc.mem
        biggest = 2 * mem.page_size
        if size > biggest:
            return self._large(size, zero)
        cls = CLASSES[bisect_left(CLASSES, size)] if size <= 8192 else 1 << (size - 1).bit_length()
        slot = cls * 2 if not cls & (cls - 1) else cls + 32
        o = self.open.get(cls)
        if o is None or o[0] + slot > o[1]:
            order = 0
            while (mem.page_size << order) < slot * 4 and order < 3:
                order += 1
            page = self.alloc.alloc(order, False, SLAB)
            if page is None:
                return 0
            page.refcount = 0
            base = PAGE_OFFSET + (page.pfn << mem.shift)
            for i in range(1 << order):
                mem.set_page(page.pfn + i, SLAB_REDZONE)
            # a redzone before the first object, too
            o = self.open[cls] = [base + (cls if not cls & (cls - 1) else 32), base + (mem.page_size << order)]
            if o[0] + slot > o[1]:
                o[0] = base
        addr = o[0]
        o[0] += slot
        mem.set_range(addr, size, UNINIT)
        if zero:
            mem.fill(addr, 0, size)
        self._note(addr, size, slot, None)
        return addr

    def _large(self, size: int, zero: bool) -> int:
        mem = self.alloc.mem
        pages = (size + mem.mask) >> mem.shift
        order = (pages - 1).bit_length()
        page = self.alloc.alloc(order, zero, LARGE_KMALLOC)
        if page is None:
            return 0
        page.refcount = 0
        addr = PAGE_OFFSET + (page.pfn << mem.shift)
        mem.set_range(addr + size, (mem.page_size << order) - size, PAGE_REDZONE)
        self._note(addr, size, size, page)
        return addr

    def _note(self, addr: int, size: int, slot: int, pages: Page | None) -> None:
        o = SlabObject(addr, size, slot, pages)
        self.live[addr] = o
        self.alloc.mem.counters.kmalloc_bytes += size
        if this.watch is not None:
            o.allocated_by = caller_function()[0]
            this.watch.alloc("kmalloc", addr, size)

    def kfree(self, addr: int) -> None:
        """Give an object back; a second time, or an address that kmalloc never gave, is a report."""
        if addr in (0, 16):
            return
        o = self.live.pop(addr, None)
        if o is None:
            func = caller_function()[0]
            if addr in self.freed:
                raise KernelBug(f"BUG: KASAN: double-free in {func}", [f"Free of addr {addr:016x}", *self.describe(addr)],
                                function=func, addr=addr)
            raise KernelBug(f"BUG: KASAN: invalid-free in {func}", [f"Free of addr {addr:016x}", *self.describe(addr)],
                            function=func, addr=addr)
        mem = self.alloc.mem
        if this.watch is not None:
            o.freed_by = caller_function()[0]
            this.watch.free("kmalloc", addr)
        self.freed[addr] = o
        if o.pages is not None:
            self.alloc.free(o.pages)
        else:
            mem.set_range(addr, o.size, SLAB_FREE)

    def find(self, addr: int) -> SlabObject | None:
        """The object that contains ``addr`` or lies nearest below it within its slot."""
        best: SlabObject | None = None
        for table in (self.live, self.freed):
            keys = sorted(table)
            i = bisect_right(keys, addr) - 1
            if i >= 0:
                o = table[keys[i]]
                if addr < o.addr + max(o.slot, o.size) and (best is None or o.addr > best.addr):
                    best = o
        return best

    def describe(self, addr: int) -> list[str]:
        """History of the object at ``addr``, in KASAN's words."""
        o = self.find(addr)
        if o is None:
            return []
        where = addr - o.addr
        if where >= o.size:
            place = f"located {where - o.size} bytes to the right of"
        else:
            place = f"located {where} bytes inside of"
        out = [f"The buggy address is {place} {o.size}-byte region [{o.addr:016x}, {o.addr + o.size:016x})"]
        if o.allocated_by:
            out.append(f"Allocated by {o.allocated_by}")
        if o.freed_by:
            out.append(f"Freed by {o.freed_by}")
        return out


def slab_codes() -> tuple[int, ...]:
    """Shadow codes that slab memory can have."""
    return OK, UNINIT, SLAB_REDZONE, SLAB_FREE, FREE_PAGE


def is_slab_address(slab: Slab, addr: Any) -> bool:
    """True for an address that kmalloc gave and that is still allocated."""
    return isinstance(addr, int) and addr in slab.live
