# SPDX-License-Identifier: GPL-2.0-only
"""struct iomap, its iterator and its tables of operations (include/linux/iomap.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BlockDevice
from kemu.linux.include.pagemap import ReadaheadControl
from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import NULL, this
from kemu.machine.pages import Page

P = "include/linux/iomap.h"


@custom(P, "iomap_bio_read_folio", "takes the file system's private pointer, too")
def iomap_bio_read_folio(folio: Page, ops: iomap_ops, private: Any = None) -> None:
    """``void iomap_bio_read_folio(struct folio *folio, const struct iomap_ops *ops)``"""
    from kemu.linux.fs.iomap.bio import iomap_bio_read_ops  # noqa: PLC0415  (up into fs/iomap/bio.c)
    from kemu.linux.fs.iomap.buffered_io import iomap_read_folio  # noqa: PLC0415  (up into fs/iomap/buffered-io.c)

    iomap_read_folio(ops, IomapReadFolioCtx(iomap_bio_read_ops, cur_folio=folio), private)


@custom(P, "iomap_bio_readahead", "takes the file system's private pointer, too")
def iomap_bio_readahead(rac: ReadaheadControl, ops: iomap_ops, private: Any = None) -> None:
    """``void iomap_bio_readahead(struct readahead_control *rac, const struct iomap_ops *ops)``"""
    from kemu.linux.fs.iomap.bio import iomap_bio_read_ops  # noqa: PLC0415  (up into fs/iomap/bio.c)
    from kemu.linux.fs.iomap.buffered_io import iomap_readahead  # noqa: PLC0415  (up into fs/iomap/buffered-io.c)

    iomap_readahead(ops, IomapReadFolioCtx(iomap_bio_read_ops, rac=rac), private)


FSERR_BUFFERED_READ = 0


@custom("include/linux/fserror.h", "fserror_report_io", "told to the watch")
def fserror_report_io(inode: Any, type_: int, pos: int, len_: int, error: int, gfp: int) -> None:
    """``void fserror_report_io(struct inode *inode, enum fserror_type type, loff_t pos, u64 len, int error, gfp_t gfp)``"""
    if this.watch is not None:
        this.watch.event("fserror", inode=inode, pos=pos, len=len_, error=error)


IOMAP_DIO_UNWRITTEN, IOMAP_DIO_COW = 1, 2
IOMAP_DIO_FORCE_WAIT, IOMAP_DIO_OVERWRITE_ONLY, IOMAP_DIO_PARTIAL, IOMAP_DIO_FSBLOCK_ALIGNED, IOMAP_DIO_BOUNCE = 1, 2, 4, 8, 16


@dup(P)
class iomap_dio_ops:
    """``struct iomap_dio_ops``: members not named are None."""

    __slots__ = ("bio_set", "end_io", "submit_io")

    def __init__(self, *, end_io: Any = None, submit_io: Any = None, bio_set: Any = None):
        self.end_io = end_io
        self.submit_io = submit_io
        self.bio_set = bio_set


IOMAP_HOLE, IOMAP_DELALLOC, IOMAP_MAPPED, IOMAP_UNWRITTEN, IOMAP_INLINE = range(5)
(IOMAP_F_NEW, IOMAP_F_DIRTY, IOMAP_F_SHARED, IOMAP_F_MERGED, IOMAP_F_BUFFER_HEAD, IOMAP_F_XATTR, IOMAP_F_BOUNDARY,
 IOMAP_F_ANON_WRITE, IOMAP_F_ATOMIC_BIO, IOMAP_F_INTEGRITY, IOMAP_F_ZERO_TAIL, IOMAP_F_FSVERITY, IOMAP_F_PRIVATE,
 IOMAP_F_FOLIO_BATCH, IOMAP_F_SIZE_CHANGED, IOMAP_F_STALE) = (1 << i for i in range(16))
IOMAP_NULL_ADDR = 0xFFFF_FFFF_FFFF_FFFF
(IOMAP_WRITE, IOMAP_ZERO, IOMAP_REPORT, IOMAP_FAULT, IOMAP_DIRECT, IOMAP_NOWAIT, IOMAP_OVERWRITE_ONLY, IOMAP_UNSHARE, IOMAP_DAX,
 IOMAP_ATOMIC, IOMAP_DONTCACHE) = (1 << i for i in range(11))


@custom(P, "iomap", "container is the iomap_iter that it is embedded in")
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


@dup(P)
class iomap_ops:
    """``struct iomap_ops``: how a file system maps. Members not named are None."""

    __slots__ = ("iomap_begin", "iomap_end", "iomap_next")

    def __init__(self, *, iomap_begin: Begin | None = None, iomap_end: End | None = None, iomap_next: Any = None):
        self.iomap_begin = iomap_begin
        self.iomap_end = iomap_end
        self.iomap_next = iomap_next


@dup(P)
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


@dup(P)
class iomap_read_ops:
    """``struct iomap_read_ops``: how a range of a folio is read. ``submit_read`` may be None."""

    __slots__ = ("bio_set", "read_folio_range", "submit_read")

    def __init__(self, *, read_folio_range: Any = None, submit_read: Any = None, bio_set: Any = None):
        self.read_folio_range = read_folio_range
        self.submit_read = submit_read
        self.bio_set = bio_set


@dup(P)
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


@dup(P)
def iomap_sector(iomap: Iomap, pos: int) -> int:
    """``sector_t iomap_sector(const struct iomap *iomap, loff_t pos)``"""
    if iomap.flags & IOMAP_F_ANON_WRITE:
        return 0xFFFF_FFFF_FFFF_FFFF
    return (iomap.addr + pos - iomap.offset & 0xFFFF_FFFF_FFFF_FFFF) >> 9


@dup(P)
def iomap_inline_data(iomap: Iomap, pos: int) -> int:
    """``void *iomap_inline_data(const struct iomap *iomap, loff_t pos)``"""
    return iomap.inline_data + pos - iomap.offset


@dup(P)
def iomap_length_trim(iter_: IomapIter, pos: int, len_: int) -> int:
    """``u64 iomap_length_trim(const struct iomap_iter *iter, loff_t pos, u64 len)``"""
    left = iter_.iomap.offset + iter_.iomap.length - pos
    srcmap = iter_.srcmap
    if srcmap.type != IOMAP_HOLE:
        left = min(left, srcmap.offset + srcmap.length - pos)
    return len_ if len_ < left else left


@dup(P)
def iomap_length(iter_: IomapIter) -> int:
    """``u64 iomap_length(const struct iomap_iter *iter)``: bytes that the current mapping covers from ``pos`` on."""
    return iomap_length_trim(iter_, iter_.pos, iter_.len)


@dup(P)
def iomap_iter_srcmap(i: IomapIter) -> Iomap:
    """``const struct iomap *iomap_iter_srcmap(const struct iomap_iter *i)``"""
    return i.srcmap if i.srcmap.type != IOMAP_HOLE else i.iomap


@dup(P)
def iomap_iter_advance_full(iter_: IomapIter) -> int:
    """``int iomap_iter_advance_full(struct iomap_iter *iter)``"""
    from kemu.linux.fs.iomap.iter import iomap_iter_advance  # noqa: PLC0415  (up into fs/iomap/iter.c)

    return iomap_iter_advance(iter_, iomap_length(iter_))


@dup(P)
def iomap_iter_next(iter_: IomapIter, iomap: Iomap, srcmap: Iomap, begin: Begin, end: End | None) -> int:
    """``int iomap_iter_next(iter, iomap, srcmap, begin, end)``: finish the mapping, produce the next one."""
    ret = 0
    if iomap.length:
        from kemu.linux.fs.iomap.iter import iomap_iter_continue  # noqa: PLC0415  (up into fs/iomap/iter.c)

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


names("dup", P, "iomap_read_folio_ctx")
