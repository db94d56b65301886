# SPDX-License-Identifier: GPL-2.0-only
"""Memory before the page allocator, and giving it back later (mm/memblock.c)."""
from __future__ import annotations

from kemu.linux.bug import WARN
from kemu.linux.include.memblock import _POISON_CHUNK, __pa, _memory_event
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_info
from kemu.machine.boot import InitMemory
from kemu.machine.current import arch, this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.region import Region
from kemu.machine.shadow import RELEASED_INIT
from kemu.machine.splat import KernelBug, caller_function
from kemu.machine.statics import statics

C = "mm/memblock.c"

@statics
class g:
    reserved: list[tuple[int, int]] = []            # first byte, byte behind the last; physical
    deferred_pages = False


@dup(C)
def memblock_is_region_memory(base: int, size: int) -> bool:
    """``bool memblock_is_region_memory(phys_addr_t base, phys_addr_t size)``: all of it is RAM."""
    return 0 <= base and base + size <= this.mem.nr_pages << this.mem.shift


@dup(C)
def memblock_is_region_reserved(base: int, size: int) -> bool:
    """``bool memblock_is_region_reserved(phys_addr_t base, phys_addr_t size)``: some of it is reserved already."""
    return any(base < end and start < base + size for start, end in g.reserved)


def _regions(start: int, end: int) -> list[Region]:
    return [r for r in this.machine.regions if r.addr < end and start < r.addr + r.size]


@custom(C, "free_reserved_area", "the pages do not go back to the allocator: every later access to them is reported")
def free_reserved_area(start: int, end: int, poison: int, s: str | None) -> int:
    """``unsigned long free_reserved_area(void *start, void *end, int poison, const char *s)``

    Poisons and frees the whole pages of [start, end); parts of pages at both ends stay. Return: how many pages.
    """
    start_pa = __pa(start)
    end_pa = __pa(end - 1) + 1
    if g.deferred_pages:
        WARN(1, "Cannot free reserved memory because of deferred initialization of the memory map")
        return 0
    mem = this.mem
    first, last = start_pa + arch.PAGE_SIZE - 1 >> arch.PAGE_SHIFT, end_pa >> arch.PAGE_SHIFT
    pages = max(last - first, 0)
    if pages:
        va = PAGE_OFFSET + (first << arch.PAGE_SHIFT)
        again = [pfn for pfn in (first, last - 1) if mem.get_state(pfn) == RELEASED_INIT]
        if again:
            func = caller_function()[0]
            raise KernelBug(f"BUG: Bad page state: pfn {again[0]:#x} freed twice in {func}", function=func)
        if 0 <= poison <= 0xFF:
            chunk = bytes([poison]) * _POISON_CHUNK
            base, left = first << arch.PAGE_SHIFT, pages << arch.PAGE_SHIFT
            while left:
                n = min(left, _POISON_CHUNK)
                mem.buf[base:base + n] = chunk[:n]
                base += n
                left -= n
        span = next((sp for sp in mem.spans if sp[0] <= first and last <= sp[1]), None)
        if span is not None:
            mem.drop_span(span[0])
            mem.set_span(first, last, RELEASED_INIT)
            for pfn in (*range(span[0], first), *range(last, span[1])):
                if pfn not in mem.state:
                    mem.set_page(pfn, span[2])
            for pfn in (first, last - 1):
                if pfn in mem.state:
                    mem.set_page(pfn, RELEASED_INIT)
        else:
            for pfn in range(first, last):
                mem.set_page(pfn, RELEASED_INIT)
                this.machine.alloc.pages.pop(pfn, None)
        for r in _regions(va, va + (pages << arch.PAGE_SHIFT)):
            if r.state == "lent":
                func = caller_function()[0]
                raise KernelBug(f"BUG: region {r.name} freed in {func} while lent to {', '.join(r.users)}", function=func)
            r.state = ("released" if va <= r.addr & arch.PAGE_MASK and r.addr + r.size <= va + (pages << arch.PAGE_SHIFT)
                       else "partly released")
            r.released_by = caller_function()[0]
        this.counters.pages_freed += pages
    if this.watch is not None:
        this.watch.event("free_reserved_area", start=start, end=end, pages=pages, what=s)
    this.machine.part(InitMemory).freed.append((start, end, pages, s or "", this.machine.clock.now_ns))
    if pages:
        _memory_event("freed", PAGE_OFFSET + (first << arch.PAGE_SHIFT), PAGE_OFFSET + (last << arch.PAGE_SHIFT),
                      caller_function()[0])
    if pages and s:
        pr_info("Freeing %s memory: %ldK\n", s, pages << arch.PAGE_SHIFT - 10)
    return pages
