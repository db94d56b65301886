# SPDX-License-Identifier: GPL-2.0-only
"""CRC32C (include/linux/crc32.h, lib/crc)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, names
from kemu.machine.current import this

P = "include/linux/crc32c.h"

_POLY = 0x82F63B78


def _tables() -> list[list[int]]:
    t0 = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = (c >> 1) ^ (_POLY if c & 1 else 0)
        t0.append(c)
    tables = [t0]
    for _ in range(3):
        prev = tables[-1]
        tables.append([(v >> 8) ^ t0[v & 0xFF] for v in prev])
    return tables


_T: list[list[int]] = []
_cache: dict[tuple[int, bytes], int] = {}


def crc32c_bytes(crc: int, data: bytes) -> int:
    """CRC32C of Python bytes, four at a time; equal inputs (one superblock mounted again and again) are remembered."""
    key = (crc, data)
    hit = _cache.get(key)
    if hit is not None:
        return hit
    if not _T:
        _T.extend(_tables())
    t0, t1, t2, t3 = _T
    n4 = len(data) & ~3
    c = crc
    for w in memoryview(data[:n4]).cast("I"):
        c ^= w
        c = t3[c & 0xFF] ^ t2[(c >> 8) & 0xFF] ^ t1[(c >> 16) & 0xFF] ^ t0[c >> 24]
    for b in data[n4:]:
        c = t0[(c ^ b) & 0xFF] ^ (c >> 8)
    if len(_cache) > 512:
        _cache.clear()
    _cache[key] = c
    return c


@custom(P, "crc32c", "a table in Python")
def crc32c(crc: int, p: int, length: int) -> int:
    """``u32 crc32c(u32 crc, const void *p, size_t len)``: no final inversion."""
    return crc32c_bytes(crc, this.mem.load(p, length))


names("custom", P, "crc32c_bytes", how="CRC32C of Python bytes")
