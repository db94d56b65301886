# SPDX-License-Identifier: GPL-2.0-only
"""XXH32 (lib/xxhash.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "lib/xxhash.c"

_P1, _P2, _P3, _P4, _P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
_M = 0xFFFF_FFFF


def _rotl(x: int, r: int) -> int:
    return ((x << r) | (x >> (32 - r))) & _M


def _round(seed: int, word: int) -> int:
    return _rotl((seed + word * _P2) & _M, 13) * _P1 & _M


@custom(C, "xxh32", "of Python bytes")
def xxh32_bytes(data: bytes, seed: int) -> int:
    """``xxh32()`` of bytes that are not in emulated memory."""
    n, p = len(data), 0
    if n >= 16:
        v = [(seed + _P1 + _P2) & _M, (seed + _P2) & _M, seed & _M, (seed - _P1) & _M]
        while p <= n - 16:
            for i in range(4):
                v[i] = _round(v[i], int.from_bytes(data[p:p + 4], "little"))
                p += 4
        h = _rotl(v[0], 1) + _rotl(v[1], 7) + _rotl(v[2], 12) + _rotl(v[3], 18)
    else:
        h = seed + _P5
    h = (h + n) & _M
    while p + 4 <= n:
        h = _rotl((h + int.from_bytes(data[p:p + 4], "little") * _P3) & _M, 17) * _P4 & _M
        p += 4
    for b in data[p:]:
        h = _rotl((h + b * _P5) & _M, 11) * _P1 & _M
    h = (h ^ h >> 15) * _P2 & _M
    h = (h ^ h >> 13) * _P3 & _M
    return h ^ h >> 16


@custom(C, "xxh32", "all bytes are loaded at once")
def xxh32(p: int, length: int, seed: int) -> int:
    """``uint32_t xxh32(const void *input, size_t length, uint32_t seed)``"""
    return xxh32_bytes(this.mem.load(p, length), seed)
