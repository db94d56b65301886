# SPDX-License-Identifier: GPL-2.0-only
"""Extent mappings and the iterator over them (include/linux/iomap.h, fs/iomap/iter.c). Ports import it from kemu.linux.iomap."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BlockDevice
from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.errno import EIO
from kemu.linux.honesty import custom, dup, names
from kemu.linux.readahead import ReadaheadControl
from kemu.machine.current import NULL
from kemu.machine.pages import Page

H = "include/linux/iomap.h"
C = "fs/iomap/iter.c"
IOMAP_HOLE, IOMAP_DELALLOC, IOMAP_MAPPED, IOMAP_UNWRITTEN, IOMAP_INLINE = range(5)
(IOMAP_F_NEW, IOMAP_F_DIRTY, IOMAP_F_SHARED, IOMAP_F_MERGED, IOMAP_F_BUFFER_HEAD, IOMAP_F_XATTR, IOMAP_F_BOUNDARY, IOMAP_F_ANON_WRITE,
 IOMAP_F_ATOMIC_BIO, IOMAP_F_INTEGRITY, IOMAP_F_ZERO_TAIL, IOMAP_F_FSVERITY, IOMAP_F_PRIVATE, IOMAP_F_FOLIO_BATCH, IOMAP_F_SIZE_CHANGED,
 IOMAP_F_STALE) = (1 << i for i in range(16))
IOMAP_NULL_ADDR = 0xFFFF_FFFF_FFFF_FFFF
(IOMAP_WRITE, IOMAP_ZERO, IOMAP_REPORT, IOMAP_FAULT, IOMAP_DIRECT, IOMAP_NOWAIT, IOMAP_OVERWRITE_ONLY, IOMAP_UNSHARE, IOMAP_DAX,
 IOMAP_ATOMIC, IOMAP_DONTCACHE) = (1 << i for i in range(11))


@custom(H, "iomap", "container is the iomap_iter that it is embedded in")
class Iomap:
    """``struct iomap``: ``length`` bytes of the file from ``offset`` on are at ``addr`` of ``bdev``, or at ``inline_data``."""

    # the zeroed structure is the class: making one, which every read does twice, costs nothing
    addr = 0
    offset = 0
    length = 0
    type = IOMAP_HOLE
    flags = 0
    bdev: BlockDevice = NULL
    dax_dev: Any = None
    inline_data = 0
    private: Any = None
    validity_cookie = 0

    def __init__(self, container: Any = None):
        self.container = container

    def clear(self) -> None:
        """``memset(iomap, 0, sizeof(*iomap))``"""
        container = self.container
        self.__dict__.clear()
        self.container = container

    def copy(self) -> Iomap:
        """A copy by value."""
        other = Iomap()
        other.__dict__.update(self.__dict__)
        return other

    def __repr__(self) -> str:
        kind = ("hole", "delalloc", "mapped", "unwritten", "inline")[self.type]
        return f"<iomap {kind} offset:{self.offset} length:{self.length} addr:{self.addr:#x}>"


Begin = Callable[[Any, int, int, int, Iomap, Iomap], int]
End = Callable[[Any, int, int, int, int, Iomap], int]


@dup(H)
class iomap_ops:
    """``struct iomap_ops``: how a file system maps. Members not named are None."""

    __slots__ = ("iomap_begin", "iomap_end", "iomap_next")

    def __init__(self, *, iomap_begin: Begin | None = None, iomap_end: End | None = None, iomap_next: Any = None):
        self.iomap_begin = iomap_begin
        self.iomap_end = iomap_end
        self.iomap_next = iomap_next


@dup(H)
class IomapIter:
    """``struct iomap_iter``: ``len`` bytes of ``inode`` from ``pos`` on are still to do."""

    __slots__ = ("flags", "inode", "iomap", "iter_start_pos", "len", "pos", "private", "srcmap", "status")

    def __init__(self, inode: Any, pos: int, len: int, flags: int = 0, private: Any = None):
        self.inode = inode
        self.pos = pos
        self.len = len
        self.iter_start_pos = 0
        self.status = 0
        self.flags = flags
        self.iomap = Iomap(self)
        self.srcmap = Iomap(self)
        self.private = private


@dup(H)
class iomap_read_ops:
    """``struct iomap_read_ops``: how a range of a folio is read. ``submit_read`` may be None."""

    __slots__ = ("bio_set", "read_folio_range", "submit_read")

    def __init__(self, *, read_folio_range: Any = None, submit_read: Any = None, bio_set: Any = None):
        self.read_folio_range = read_folio_range
        self.submit_read = submit_read
        self.bio_set = bio_set


@dup(H)
class IomapReadFolioCtx:
    """``struct iomap_read_folio_ctx``: one read_folio (``cur_folio``) or readahead (``rac``) call."""

    __slots__ = ("cur_folio", "ops", "rac", "read_ctx", "read_ctx_file_offset", "vi")

    def __init__(self, ops: iomap_read_ops, cur_folio: Page = NULL, rac: ReadaheadControl = NULL):
        self.ops = ops
        self.cur_folio = cur_folio
        self.rac = rac
        self.read_ctx: Any = None
        self.read_ctx_file_offset = 0
        self.vi: Any = None


iomap_read_folio_ctx = IomapReadFolioCtx
names("dup", H, "iomap_read_folio_ctx")


@dup(H)
def iomap_sector(iomap: Iomap, pos: int) -> int:
    """``sector_t iomap_sector(const struct iomap *iomap, loff_t pos)``"""
    if iomap.flags & IOMAP_F_ANON_WRITE:
        return 0xFFFF_FFFF_FFFF_FFFF
    return (iomap.addr + pos - iomap.offset & 0xFFFF_FFFF_FFFF_FFFF) >> 9


@dup(H)
def iomap_inline_data(iomap: Iomap, pos: int) -> int:
    """``void *iomap_inline_data(const struct iomap *iomap, loff_t pos)``"""
    return iomap.inline_data + pos - iomap.offset


@dup(H)
def iomap_length_trim(iter_: IomapIter, pos: int, len_: int) -> int:
    """``u64 iomap_length_trim(const struct iomap_iter *iter, loff_t pos, u64 len)``"""
    left = iter_.iomap.offset + iter_.iomap.length - pos
    srcmap = iter_.srcmap
    if srcmap.type != IOMAP_HOLE:
        left = min(left, srcmap.offset + srcmap.length - pos)
    return len_ if len_ < left else left


@dup(H)
def iomap_length(iter_: IomapIter) -> int:
    """``u64 iomap_length(const struct iomap_iter *iter)``: bytes that the current mapping covers from ``pos`` on."""
    return iomap_length_trim(iter_, iter_.pos, iter_.len)


@dup(H)
def iomap_iter_srcmap(i: IomapIter) -> Iomap:
    """``const struct iomap *iomap_iter_srcmap(const struct iomap_iter *i)``"""
    return i.srcmap if i.srcmap.type != IOMAP_HOLE else i.iomap


@dup(C)
def iomap_iter_advance(iter_: IomapIter, count: int) -> int:
    """``int iomap_iter_advance(struct iomap_iter *iter, u64 count)``: -EIO beyond the mapping."""
    if count > iter_.len or count > iomap_length(iter_):
        WARN_ON_ONCE(True)
        return -EIO
    iter_.pos += count
    iter_.len -= count
    return 0


@dup(H)
def iomap_iter_advance_full(iter_: IomapIter) -> int:
    """``int iomap_iter_advance_full(struct iomap_iter *iter)``"""
    return iomap_iter_advance(iter_, iomap_length(iter_))


@dup(C)
def iomap_iter_continue(iter_: IomapIter, iomap: Iomap, srcmap: Iomap, ret: int) -> int:
    """``int iomap_iter_continue(const struct iomap_iter *iter, struct iomap *iomap, struct iomap *srcmap, int ret)``: 1 more; 0 done; -errno."""
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


@dup(H)
def iomap_iter_next(iter_: IomapIter, iomap: Iomap, srcmap: Iomap, begin: Begin, end: End | None) -> int:
    """``int iomap_iter_next(iter, iomap, srcmap, begin, end)``: finish the mapping, produce the next one."""
    ret = 0
    if iomap.length:
        if end is not None:
            # how far the iter was advanced, and the original length
            advanced = iter_.pos - iter_.iter_start_pos
            len_ = iomap_length_trim(iter_, iter_.iter_start_pos, iter_.len + advanced)
            ret = end(iter_.inode, iter_.iter_start_pos, len_, advanced, iter_.flags, iomap)
        ret = iomap_iter_continue(iter_, iomap, srcmap, ret)
        if ret <= 0:
            return ret
    ret = begin(iter_.inode, iter_.pos, iter_.len, iter_.flags, iomap, srcmap)
    return ret if ret < 0 else 1


@dup(C)
def iomap_iter(iter_: IomapIter, ops: iomap_ops) -> int:
    """``int iomap_iter(struct iomap_iter *iter, const struct iomap_ops *ops)``: call it until it does not return a positive value.

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
        if iomap.offset > pos or iomap.length == 0 or iomap.offset + iomap.length <= (pos if pos >= 0 else pos + (1 << 64)) or iomap.flags & IOMAP_F_STALE:
            WARN_ON_ONCE(True)
        iter_.iter_start_pos = pos
    return ret
