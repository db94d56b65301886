# SPDX-License-Identifier: GPL-2.0-only
"""FIEMAP and bmap by extents (fs/iomap/fiemap.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import ENOENT
from kemu.linux.fs.ioctl import fiemap_fill_next_extent, fiemap_prep
from kemu.linux.fs.iomap.iter import iomap_iter
from kemu.linux.include.fiemap import (
    FIEMAP_EXTENT_DATA_INLINE,
    FIEMAP_EXTENT_DELALLOC,
    FIEMAP_EXTENT_LAST,
    FIEMAP_EXTENT_MERGED,
    FIEMAP_EXTENT_SHARED,
    FIEMAP_EXTENT_UNKNOWN,
    FIEMAP_EXTENT_UNWRITTEN,
    FiemapExtentInfo,
)
from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.include.iomap import (
    IOMAP_DELALLOC,
    IOMAP_F_MERGED,
    IOMAP_F_SHARED,
    IOMAP_HOLE,
    IOMAP_INLINE,
    IOMAP_MAPPED,
    IOMAP_NULL_ADDR,
    IOMAP_REPORT,
    IOMAP_UNWRITTEN,
    Iomap,
    IomapIter,
    iomap_iter_advance_full,
    iomap_ops,
    iomap_sector,
)
from kemu.linux.include.pagemap import filemap_write_and_wait
from kemu.linux.port.honesty import dup
from kemu.linux.types import Ref

C = "fs/iomap/fiemap.c"


def iomap_to_fiemap(fi: FiemapExtentInfo, iomap: Iomap, flags: int) -> int:
    """``iomapiomap_to_fiemap()``"""
    if iomap.type == IOMAP_HOLE:
        return 0
    if iomap.type == IOMAP_DELALLOC:
        flags |= FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN
    elif iomap.type == IOMAP_UNWRITTEN:
        flags |= FIEMAP_EXTENT_UNWRITTEN
    elif iomap.type == IOMAP_INLINE:
        flags |= FIEMAP_EXTENT_DATA_INLINE
    if iomap.flags & IOMAP_F_MERGED:
        flags |= FIEMAP_EXTENT_MERGED
    if iomap.flags & IOMAP_F_SHARED:
        flags |= FIEMAP_EXTENT_SHARED
    return fiemap_fill_next_extent(fi, iomap.offset, iomap.addr if iomap.addr != IOMAP_NULL_ADDR else 0, iomap.length, flags)


@dup(C)
def iomap_fiemap(inode: Any, fi: FiemapExtentInfo, start: int, len_: int, ops: iomap_ops) -> int:
    """``int iomap_fiemap(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len, const struct iomap_ops *ops)``
    """
    length = Ref(len_)
    ret = fiemap_prep(inode, fi, start, length, 0)
    if ret:
        return ret
    iter_ = IomapIter(inode, start, length.v, IOMAP_REPORT)
    prev = Iomap()
    while (ret := iomap_iter(iter_, ops)) > 0:
        # iomap_fiemap_iter()
        if iter_.iomap.type != IOMAP_HOLE:
            ret = iomap_to_fiemap(fi, prev, 0)
            prev = iter_.iomap.copy()
            if ret < 0:
                iter_.status = ret
                continue
            if ret == 1:                            # extent array full
                iter_.status = 0
                continue
        iter_.status = iomap_iter_advance_full(iter_)
    if prev.type != IOMAP_HOLE:
        ret = iomap_to_fiemap(fi, prev, FIEMAP_EXTENT_LAST)
        if ret < 0:
            return ret
    # inode with no (attribute) mapping will give ENOENT
    if ret < 0 and ret != -ENOENT:
        return ret
    return 0


@dup(C)
def iomap_bmap(mapping: AddressSpace, bno: int, ops: iomap_ops) -> int:
    """``sector_t iomap_bmap(struct address_space *mapping, sector_t bno, const struct iomap_ops *ops)``: 0 is the error return.
    """
    inode = mapping.host
    iter_ = IomapIter(inode, bno << inode.i_blkbits, 1 << inode.i_blkbits, IOMAP_REPORT)
    blkshift = inode.i_blkbits - 9
    if filemap_write_and_wait(mapping):
        return 0
    bno = 0
    while (ret := iomap_iter(iter_, ops)) > 0:
        if iter_.iomap.type == IOMAP_MAPPED:
            bno = iomap_sector(iter_.iomap, iter_.pos) >> blkshift
        # leave iter.status unset to abort loop
    return 0 if ret else bno
