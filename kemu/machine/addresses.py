# SPDX-License-Identifier: GPL-2.0-only
"""Where kernel memory is seen: the direct map, vmalloc areas, one-page windows; x86-64's places."""
from __future__ import annotations

PAGE_OFFSET = 0xFFFF_8880_0000_0000
VMALLOC_START = 0xFFFF_C900_0000_0000
VMALLOC_END = 0xFFFF_E900_0000_0000
KMAP_START = 0xFFFF_F100_0000_0000
ADDR_MASK = (1 << 64) - 1
