# SPDX-License-Identifier: GPL-2.0-only
"""Going through a file extent by extent (fs/iomap/iter.c)."""
from __future__ import annotations

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.errno import EIO
from kemu.linux.include.iomap import IOMAP_F_STALE, Iomap, IomapIter, iomap_iter_next, iomap_length, iomap_ops
from kemu.linux.port.honesty import dup

C = "fs/iomap/iter.c"


@dup(C)
def iomap_iter_advance(iter_: IomapIter, count: int) -> int:
    """``int iomap_iter_advance(struct iomap_iter *iter, u64 count)``: -EIO beyond the mapping."""
    if count > iter_.len or count > iomap_length(iter_):
        WARN_ON_ONCE(True)
        return -EIO
    iter_.pos += count
    iter_.len -= count
    return 0


@dup(C)
def iomap_iter_continue(iter_: IomapIter, iomap: Iomap, srcmap: Iomap, ret: int) -> int:
    """``int iomap_iter_continue(const struct iomap_iter *iter, struct iomap *iomap, struct iomap *srcmap, int ret)``: 1 more; 0
    done; -errno.
    """
    stale = iomap.flags & IOMAP_F_STALE
    advanced = iter_.pos - iter_.iter_start_pos
    if ret < 0 and not advanced:
        return ret
    status = iter_.status
    if status:
        ret = status if status < 0 else -EIO
        if status > 0:
            WARN_ON_ONCE(True)
    elif iter_.len == 0 or (not advanced and not stale):
        ret = 0
    else:
        ret = 1
    if ret <= 0:
        return ret
    iomap.clear()
    if srcmap.length:
        srcmap.clear()
    return ret


@dup(C)
def iomap_iter(iter_: IomapIter, ops: iomap_ops) -> int:
    """``int iomap_iter(struct iomap_iter *iter, const struct iomap_ops *ops)``: call it until it does not return a positive
    value.

    Return: 1 with a mapping in ``iter.iomap``; 0 at the end; -errno of the file system or of ``iter.status``.
    """
    if ops.iomap_next is not None:
        ret = int(ops.iomap_next(iter_, iter_.iomap, iter_.srcmap))
    else:
        assert ops.iomap_begin is not None
        ret = iomap_iter_next(iter_, iter_.iomap, iter_.srcmap, ops.iomap_begin, ops.iomap_end)
    iter_.status = 0
    if ret > 0:
        iomap, pos = iter_.iomap, iter_.pos
        # iomap_iter_done()'s four warnings; the third compares unsigned
        if (iomap.offset > pos or iomap.length == 0 or iomap.offset + iomap.length <= (pos if pos >= 0 else pos + (1 << 64))
            or iomap.flags & IOMAP_F_STALE):
            WARN_ON_ONCE(True)
        iter_.iter_start_pos = pos
    return ret
