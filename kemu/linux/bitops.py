# SPDX-License-Identifier: GPL-2.0-only
"""Atomic bit operations on a flag word (include/linux/bitops.h)."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kemu.linux.port.honesty import custom, dup

P = "include/asm-generic/bitops/instrumented-atomic.h"


@custom("include/linux/types.h", "unsigned long", "a flag word that bit operations can be given by reference")
class Bits:
    """A word of flag bits; ``v`` its value, ``waiters`` the tasks of wait_on_bit."""

    __slots__ = ("v", "waiters")

    def __init__(self, v: int = 0):
        self.v = v
        self.waiters: Any = None


@dup("include/linux/bitops.h")
def test_bit(nr: int, addr: Bits) -> bool:
    """``bool test_bit(long nr, const unsigned long *addr)``"""
    return bool(addr.v >> nr & 1)


@custom(P, "set_bit", "one step on a Python int")
def set_bit(nr: int, addr: Bits) -> None:
    """``void set_bit(long nr, unsigned long *addr)``"""
    addr.v |= 1 << nr


@custom(P, "clear_bit", "one step on a Python int")
def clear_bit(nr: int, addr: Bits) -> None:
    """``void clear_bit(long nr, unsigned long *addr)``"""
    addr.v &= ~(1 << nr)


@custom(P, "test_and_set_bit", "one step on a Python int")
def test_and_set_bit(nr: int, addr: Bits) -> bool:
    """``bool test_and_set_bit(long nr, unsigned long *addr)``"""
    old = addr.v
    addr.v = old | 1 << nr
    return bool(old >> nr & 1)


@custom(P, "test_and_clear_bit", "one step on a Python int")
def test_and_clear_bit(nr: int, addr: Bits) -> bool:
    """``bool test_and_clear_bit(long nr, unsigned long *addr)``"""
    old = addr.v
    addr.v = old & ~(1 << nr)
    return bool(old >> nr & 1)


@custom("include/linux/find.h", "for_each_set_bit", "a generator")
def for_each_set_bit(word: int, size: int) -> Iterator[int]:
    """``for_each_set_bit(bit, &word, size)``"""
    for bit in range(size):
        if word >> bit & 1:
            yield bit


@dup("include/asm-generic/bitops/const_hweight.h")
def hweight32(w: int) -> int:
    """``unsigned int hweight32(u32 w)``"""
    return (w & 0xFFFF_FFFF).bit_count()
