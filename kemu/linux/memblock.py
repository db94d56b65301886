# SPDX-License-Identifier: GPL-2.0-only
"""Memory before the page allocator, and giving it back later (include/linux/memblock.h, mm/memblock.c)."""
from __future__ import annotations

from kemu.linux.include.memblock import __pa, __va, _memory_event  # noqa: F401
from kemu.linux.include.mm import page_to_pfn  # noqa: F401
from kemu.linux.mm.memblock import free_reserved_area, memblock_is_region_memory, memblock_is_region_reserved  # noqa: F401
from kemu.linux.mm.memblock import g as memblock_g
from kemu.linux.port.honesty import dup
from kemu.machine.boot import InitMemory
from kemu.machine.current import this
from kemu.machine.splat import caller_function

P = "include/linux/memblock.h"


@dup(P)
def memblock_reserve(base: int, size: int) -> int:
    """``int memblock_reserve(phys_addr_t base, phys_addr_t size)``"""
    memblock_g.reserved.append((base, base + size))
    by = caller_function()[0]
    this.machine.part(InitMemory).reserved.append((__va(base), __va(base + size), by, this.machine.clock.now_ns))
    _memory_event("reserved", __va(base), __va(base + size), by)
    return 0
