# SPDX-License-Identifier: GPL-2.0-only
"""Small parsers of the command line (lib/cmdline.c, lib/vsprintf.c)."""
from __future__ import annotations

from kemu.linux.honesty import custom

ULLONG_MAX = (1 << 64) - 1
_DIGITS = "0123456789abcdef"


@custom("lib/vsprintf.c", "simple_strtoull", "gives the rest of the string instead of a pointer")
def simple_strtoull(s: str, base: int = 0) -> tuple[int, str]:
    """``unsigned long long simple_strtoull(const char *cp, char **endp, unsigned int base)``: value (wrapping) and what follows."""
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


@custom("lib/cmdline.c", "memparse", "gives the rest of the string instead of a pointer")
def memparse(ptr: str) -> tuple[int, str]:
    """``unsigned long long memparse(const char *ptr, char **retptr)``: a number with K, M, G, T, P or E behind it, and what follows."""
    ret, end = simple_strtoull(ptr)
    shl = 0
    suffix = end[:1].upper()
    if suffix and suffix in "KMGTPE":
        shl = 10 * ("KMGTPE".index(suffix) + 1)
        if end != ptr:
            ret = min(ret << shl, ULLONG_MAX) if ret << shl <= ULLONG_MAX else ULLONG_MAX
            end = end[1:]
    return ret, end
