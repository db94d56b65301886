# SPDX-License-Identifier: GPL-2.0-only
"""iomap: extents of all kinds into folios of all sizes, blocks smaller than a folio, errors, seek, fiemap, bmap."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EBADR, EFBIG, EINVAL, EIO, ENXIO
from kemu.linux.fiemap import (
    FIEMAP_EXTENT_DATA_INLINE,
    FIEMAP_EXTENT_LAST,
    FIEMAP_EXTENT_NOT_ALIGNED,
    FIEMAP_FLAG_SYNC,
    FIEMAP_FLAG_XATTR,
    FiemapExtentInfo,
)
from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.iomap import (
    IOMAP_MAPPED,
    IomapIter,
    iomap_bmap,
    iomap_fiemap,
    iomap_folio_state,
    iomap_is_partially_uptodate,
    iomap_iter,
    iomap_iter_advance,
    iomap_ops,
    iomap_seek_data,
    iomap_seek_hole,
)
from kemu.linux.mm import folio_address, page_address
from kemu.linux.pagemap import (
    invalidate_mapping_pages,
    read_mapping_folio,
    truncate_inode_pages_final,
    truncate_inode_pages_range,
)
from kemu.machine.machine import Machine
from kemu.machine.pages import PG_locked, PG_uptodate
from tests.conftest import raises_splat
from tests.unit.linux.block_files import Planned, folios, make_file, open_disk, read

IMAGE = bytes((i * 7 + (i >> 9)) & 0xFF or 1 for i in range(64 * 1024))


def expected(extents, size, memory=None):
    out = bytearray(size)
    for kind, offset, length, where in extents:
        n = max(0, min(length, size - offset))
        if kind == "mapped":
            out[offset:offset + n] = IMAGE[where:where + n]
        elif kind == "inline":
            out[offset:offset + n] = memory[:n]
    return bytes(out)


EXTENTS = [("mapped", 0, 3072, 8192), ("hole", 3072, 1024, 0), ("mapped", 4096, 512, 512),
           ("mapped", 4608, 20_000 - 4608 & ~511, 1024)]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
@pytest.mark.parametrize("size", [20_000 & ~511, 19_777, 4096, 4097, 700, 511])
def test_small_blocks_in_large_folios(size, page_size, large):
    with Machine(page_size=page_size) as machine:
        disk, bdev_file = open_disk(machine, IMAGE)
        file = make_file(bdev_file, size, EXTENTS, blkbits=9, large=large)
        assert read(file, 0, 1 << 20) == (size, expected(EXTENTS, size))
        for folio in folios(file.f_mapping):                # what lies behind the end is zeros
            start, n = folio.index * page_size, page_size << folio.order
            got = machine.mem.load(folio_address(folio), n)
            blocks_end = (size + 511) & ~511
            assert got[max(0, blocks_end - start):] == bytes(n)[max(0, blocks_end - start):]
            assert not folio.flags & PG_locked and folio.flags & PG_uptodate
        truncate_inode_pages_final(file.f_mapping)
        assert machine.counters.pages_in_use == 0


@given(st.data())
def test_any_extents_read_in_any_order(data):
    blocks = data.draw(st.integers(1, 60))
    layout, pos = [], 0
    while pos < blocks:
        n = data.draw(st.integers(1, 12))
        kind = data.draw(st.sampled_from(["mapped", "mapped", "hole"]))
        layout.append((kind, pos * 512, n * 512, data.draw(st.integers(0, 60)) * 512))
        pos += n
    size = blocks * 512 - data.draw(st.integers(0, 511))
    page_size = data.draw(st.sampled_from([4096, 16384, 65536]))
    with Machine(page_size=page_size) as machine:
        disk, bdev_file = open_disk(machine, IMAGE, completion=data.draw(st.sampled_from(["sync", "kworker"])))
        file = make_file(bdev_file, size, layout, blkbits=9, large=data.draw(st.booleans()))
        want = expected(layout, size)
        for _ in range(data.draw(st.integers(1, 4))):
            at, n = data.draw(st.integers(0, size)), data.draw(st.integers(1, size))
            assert read(file, at, n) == (len(want[at:at + n]), want[at:at + n])
        assert read(file, 0, size) == (size, want)


# ------------------------------------------------------------------------- inline data

def inline_file(machine, tail, size, page_offset=0, **options):
    """A file of 8 KiB of mapped blocks and an inline tail that lies at ``page_offset`` of a metadata page."""
    page = alloc_page(GFP_KERNEL)
    machine.mem.store(page_address(page) + page_offset, tail)
    window = kmap_local_page(page)
    disk, bdev_file = open_disk(machine, IMAGE)
    extents = [("mapped", 0, 8192, 4096), ("inline", 8192, len(tail), window + page_offset)]
    return make_file(bdev_file, size, extents, blkbits=9, **options), window, extents


@pytest.mark.parametrize("page_size", [4096, 16384])
def test_an_inline_tail_is_copied_and_the_rest_zeroed(page_size):
    with Machine(page_size=page_size) as machine:
        tail = bytes(range(1, 200))
        file, window, extents = inline_file(machine, tail, 8192 + 199, page_offset=page_size - 199)
        assert read(file, 0, 20_000) == (8391, expected(extents, 8391, tail))
        last = folios(file.f_mapping)[-1]
        at = 8192 - last.index * page_size
        assert machine.mem.load(folio_address(last) + at, page_size - at) == tail + bytes(page_size - at - 199)
        kunmap_local(window)


def test_inline_data_that_leaves_its_page_is_reported(machine):
    file, window, extents = inline_file(machine, bytes(64), 8192 + 64, page_offset=4096 - 64)
    extents[1] = ("inline", 8192, 96, extents[1][3])
    file.f_inode.i_size = 8192 + 96
    with raises_splat("BUG: KASAN: out-of-bounds"):
        read(file, 8192, 96)


def test_too_little_inline_data_is_an_error(machine):
    file, window, extents = inline_file(machine, bytes(64), 8192 + 65)
    assert read(file, 8192, 65)[0] == -EIO
    assert "WARNING" in machine.log.lines()[-1]
    kunmap_local(window)


# ------------------------------------------------------------------------- errors

def test_a_failed_mapping_fails_the_folio(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 20_000, EXTENTS, blkbits=9, fail=-EINVAL)
    assert PTR_ERR(read_mapping_folio(file.f_mapping, 0, file)) == -EIO
    folio = file.f_mapping.i_pages[0]
    assert not folio.flags & (PG_locked | PG_uptodate)
    assert isinstance(folio.private, iomap_folio_state) and folio.private.read_bytes_pending == 0
    assert folio.private.uptodate == 0b111111               # the blocks of the first extent have been read


def test_only_the_blocks_that_failed_are_read_again(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 20_000, EXTENTS, blkbits=9)
    disk.private_data.bad_sectors = {1}                     # device bytes 512..1023: file bytes 4096..4607
    assert PTR_ERR(read_mapping_folio(file.f_mapping, 1, file)) == -EIO
    folio = file.f_mapping.i_pages[1]
    assert folio.private.uptodate == 0b11111110
    assert iomap_is_partially_uptodate(folio, 512, 1000) and not iomap_is_partially_uptodate(folio, 0, 513)
    assert read(file, 4608, 100) == (100, expected(EXTENTS, 20_000)[4608:4708])     # partly uptodate is enough
    disk.private_data.bad_sectors = set()
    before = machine.counters.bio_bytes
    assert not IS_ERR(read_mapping_folio(file.f_mapping, 1, file))
    assert machine.counters.bio_bytes == before + 512
    assert machine.mem.load(folio_address(folio), 4096) == expected(EXTENTS, 20_000)[4096:8192]


def test_errors_end_in_a_kworker(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 8192, [("mapped", 0, 8192, 1 << 20)])
    assert PTR_ERR(read_mapping_folio(file.f_mapping, 0, file)) == -EIO
    assert machine.counters.task_switches > 0
    assert "attempt to access beyond end of device" in "\n".join(machine.log.lines())


@pytest.mark.parametrize("at", range(1, 6))
def test_every_bio_may_fail(at):
    with Machine(chooser=Planned("fail_make_request", at=at)) as machine:
        disk, bdev_file = open_disk(machine, IMAGE)
        file = make_file(bdev_file, 20_000, EXTENTS, blkbits=9)
        got, data = read(file, 0, 20_000)
        want = expected(EXTENTS, 20_000)
        assert got == -EIO or data == want[:got]
        assert read(file, 0, 20_000) == (20_000, want)


# ------------------------------------------------------------------------- letting go

def test_folio_state_goes_with_the_folio(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 20_000, EXTENTS, blkbits=9)
    read(file, 0, 20_000)
    first = file.f_mapping.i_pages[0]
    assert first.refcount == 2 and first.private.full
    truncate_inode_pages_range(file.f_mapping, 100, 199)
    assert first.private.full and read(file, 0, 300) == (300, IMAGE[8192:8292] + bytes(100) + IMAGE[8392:8492])
    assert invalidate_mapping_pages(file.f_mapping, 0, -1) == 5
    assert file.f_mapping.nrpages == 0 and machine.counters.pages_in_use == 0


# ------------------------------------------------------------------------- the iterator

def test_the_iterator_calls_end_with_what_was_done(machine):
    calls = []

    def begin(inode, pos, length, flags, iomap, srcmap):
        iomap.offset, iomap.length, iomap.type = pos & ~4095, 4096, IOMAP_MAPPED
        calls.append(("begin", pos, length))
        return 0

    def end(inode, pos, length, written, flags, iomap):
        calls.append(("end", pos, length, written))
        return 0

    ops = iomap_ops(iomap_begin=begin, iomap_end=end)
    it = IomapIter(None, 100, 8000)
    assert iomap_iter(it, ops) == 1
    it.status = iomap_iter_advance(it, 3996)
    assert iomap_iter(it, ops) == 1 and it.pos == 4096
    it.status = iomap_iter_advance(it, 4004)
    assert iomap_iter(it, ops) == 0
    assert calls == [("begin", 100, 8000), ("end", 100, 3996, 3996), ("begin", 4096, 4004), ("end", 4096, 4004, 4004)]
    assert iomap_iter_advance(it, 5000) == -EIO


def test_the_iterator_stops_without_progress_or_on_error(machine):
    def begin(inode, pos, length, flags, iomap, srcmap):
        iomap.offset, iomap.length = pos, length
        return 0

    ops = iomap_ops(iomap_begin=begin)
    it = IomapIter(None, 0, 100)
    assert iomap_iter(it, ops) == 1 and iomap_iter(it, ops) == 0
    it = IomapIter(None, 0, 100)
    assert iomap_iter(it, ops) == 1
    it.status = -ENXIO
    assert iomap_iter(it, ops) == -ENXIO
    it = IomapIter(None, 0, 100)
    assert iomap_iter(it, iomap_ops(iomap_begin=lambda *a: -EINVAL)) == -EINVAL


# ------------------------------------------------------------------------- reports

HOLES = [("hole", 0, 4096, 0), ("mapped", 4096, 8192, 0), ("hole", 12288, 4096, 0), ("mapped", 16384, 4096, 8192)]


@pytest.fixture
def holes(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 20_000, HOLES)
    return file.f_inode, file.f_inode.i_private


def test_seek(holes):
    inode, ops = holes
    assert [iomap_seek_data(inode, p, ops) for p in (0, 4096, 5000, 12288, 19_999)] == [4096, 4096, 5000, 16384, 19_999]
    assert [iomap_seek_hole(inode, p, ops) for p in (0, 10, 4096, 12_300, 16384)] == [0, 10, 12288, 12_300, 20_000]
    for p in (-1, 20_000):
        assert iomap_seek_data(inode, p, ops) == iomap_seek_hole(inode, p, ops) == -ENXIO
    inode.i_size = 16_000
    assert iomap_seek_data(inode, 13_000, ops) == -ENXIO


def test_fiemap(holes):
    inode, ops = holes
    fi = FiemapExtentInfo(10, FIEMAP_FLAG_SYNC)
    assert iomap_fiemap(inode, fi, 0, 1 << 40, ops) == 0
    assert [tuple(e) for e in fi.fi_extents] == [(4096, 0, 8192, 0), (16384, 8192, 4096, FIEMAP_EXTENT_LAST)]
    fi = FiemapExtentInfo(0)
    assert iomap_fiemap(inode, fi, 0, 1 << 40, ops) == 0 and fi.fi_extents_mapped == 2
    fi = FiemapExtentInfo(1)
    assert iomap_fiemap(inode, fi, 0, 1 << 40, ops) == 0 and [e.fe_logical for e in fi.fi_extents] == [4096]
    assert iomap_fiemap(inode, FiemapExtentInfo(1), 0, 0, ops) == -EINVAL
    assert iomap_fiemap(inode, FiemapExtentInfo(1), 1 << 63, 1, ops) == -EFBIG
    fi = FiemapExtentInfo(1, FIEMAP_FLAG_XATTR)
    assert iomap_fiemap(inode, fi, 0, 1, ops) == -EBADR and fi.fi_flags == FIEMAP_FLAG_XATTR


def test_fiemap_tells_inline_data(machine):
    disk, bdev_file = open_disk(machine, IMAGE)
    file = make_file(bdev_file, 100, [("inline", 0, 100, 4321)])
    fi = FiemapExtentInfo(10)
    assert iomap_fiemap(file.f_inode, fi, 0, 100, file.f_inode.i_private) == 0
    assert fi.fi_extents[0].fe_flags == FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_LAST


def test_bmap(holes):
    inode, ops = holes
    assert [iomap_bmap(inode.i_mapping, b, ops) for b in range(5)] == [0, 0, 1, 0, 2]
