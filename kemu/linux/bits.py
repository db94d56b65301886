# SPDX-License-Identifier: GPL-2.0-only
"""BIT and GENMASK (include/linux/bits.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import dup, names

P = "include/linux/bits.h"


@dup(P)
def BIT(nr: int) -> int:
    """``BIT(nr)``"""
    return 1 << nr


BIT_ULL = BIT


@dup(P)
def GENMASK(h: int, l: int) -> int:
    """``GENMASK(h, l)``: bits h down to l."""
    return ((1 << (h - l + 1)) - 1) << l


GENMASK_ULL = GENMASK


names("dup", P, "BIT_ULL")
names("dup", P, "GENMASK_ULL")
