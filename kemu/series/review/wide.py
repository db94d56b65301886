# SPDX-License-Identifier: GPL-2.0-only
"""Files that are larger than a number of 32 bits can say, without as many bytes: a size, and chunks or clusters to match."""
from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from kemu.forge.erofs import ondisk as d
from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.mutate import made_good

_SIZES = ((1 << 32) + 4097, (1 << 32) - 1, (1 << 31) + 1, (1 << 33) + 5, (1 << 40) + 4096, (1 << 44) + 1, (1 << 50) + 12345)
_FILES = 4
_REGULAR, _MODE = 0o100000, 0o170000
_FLAT, _FULL, _COMPACT, _CHUNKS = 0, 1, 3, 4           # layouts
_EXTENDED = 64                         # bytes of an inode
_SLOT = 32


def wide(case: Case) -> Iterator[Case]:
    """Some files of an image, made large."""
    found = 0
    for at in range(d.EROFS_SUPER_OFFSET, min(len(case.data), 1 << 17) - _EXTENDED, _SLOT):
        fmt, xattrs, mode = struct.unpack_from("<HHH", case.data, at)
        if not fmt & 1 or fmt >> 5 or mode & _MODE != _REGULAR:
            continue
        found += 1
        if found > _FILES:
            return
        for size in _SIZES:
            yield _large(case, at, fmt >> 1 & 7, xattrs, size)


def _large(case: Case, at: int, layout: int, xattrs: int, size: int) -> Case:
    data = bytearray(case.data)
    struct.pack_into("<Q", data, at + 8, size)
    if layout == _CHUNKS:                              # a few chunks only
        [fmt] = struct.unpack_from("<H", data, at + 16)
        struct.pack_into("<H", data, at + 16, fmt & ~31 | min(31, max(0, size.bit_length() - 14)))
    elif layout in (_FULL, _COMPACT):
        header = at + _EXTENDED + (12 + 4 * (xattrs - 1) if xattrs else 0)
        header = -(-header // 8) * 8 + 7
        if header < len(data):
            data[header] = data[header] & 0xF0 | (15 if layout == _FULL else 2)
    made_good(data)
    return replace(case, data=bytes(data))
