# SPDX-License-Identifier: GPL-2.0-only
"""Reporting extents to user space (include/linux/fiemap.h, fs/ioctl.c)."""
from kemu.linux.fs.ioctl import fiemap_fill_next_extent, fiemap_prep  # noqa: F401
from kemu.linux.include.fiemap import (  # noqa: F401
    FIEMAP_EXTENT_DATA_ENCRYPTED,
    FIEMAP_EXTENT_DATA_INLINE,
    FIEMAP_EXTENT_DATA_TAIL,
    FIEMAP_EXTENT_DELALLOC,
    FIEMAP_EXTENT_ENCODED,
    FIEMAP_EXTENT_LAST,
    FIEMAP_EXTENT_MERGED,
    FIEMAP_EXTENT_NOT_ALIGNED,
    FIEMAP_EXTENT_SHARED,
    FIEMAP_EXTENT_UNKNOWN,
    FIEMAP_EXTENT_UNWRITTEN,
    FIEMAP_FLAG_CACHE,
    FIEMAP_FLAG_SYNC,
    FIEMAP_FLAG_XATTR,
    FIEMAP_FLAGS_COMPAT,
    FIEMAP_MAX_OFFSET,
    FiemapExtent,
    FiemapExtentInfo,
)
