# SPDX-License-Identifier: GPL-2.0-only
"""Loads and stores at any alignment (include/linux/unaligned.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.memory import u32_at

P = "include/linux/unaligned.h"


@dup(P)
def get_unaligned_le16(p: int) -> int:
    """``u16 get_unaligned_le16(const void *p)``"""
    return this.mem.ld16(p)


@dup(P)
def get_unaligned_le32(p: int) -> int:
    """``u32 get_unaligned_le32(const void *p)``"""
    # Memory.ld32, written out: indexes are decoded with it
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    if base is not None:
        off = p & mem.mask
        if off <= mem.mask - 3:
            return u32_at(mem.buf, base + off)[0]                    # type: ignore[no-any-return]
    return mem.ld32(p)


@dup(P)
def get_unaligned_le64(p: int) -> int:
    """``u64 get_unaligned_le64(const void *p)``"""
    return this.mem.ld64(p)


@custom(P, "get_unaligned", "any number of bytes: what a loop picks out of them is picked from a number")
def get_unaligned_le(p: int, n: int) -> int:
    """``n`` bytes as one little-endian number."""
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    if base is not None:
        off = p & mem.mask
        if off + n <= mem.page_size:
            base += off
            return int.from_bytes(mem.buf[base:base + n], "little")
    return int.from_bytes(mem.load(p, n), "little")


@dup(P)
def get_unaligned_be16(p: int) -> int:
    """``u16 get_unaligned_be16(const void *p)``"""
    return int.from_bytes(this.mem.load(p, 2), "big")


@dup(P)
def get_unaligned_be32(p: int) -> int:
    """``u32 get_unaligned_be32(const void *p)``"""
    return int.from_bytes(this.mem.load(p, 4), "big")


@dup(P)
def put_unaligned_le32(val: int, p: int) -> None:
    """``void put_unaligned_le32(u32 val, void *p)``"""
    this.mem.st32(p, val)


@dup(P, "*(u8 *)p")
def get_u8(p: int) -> int:
    """``*(u8 *)p``"""
    return this.mem.ld8(p)
