# SPDX-License-Identifier: GPL-2.0-only
"""Rounding, minima, logarithms, checked arithmetic (include/linux/{math,minmax,log2,overflow,align}.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup, names

P = "include/linux/math.h"

min_ = min
max_ = max


@dup(P)
def round_up(x: int, y: int) -> int:
    """``round_up(x, y)``: y a power of two."""
    return ((x - 1) | (y - 1)) + 1


@dup(P)
def round_down(x: int, y: int) -> int:
    """``round_down(x, y)``: y a power of two."""
    return x & ~(y - 1)


@dup(P)
def roundup(x: int, y: int) -> int:
    """``roundup(x, y)``: any y."""
    return (x + y - 1) // y * y


@dup(P)
def rounddown(x: int, y: int) -> int:
    """``rounddown(x, y)``: any y."""
    return x - x % y


@dup("include/linux/align.h")
def ALIGN(x: int, a: int) -> int:
    """``ALIGN(x, a)``: a a power of two."""
    return (x + a - 1) & ~(a - 1)


@dup("include/linux/align.h")
def ALIGN_DOWN(x: int, a: int) -> int:
    """``ALIGN_DOWN(x, a)``"""
    return x & ~(a - 1)


@dup("include/linux/align.h")
def IS_ALIGNED(x: int, a: int) -> bool:
    """``IS_ALIGNED(x, a)``"""
    return not x & (a - 1)


@dup(P)
def DIV_ROUND_UP(n: int, d: int) -> int:
    """``DIV_ROUND_UP(n, d)``"""
    return (n + d - 1) // d


DIV_ROUND_UP_POW2 = DIV_ROUND_UP


@dup("include/linux/minmax.h")
def min_t(ctype: object, a: int, b: int) -> int:
    """``min_t(type, a, b)``: both converted to the type first."""
    a, b = ctype(a), ctype(b)                   # type: ignore[operator]
    return a if a < b else b


@dup("include/linux/minmax.h")
def max_t(ctype: object, a: int, b: int) -> int:
    """``max_t(type, a, b)``"""
    a, b = ctype(a), ctype(b)                   # type: ignore[operator]
    return a if a > b else b


@dup("include/linux/minmax.h")
def in_range(val: int, start: int, len_: int) -> bool:
    """``in_range(val, start, len)``: unsigned 64-bit, ``val - start < len``."""
    return (val - start) & 0xFFFF_FFFF_FFFF_FFFF < len_


@dup("include/linux/minmax.h")
def in_range32(val: int, start: int, len_: int) -> bool:
    """``in_range32(val, start, len)``: u32."""
    return (val - start) & 0xFFFF_FFFF < len_


@dup("include/linux/log2.h")
def ilog2(n: int) -> int:
    """``ilog2(n)``"""
    return n.bit_length() - 1


@dup("include/linux/log2.h")
def is_power_of_2(n: int) -> bool:
    """``is_power_of_2(n)``"""
    return n != 0 and not n & (n - 1)


@dup("include/linux/log2.h")
def roundup_pow_of_two(n: int) -> int:
    """``roundup_pow_of_two(n)``"""
    return 1 << (n - 1).bit_length()


@custom("include/linux/overflow.h", "check_add_overflow", "gives (overflowed, wrapped sum) for an unsigned type of ``bits``")
def check_add_overflow(a: int, b: int, bits: int = 64) -> tuple[bool, int]:
    """``check_add_overflow(a, b, &d)`` on unsigned integers."""
    s = a + b
    d = s & ((1 << bits) - 1)
    return s != d, d


@custom("include/linux/overflow.h", "check_add_overflow", "the same on signed 64-bit integers")
def check_add_overflow_s64(a: int, b: int) -> tuple[bool, int]:
    """``check_add_overflow()`` with an s64 destination."""
    s = a + b
    d = ((s + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)
    return s != d, d


@dup("include/linux/math64.h")
def div64_u64(a: int, b: int) -> int:
    """``u64 div64_u64(u64 dividend, u64 divisor)``"""
    return a // b


names("dup", "include/linux/minmax.h", "min_", "max_")
names("dup", P, "DIV_ROUND_UP_POW2")
