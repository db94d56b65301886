# SPDX-License-Identifier: GPL-2.0-only
"""BIT and GENMASK (include/linux/bits.h)."""
from __future__ import annotations

from kemu.linux.honesty import dup, names


@dup("include/linux/bits.h")
def BIT(nr: int) -> int:
    """``BIT(nr)``"""
    return 1 << nr


BIT_ULL = BIT
names("dup", "include/linux/bits.h", "BIT_ULL")


@dup("include/linux/bits.h")
def GENMASK(h: int, l: int) -> int:
    """``GENMASK(h, l)``: bits h down to l."""
    return ((1 << (h - l + 1)) - 1) << l


GENMASK_ULL = GENMASK
names("dup", "include/linux/bits.h", "GENMASK_ULL")
