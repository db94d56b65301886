# SPDX-License-Identifier: GPL-2.0-only
"""Faults of a mapping (mm/memory.c): a page at a time, and nothing stays in a page table."""
from __future__ import annotations

from kemu.linux.errno import EFAULT
from kemu.linux.include.gfp import __GFP_FS, __GFP_IO
from kemu.linux.include.mm import page_address, page_folio, put_page
from kemu.linux.include.mm_types import (
    FAULT_FLAG_USER,
    VM_FAULT_ERROR,
    VM_FAULT_LOCKED,
    VM_FAULT_NOPAGE,
    VM_FAULT_RETRY,
    vm_area_struct,
    vm_fault,
)
from kemu.linux.include.pagemap import folio_lock, mapping_gfp_mask
from kemu.linux.mm.folio_compat import unlock_page
from kemu.linux.port.honesty import custom
from kemu.machine.current import arch, this

C = "mm/memory.c"


@custom(C, "__do_fault", "the page's bytes instead of an entry in a page table; no fault-around")
def do_fault(vma: vm_area_struct, at: int, length: int) -> int | bytes:
    """``static vm_fault_t __do_fault(struct vm_fault *vmf)``: what a load of ``length`` bytes, ``at`` bytes into the mapping and
    within a page, gives; -EFAULT where the reader gets SIGBUS.
    """
    gfp = mapping_gfp_mask(vma.vm_file.f_mapping) | __GFP_FS | __GFP_IO
    vmf = vm_fault(vma, vma.vm_pgoff + (at >> arch.PAGE_SHIFT), gfp, FAULT_FLAG_USER)
    if vma.vm_ops is None or vma.vm_ops.fault is None:
        return -EFAULT
    ret = vma.vm_ops.fault(vmf)
    offset = at & arch.PAGE_SIZE - 1
    if ret & (VM_FAULT_ERROR | VM_FAULT_RETRY):
        return -EFAULT
    if ret & VM_FAULT_NOPAGE:                       # it is in the page table: a device's own memory, or the page of zeros
        return this.mem.give(vmf.addr + offset, length) if vmf.addr else bytes(length)
    if not ret & VM_FAULT_LOCKED:
        folio_lock(page_folio(vmf.page))
    data = this.mem.give(page_address(vmf.page) + offset, length)
    unlock_page(vmf.page)
    put_page(vmf.page)
    return data
