# SPDX-License-Identifier: GPL-2.0-only
"""A mapping of a file, and a fault in it (include/linux/mm_types.h)."""
from kemu.linux.include.mm_types import (  # noqa: F401
    VM_FAULT_LOCKED,
    VM_FAULT_MAJOR,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_SIGBUS,
    VMA_HUGEPAGE_BIT,
    VMA_MAYWRITE_BIT,
    VMA_SHARED_BIT,
    vm_area_desc,
    vm_area_struct,
)
