# SPDX-License-Identifier: GPL-2.0-only
"""The vmalloc area (include/linux/vmalloc.h)."""
from kemu.linux.include.vmalloc import PAGE_KERNEL, VM_MAP, vmalloc, vzalloc  # noqa: F401
from kemu.linux.mm.vmalloc import vfree, vm_map_ram, vm_unmap_aliases, vm_unmap_ram, vmap, vunmap  # noqa: F401
