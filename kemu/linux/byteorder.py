# SPDX-License-Identifier: GPL-2.0-only
"""Fixed byte orders (include/linux/byteorder/generic.h). Fields of on-disk views are CPU integers already; this is for pointers
into memory.
"""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

P = "include/linux/byteorder/generic.h"


@custom(P, "le32_to_cpup", "takes an address; one that is not aligned is read, as x86 and ARCH=um do")
def le32_to_cpup(p: int) -> int:
    """``u32 le32_to_cpup(const __le32 *p)``"""
    return this.mem.ld32(p)
