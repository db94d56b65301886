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
_FILES = 2
_ROOM = 8448                           # bytes: two names of the longest kind
_REGULAR, _MODE = 0o100000, 0o170000
_FLAT, _FULL, _COMPACT, _CHUNKS = 0, 1, 3, 4           # layouts
_EXTENDED = 64                         # bytes of an inode
_SLOT = 32
_NUMBERS = (6, 11, 4, 0, 1, 5, 2, 9)   # of a header: size of the body, of the name, links, inode, mode, time, owner, device
_LARGE = (0xffffffff, 0xfffffff0, 0x80000000, 0xffffff80, 0xfffffffc, 0x7fffffff, 0x10000)


def wide(case: Case) -> Iterator[Case]:
    """Some files of an image, made large; of an archive the numbers of its first headers, made so large that a sum of them and a
    little more has no room in 32 bits.
    """
    if case.kind == "cpio":
        yield from _headers(case)
        return
    found = 0
    for at in range(d.EROFS_SUPER_OFFSET, min(len(case.data), 1 << 17) - _EXTENDED, _SLOT):
        fmt, xattrs, mode = struct.unpack_from("<HHH", case.data, at)
        if not fmt & 1 or fmt >> 5 or mode & _MODE != _REGULAR:
            continue
        found += 1
        if found > _FILES:
            return
        for size in _SIZES:
            made = _large(case, at, fmt >> 1 & 7, xattrs, size)
            yield made
            if not case.devices:
                yield replace(made, backend="file" if case.backend == "disk" else "disk")


def roomy(case: Case) -> Case:
    """An archive with zeroes behind its end, so that what its headers say of the longest names is there."""
    return replace(case, data=case.data + bytes(_ROOM)) if case.kind == "cpio" and case.data[:5] == b"07070" else case


def _headers(case: Case) -> Iterator[Case]:
    at = case.data.find(b"07070")
    for _ in range(_FILES):
        if at < 0:
            return
        for field in _NUMBERS:
            where = at + 6 + 8 * field
            for value in _LARGE:
                if where + 8 <= len(case.data):
                    yield replace(case, data=case.data[:where] + b"%08x" % value + case.data[where + 8:])
        at = case.data.find(b"07070", at + 110)


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
