# SPDX-License-Identifier: GPL-2.0-only
"""SEEK_HOLE and SEEK_DATA by extents (fs/iomap/seek.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import ENXIO
from kemu.linux.fs.iomap.iter import iomap_iter, iomap_iter_advance
from kemu.linux.include.iomap import IOMAP_HOLE, IOMAP_REPORT, IOMAP_UNWRITTEN, IomapIter, iomap_length, iomap_ops
from kemu.linux.port.honesty import custom

C = "fs/iomap/seek.c"


@custom(C, "iomap_seek_hole", "unwritten extents count as holes: nothing here is dirty in the page cache")
def iomap_seek_hole(inode: Any, pos: int, ops: iomap_ops) -> int:
    """``loff_t iomap_seek_hole(struct inode *inode, loff_t pos, const struct iomap_ops *ops)``: -ENXIO outside of the file;
    -errno of the mapping.
    """
    size = inode.i_size
    if pos < 0 or pos >= size:
        return -ENXIO
    iter_ = IomapIter(inode, pos, size - pos, IOMAP_REPORT)
    while (ret := iomap_iter(iter_, ops)) > 0:
        if iter_.iomap.type in (IOMAP_HOLE, IOMAP_UNWRITTEN):
            pos = iter_.pos
            iter_.status = 0
        else:
            iter_.status = iomap_iter_advance(iter_, iomap_length(iter_))
    if ret < 0:
        return ret
    return pos if iter_.len else size               # found hole before EOF


@custom(C, "iomap_seek_data", "unwritten extents count as holes: nothing here is dirty in the page cache")
def iomap_seek_data(inode: Any, pos: int, ops: iomap_ops) -> int:
    """``loff_t iomap_seek_data(struct inode *inode, loff_t pos, const struct iomap_ops *ops)``: -ENXIO without data behind
    ``pos``.
    """
    size = inode.i_size
    if pos < 0 or pos >= size:
        return -ENXIO
    iter_ = IomapIter(inode, pos, size - pos, IOMAP_REPORT)
    while (ret := iomap_iter(iter_, ops)) > 0:
        if iter_.iomap.type in (IOMAP_HOLE, IOMAP_UNWRITTEN):
            iter_.status = iomap_iter_advance(iter_, iomap_length(iter_))
        else:
            pos = iter_.pos
            iter_.status = 0
    if ret < 0:
        return ret
    return pos if iter_.len else -ENXIO             # the end of the file without finding data

