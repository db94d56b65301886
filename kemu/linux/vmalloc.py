# SPDX-License-Identifier: GPL-2.0-only
"""The vmalloc area (include/linux/vmalloc.h)."""
from __future__ import annotations

from kemu.linux.gfp import __GFP_ZERO, GFP_KERNEL, might_alloc
from kemu.linux.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.pages import Page

VM_MAP = 4
PAGE_KERNEL = 0


def _fails(what: str) -> bool:
    might_alloc(GFP_KERNEL)
    return should_fail("fail_vmalloc", what)


@custom("mm/vmalloc.c", "vm_map_ram",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed lazily")
def vm_map_ram(pages: list[Page], count: int, node: int = -1) -> int:
    """``void *vm_map_ram(struct page **pages, unsigned int count, int node)``: an address, 0 on failure."""
    if _fails("vm_map_ram"):
        return 0
    return this.machine.vm.map_briefly(pages[:count])


@custom("mm/vmalloc.c", "vm_unmap_ram",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed lazily")
def vm_unmap_ram(mem: int, count: int) -> None:
    """``void vm_unmap_ram(const void *mem, unsigned int count)``"""
    this.machine.vm.unmap(mem & ~(this.mem.page_size - 1))


@custom("mm/vmalloc.c", "vm_unmap_aliases", "nothing is unmapped lazily here")
def vm_unmap_aliases() -> None:
    """``void vm_unmap_aliases(void)``"""


@custom("mm/vmalloc.c", "vmap",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed lazily")
def vmap(pages: list[Page], count: int, flags: int = VM_MAP, prot: int = PAGE_KERNEL) -> int:
    """``void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot)``: 0 on failure."""
    if _fails("vmap"):
        return 0
    return this.machine.vm.map_pages(list(pages[:count]))


@custom("mm/vmalloc.c", "vunmap",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed lazily")
def vunmap(addr: int) -> None:
    """``void vunmap(const void *addr)``"""
    this.machine.vm.unmap(addr)


@dup("include/linux/vmalloc.h")
def vmalloc(size: int, gfp: int = GFP_KERNEL) -> int:
    """``void *vmalloc(unsigned long size)``: scattered pages side by side; 0 on failure."""
    if _fails("vmalloc"):
        return 0
    return this.machine.vm.vmalloc(this.machine.alloc, size, bool(gfp & __GFP_ZERO))


@dup("include/linux/vmalloc.h")
def vzalloc(size: int) -> int:
    """``void *vzalloc(unsigned long size)``"""
    return vmalloc(size, GFP_KERNEL | __GFP_ZERO)


@custom("mm/vmalloc.c", "vfree",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed lazily")
def vfree(addr: int) -> None:
    """``void vfree(const void *addr)``"""
    this.machine.vm.vfree(this.machine.alloc, addr)
