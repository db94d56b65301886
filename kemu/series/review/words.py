# SPDX-License-Identifier: GPL-2.0-only
"""Bytes as choices of an experiment, eight at a time, so that a token holds them."""
from __future__ import annotations

import struct

from kemu.forge.pick import Pick


def bytes_of(pick: Pick, name: str, most: int) -> bytes:
    """Bytes that are drawn; the simplest is none."""
    n = pick.int(f"bytes of {name}", 0, most)
    words = [pick.int(name, 0, (1 << 64) - 1) for _ in range(-(-n // 8))]
    return struct.pack(f"<{len(words)}Q", *words)[:n]


def put(out: list[int], data: bytes) -> None:
    """The choices with which :func:`bytes_of` draws them."""
    out.append(len(data))
    out.extend(struct.unpack(f"<{-(-len(data) // 8)}Q", data + bytes(-len(data) % 8)))
