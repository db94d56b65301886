# SPDX-License-Identifier: GPL-2.0-only
"""CRC-32C as the kernel's ``crc32c(crc, p, len)``: no inversion before or after."""
from __future__ import annotations

import struct
from array import array
from functools import lru_cache

_POLY = 0x82F63B78


@lru_cache(maxsize=1)
def _table16() -> array[int]:
    """Table for two bytes a step."""
    byte = []
    for n in range(256):
        c = n
        for _ in range(8):
            c = (c >> 1) ^ (_POLY if c & 1 else 0)
        byte.append(c)
    # of the sum of two words it is the sum: the table is made of those of the low byte and of the high one
    low = [byte[c & 255] ^ c >> 8 for c in byte]
    return array("I", [a ^ b for b in byte for a in low])


@lru_cache(maxsize=32)
def _zeros_operator(log2: int) -> list[int]:
    """The 32x32 bit matrix that feeds 2**log2 zero bytes, as the images of the 32 single bits."""
    if log2 == 0:
        rows = []
        for bit in range(32):
            c = 1 << bit
            for _ in range(8):
                c = (c >> 1) ^ (_POLY if c & 1 else 0)
            rows.append(c)
        return rows
    half = _zeros_operator(log2 - 1)
    return [_apply(half, row) for row in half]


def _apply(op: list[int], crc: int) -> int:
    out = 0
    bit = 0
    while crc:
        if crc & 1:
            out ^= op[bit]
        crc >>= 1
        bit += 1
    return out


def crc32c(crc: int, data: bytes) -> int:
    """``u32 crc32c(u32 crc, const void *p, size_t len)``; long runs of zeros at the end cost nothing."""
    body = data.rstrip(b"\0")
    if len(body) & 1:
        body += b"\0" if len(body) < len(data) else b""
    table = _table16()
    even = len(body) & ~1
    for word in struct.unpack(f"<{even // 2}H", body[:even]):
        crc = table[(crc ^ word) & 0xffff] ^ crc >> 16
    if even != len(body):
        crc ^= body[even]
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLY if crc & 1 else 0)
    left = len(data) - len(body)
    log2 = 0
    while left:
        if left & 1:
            crc = _apply(_zeros_operator(log2), crc)
        left >>= 1
        log2 += 1
    return crc
