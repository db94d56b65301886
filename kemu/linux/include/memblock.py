# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of early memory, physical and virtual (include/linux/memblock.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import dup
from kemu.machine.boot import InitMemory
from kemu.machine.current import this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.splat import KernelBug, caller_function

P = "include/asm-generic/page.h"

_POISON_CHUNK = 1 << 20


@dup(P, "__va")
def __va(x: int) -> int:
    """``__va(x)``: in the direct map."""
    return PAGE_OFFSET + x


@dup(P, "__pa")
def __pa(x: int) -> int:
    """``__pa(x)`` of a direct-map address; anything else is a report."""
    pa = x - PAGE_OFFSET
    if not 0 <= pa <= this.mem.nr_pages << this.mem.shift:
        func = caller_function()[0]
        raise KernelBug(f"BUG: virt_to_phys used for non-linear address {x:016x} in {func}", function=func, addr=x)
    return pa


def _memory_event(what: str, start: int, end: int, by: str) -> None:
    """(what, start, end, by, ns) for who draws the map of the initrd's owners."""
    this.machine.part(InitMemory).events.append((what, start, end, by, this.machine.clock.now_ns))
