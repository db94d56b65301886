# SPDX-License-Identifier: GPL-2.0-only
"""A mapping of a file, and a fault in it (include/linux/mm_types.h, include/linux/mm.h). Nothing is mapped into user space here:
one that reads through a mapping faults for each page, and nothing stays in a page table.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import custom

VM_FAULT_OOM, VM_FAULT_SIGBUS, VM_FAULT_MAJOR, VM_FAULT_HWPOISON, VM_FAULT_SIGSEGV = 0x1, 0x2, 0x4, 0x10, 0x40
VM_FAULT_NOPAGE, VM_FAULT_LOCKED, VM_FAULT_RETRY, VM_FAULT_FALLBACK = 0x100, 0x200, 0x400, 0x800
VM_FAULT_ERROR = VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV | VM_FAULT_HWPOISON | VM_FAULT_FALLBACK

(FAULT_FLAG_WRITE, FAULT_FLAG_MKWRITE, FAULT_FLAG_ALLOW_RETRY, FAULT_FLAG_RETRY_NOWAIT, FAULT_FLAG_KILLABLE, FAULT_FLAG_TRIED,
 FAULT_FLAG_USER) = (1 << i for i in range(7))

(VMA_READ_BIT, VMA_WRITE_BIT, VMA_EXEC_BIT, VMA_SHARED_BIT, VMA_MAYREAD_BIT, VMA_MAYWRITE_BIT, VMA_MAYEXEC_BIT,
 VMA_MAYSHARE_BIT) = range(8)
VMA_SEQ_READ_BIT, VMA_RAND_READ_BIT, VMA_HUGEPAGE_BIT = 15, 16, 29
VM_READ, VM_EXEC, VM_MAYREAD, VM_MAYWRITE, VM_MAYEXEC, VM_SEQ_READ, VM_RAND_READ, VM_HUGEPAGE = (1 << i for i in (
    VMA_READ_BIT, VMA_EXEC_BIT, VMA_MAYREAD_BIT, VMA_MAYWRITE_BIT, VMA_MAYEXEC_BIT, VMA_SEQ_READ_BIT, VMA_RAND_READ_BIT,
    VMA_HUGEPAGE_BIT))


@custom("include/linux/mm.h", "vm_operations_struct", "no map_pages: a fault maps one page; nothing is written through a mapping")
class vm_operations_struct:
    """``struct vm_operations_struct``"""

    __slots__ = ("close", "fault", "huge_fault")

    def __init__(self, fault: Callable[[vm_fault], int] | None = None,
                 huge_fault: Callable[[vm_fault, int], int] | None = None,
                 close: Callable[[vm_area_struct], None] | None = None):
        self.fault = fault
        self.huge_fault = huge_fault
        self.close = close


@custom("include/linux/mm_types.h", "vm_area_struct", "of no mm: it has no lock, and no page table")
class vm_area_struct:
    """``struct vm_area_struct``: ``vm_start``, ``vm_end`` in bytes, ``vm_pgoff`` in pages."""

    __slots__ = ("vm_end", "vm_file", "vm_flags", "vm_ops", "vm_pgoff", "vm_start")

    def __init__(self, vm_file: Any, vm_start: int, vm_end: int, vm_flags: int, vm_pgoff: int = 0):
        self.vm_file = vm_file
        self.vm_start = vm_start
        self.vm_end = vm_end
        self.vm_flags = vm_flags
        self.vm_pgoff = vm_pgoff
        self.vm_ops: vm_operations_struct | None = None


@custom("include/linux/mm_types.h", "vm_area_desc", "no mm, no protection, no further action")
class vm_area_desc:
    """``struct vm_area_desc``: a mapping that is being made; ``vma_flags`` as bits."""

    __slots__ = ("end", "file", "pgoff", "start", "vm_file", "vm_ops", "vma_flags")

    def __init__(self, vma: vm_area_struct):
        self.file = vma.vm_file
        self.start = vma.vm_start
        self.end = vma.vm_end
        self.pgoff = vma.vm_pgoff
        self.vm_file = vma.vm_file
        self.vma_flags = vma.vm_flags
        self.vm_ops: vm_operations_struct | None = None


@custom("include/linux/mm.h", "vm_fault", "what would go into the page table is page, or addr for memory that has none")
class vm_fault:
    """``struct vm_fault``: ``pgoff`` in pages of the file."""

    __slots__ = ("addr", "flags", "gfp_mask", "page", "pgoff", "vma")

    def __init__(self, vma: vm_area_struct, pgoff: int, gfp_mask: int, flags: int):
        self.vma = vma
        self.pgoff = pgoff
        self.gfp_mask = gfp_mask
        self.flags = flags
        self.page: Any = None
        self.addr = 0
