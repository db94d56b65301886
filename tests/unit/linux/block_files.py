# SPDX-License-Identifier: GPL-2.0-only
"""What the block and page cache tests share: a chooser that fails one call, and a file made of extents on a RAM disk."""
from __future__ import annotations

from typing import Any

from kemu.linux.blkdev import BLK_OPEN_READ, bdev_file_open_by_path, file_bdev
from kemu.linux.err import IS_ERR
from kemu.linux.include.fs.types import File, Inode, Kiocb, address_space_operations
from kemu.linux.iomap import (
    IOMAP_HOLE,
    IOMAP_INLINE,
    IOMAP_MAPPED,
    Iomap,
    iomap_bio_read_folio,
    iomap_bio_readahead,
    iomap_invalidate_folio,
    iomap_is_partially_uptodate,
    iomap_ops,
    iomap_release_folio,
)
from kemu.linux.pagemap import AddressSpace, file_ra_state_init, filemap_read, mapping_set_large_folios
from kemu.linux.port.ramdisk import ramdisk
from kemu.linux.super_types import SuperBlock
from kemu.linux.uio import IovIter, iov_iter_ubuf


class Planned:
    """A Chooser: the ``at``-th asked-for fault of ``kind`` happens (0: never), values by name, tasks first come first."""

    def __init__(self, kind: str = "", at: int = 0, values: dict[str, Any] | None = None, order: str = "first"):
        self.kind = kind
        self.at = at
        self.values = values or {}
        self.seen = 0
        self.asked: list[tuple[str, str]] = []
        self.order = order

    def fault(self, kind: str, what: str) -> bool:
        if kind != self.kind:
            return False
        self.asked.append((kind, what))
        self.seen += 1
        return self.seen == self.at

    def value(self, name: str, low: int, high: int) -> int:
        v = self.values.get(name, low)
        if callable(v):
            v = v(low, high)
        assert low <= v <= high
        return v

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return 0 if self.order == "first" else len(runnable) - 1


class Mem:
    """One sequential read; see :func:`read`."""

    def __init__(self, n: int):
        self.out = bytearray(n)
        self.iter = IovIter()
        iov_iter_ubuf(self.iter, 0, self.out, n)


def read(file: File, pos: int, n: int, flags: int = 0) -> tuple[int, bytes]:
    """pread(): what filemap_read() returned, and the bytes."""
    iocb = Kiocb()
    iocb.ki_filp = file
    iocb.ki_pos = pos
    iocb.ki_flags = flags
    m = Mem(n)
    got = filemap_read(iocb, m.iter, 0)
    return got, bytes(m.out[:max(got, 0)])


def open_disk(machine: Any, image: bytes, **options: Any) -> tuple[Any, Any]:
    """(gendisk, open bdev file) of a RAM disk with ``image``."""
    disk = ramdisk(machine.place(image), **options)
    assert not IS_ERR(disk)
    file = bdev_file_open_by_path(f"/dev/{disk.disk_name}", BLK_OPEN_READ, disk)
    assert not IS_ERR(file)
    return disk, file


Extent = tuple[str, int, int, int]          # "mapped" | "hole" | "inline", offset, length, device address or memory address


def make_file(bdev_file: Any, size: int, extents: list[Extent], *, blkbits: int = 12, large: bool = False, fail: int = 0) -> File:
    """A file whose bytes are where ``extents`` say; ``fail``: what iomap_begin returns behind the first extent."""
    bdev = file_bdev(bdev_file)

    def begin(inode: Inode, pos: int, length: int, flags: int, iomap: Iomap, srcmap: Iomap) -> int:
        for i, (kind, offset, length_, where) in enumerate(extents):
            if offset <= pos < offset + length_:
                if fail and i:
                    return fail
                iomap.offset, iomap.length, iomap.addr = offset, length_, where
                iomap.bdev = bdev
                iomap.type = {"mapped": IOMAP_MAPPED, "hole": IOMAP_HOLE, "inline": IOMAP_INLINE}[kind]
                if kind == "inline":
                    iomap.inline_data = where
                return 0
        iomap.offset, iomap.length, iomap.type = pos, length, IOMAP_HOLE
        return 0

    ops = iomap_ops(iomap_begin=begin)

    def read_folio(file: Any, folio: Any) -> int:
        iomap_bio_read_folio(folio, ops)
        return 0

    inode = Inode()
    inode.i_sb = SuperBlock()
    inode.i_sb.s_maxbytes = (1 << 63) - 1
    inode.i_sb.s_bdi = bdev.bd_disk.bdi
    inode.i_size = size
    inode.i_blkbits = blkbits
    inode.i_private = ops
    inode.i_data = inode.i_mapping = AddressSpace(inode, address_space_operations(
        read_folio=read_folio, readahead=lambda rac: iomap_bio_readahead(rac, ops), release_folio=iomap_release_folio,
        invalidate_folio=iomap_invalidate_folio, is_partially_uptodate=iomap_is_partially_uptodate))
    if large:
        mapping_set_large_folios(inode.i_mapping)
    file = File()
    file.f_inode = inode
    file.f_mapping = inode.i_mapping
    file_ra_state_init(file.f_ra, inode.i_mapping)
    return file


def folios(mapping: AddressSpace) -> list[Any]:
    """The folios of a mapping, by index."""
    return sorted({id(f): f for f in mapping.i_pages.values()}.values(), key=lambda f: f.index)
