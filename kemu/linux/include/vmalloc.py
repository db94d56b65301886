# SPDX-License-Identifier: GPL-2.0-only
"""Memory that is contiguous by virtual address (include/linux/vmalloc.h)."""
from __future__ import annotations

from kemu.linux.include.gfp import __GFP_ZERO, GFP_KERNEL, might_alloc
from kemu.linux.port.honesty import dup
from kemu.machine.current import this
from kemu.machine.machine import should_fail

P = "include/linux/vmalloc.h"

VM_MAP = 4
PAGE_KERNEL = 0


def _fails(what: str) -> bool:
    might_alloc(GFP_KERNEL)
    return should_fail("fail_vmalloc", what)


@dup(P)
def vmalloc(size: int, gfp: int = GFP_KERNEL) -> int:
    """``void *vmalloc(unsigned long size)``: scattered pages side by side; 0 on failure."""
    if _fails("vmalloc"):
        return 0
    return this.machine.vm.vmalloc(this.machine.alloc, size, bool(gfp & __GFP_ZERO))


@dup(P)
def vzalloc(size: int) -> int:
    """``void *vzalloc(unsigned long size)``"""
    return vmalloc(size, GFP_KERNEL | __GFP_ZERO)
