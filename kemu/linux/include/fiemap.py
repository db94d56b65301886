# SPDX-License-Identifier: GPL-2.0-only
"""Extents that are reported to user space: structures and flags (include/linux/fiemap.h, include/uapi/linux/fiemap.h)."""
from __future__ import annotations

from typing import NamedTuple

from kemu.linux.port.honesty import custom, dup

P = "include/uapi/linux/fiemap.h"

FIEMAP_FLAG_SYNC, FIEMAP_FLAG_XATTR, FIEMAP_FLAG_CACHE = 1, 2, 4
FIEMAP_FLAGS_COMPAT = FIEMAP_FLAG_SYNC | FIEMAP_FLAG_XATTR
FIEMAP_EXTENT_LAST, FIEMAP_EXTENT_UNKNOWN, FIEMAP_EXTENT_DELALLOC, FIEMAP_EXTENT_ENCODED = 0x1, 0x2, 0x4, 0x8
(FIEMAP_EXTENT_DATA_ENCRYPTED, FIEMAP_EXTENT_NOT_ALIGNED, FIEMAP_EXTENT_DATA_INLINE,
 FIEMAP_EXTENT_DATA_TAIL) = 0x80, 0x100, 0x200, 0x400
FIEMAP_EXTENT_UNWRITTEN, FIEMAP_EXTENT_MERGED, FIEMAP_EXTENT_SHARED = 0x800, 0x1000, 0x2000
FIEMAP_MAX_OFFSET = 0xFFFF_FFFF_FFFF_FFFF


@dup(P, "fiemap_extent")
class FiemapExtent(NamedTuple):
    """``struct fiemap_extent``: bytes."""

    fe_logical: int
    fe_physical: int
    fe_length: int
    fe_flags: int


@custom("include/linux/fiemap.h", "fiemap_extent_info", "the user's array is the list fi_extents")
class FiemapExtentInfo:
    """``struct fiemap_extent_info``: ``fi_extents_max`` 0 only counts."""

    __slots__ = ("fi_extents", "fi_extents_mapped", "fi_extents_max", "fi_flags")

    def __init__(self, fi_extents_max: int = 0, fi_flags: int = 0):
        self.fi_flags = fi_flags
        self.fi_extents_mapped = 0
        self.fi_extents_max = fi_extents_max
        self.fi_extents: list[FiemapExtent] = []
