# SPDX-License-Identifier: GPL-2.0-only
"""Numbers from text, and names of block devices as text (lib/vsprintf.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom
from kemu.linux.types import ULLONG_MAX

C = "lib/vsprintf.c"

_DIGITS = "0123456789abcdef"


@custom(C, "simple_strtoull", "gives the rest of the string instead of a pointer")
def simple_strtoull(s: str, base: int = 0) -> tuple[int, str]:
    """``unsigned long long simple_strtoull(const char *cp, char **endp, unsigned int base)``: value (wrapping) and what follows.
    """
    low = s.lower()
    pos = 0
    if base == 0:
        base = 10
        if low[:1] == "0":
            base = 8
            if low[1:2] == "x" and low[2:3] and low[2:3] in _DIGITS:
                base = 16
    if base == 16 and low[:2] == "0x":
        pos = 2
    value = 0
    while pos < len(s) and low[pos] in _DIGITS[:base]:
        value = value * base + _DIGITS.index(low[pos])
        pos += 1
    return value & ULLONG_MAX, s[pos:]


@custom(C, "bdev_name", "%pg")
def bdev_name(bdev: Any) -> str:
    """The device's name, as ``%pg`` prints it."""
    name: str = bdev.bd_disk.disk_name
    partno = getattr(bdev, "bd_partno", 0)
    if partno:
        name += f"p{partno}" if name[-1:].isdigit() else str(partno)
    return name
