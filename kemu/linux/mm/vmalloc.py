# SPDX-License-Identifier: GPL-2.0-only
"""The vmalloc area: mapping pages, giving back (mm/vmalloc.c)."""
from __future__ import annotations

from kemu.linux.include.mm import _page_of
from kemu.linux.include.vmalloc import PAGE_KERNEL, VM_MAP, _fails
from kemu.linux.port.honesty import custom
from kemu.machine.current import arch, this
from kemu.machine.pages import Page

C = "mm/vmalloc.c"


@custom(C, "vmalloc_to_page", "the machine keeps what is mapped in a table, not in page tables")
def vmalloc_to_page(addr: int) -> Page:
    """``struct page *vmalloc_to_page(const void *vmalloc_addr)``"""
    return _page_of(this.mem.vmap.get(addr >> arch.PAGE_SHIFT, -1), addr, "vmalloc_to_page")


@custom(C, "vm_unmap_aliases", "nothing is unmapped lazily here")
def vm_unmap_aliases() -> None:
    """``void vm_unmap_aliases(void)``"""


@custom(C, "vm_unmap_ram",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed "
        "lazily")
def vm_unmap_ram(mem: int, count: int) -> None:
    """``void vm_unmap_ram(const void *mem, unsigned int count)``"""
    this.machine.vm.unmap(mem & ~(this.mem.page_size - 1))


@custom(C, "vm_map_ram",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed "
        "lazily")
def vm_map_ram(pages: list[Page], count: int, node: int = -1) -> int:
    """``void *vm_map_ram(struct page **pages, unsigned int count, int node)``: an address, 0 on failure."""
    if _fails("vm_map_ram"):
        return 0
    return this.machine.vm.map_briefly(pages[:count])


@custom(C, "vfree",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed "
        "lazily")
def vfree(addr: int) -> None:
    """``void vfree(const void *addr)``"""
    this.machine.vm.vfree(this.machine.alloc, addr)


@custom(C, "vunmap",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed "
        "lazily")
def vunmap(addr: int) -> None:
    """``void vunmap(const void *addr)``"""
    this.machine.vm.unmap(addr)


@custom(C, "vmap",
        "ranges come from the machine's own list, which changes in one step: no lock of vmalloc is taken, and nothing is freed "
        "lazily")
def vmap(pages: list[Page], count: int, flags: int = VM_MAP, prot: int = PAGE_KERNEL) -> int:
    """``void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot)``: 0 on failure."""
    if _fails("vmap"):
        return 0
    return this.machine.vm.map_pages(list(pages[:count]))
