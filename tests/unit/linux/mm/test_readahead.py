# SPDX-License-Identifier: GPL-2.0-only
"""filemap_read() and read-ahead: bytes, windows, marks, failures, large folios, page sizes."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.bvec import BioVec
from kemu.linux.errno import EAGAIN, EFAULT, EINTR, EINVAL, EIO, ENOMEM
from kemu.linux.gfp import GFP_KERNEL, alloc_pages
from kemu.linux.include.fs.constants import FMODE_RANDOM, IOCB_NOIO, IOCB_NOWAIT
from kemu.linux.include.fs.types import Kiocb
from kemu.linux.mm import folio_put, page_address
from kemu.linux.pagemap import (
    ReadaheadControl,
    filemap_grab_folio,
    filemap_read,
    folio_end_read,
    folio_unlock,
    page_cache_ra_unbounded,
    read_mapping_folio,
    readahead_count,
    readahead_expand,
    readahead_folio,
    truncate_inode_pages_final,
)
from kemu.linux.slab import kmalloc
from kemu.linux.splice import PipeInodeInfo, filemap_splice_read
from kemu.linux.types import Ref
from kemu.linux.uio import ITER_DEST, IovIter, Kvec, copy_to_iter, iov_iter_advance, iov_iter_bvec, iov_iter_kvec, iov_iter_revert
from kemu.machine.machine import Machine
from kemu.machine.pages import PG_readahead
from tests.unit.linux.block_files import Planned, folios, make_file, open_disk, read

IMAGE = bytes((i * 31 + (i >> 8)) & 0xFF for i in range(300_000))


def plain(machine, size=300_000, large=False, **options):
    disk, bdev_file = open_disk(machine, IMAGE, pad=4096, **options)
    return disk, make_file(bdev_file, size, [("mapped", 0, len(IMAGE) + 4095 & ~4095, 0)], large=large)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
def test_a_whole_file_and_pieces_of_it(page_size, large):
    with Machine(page_size=page_size) as machine:
        disk, file = plain(machine, large=large)
        assert read(file, 0, 400_000) == (300_000, IMAGE)
        for pos, n in ((0, 1), (4095, 2), (65535, 70_000), (299_999, 1), (299_999, 100)):
            assert read(file, pos, n) == (min(n, 300_000 - pos), IMAGE[pos:pos + n])
        assert read(file, 300_000, 1) == (0, b"")
        assert read(file, -1, 1)[0] == -EINVAL
        orders = {f.order for f in folios(file.f_mapping)}
        assert (max(orders) > 0) == large
        truncate_inode_pages_final(file.f_mapping)


@given(st.lists(st.tuples(st.integers(0, 310_000), st.integers(1, 50_000)), min_size=1, max_size=8), st.booleans(),
       st.sampled_from(["sync", "kworker", "softirq"]))
def test_any_order_of_reads_gives_the_bytes(reads, large, completion):
    with Machine() as machine:
        disk, file = plain(machine, large=large, completion=completion)
        for pos, n in reads:
            assert read(file, pos, n) == (max(0, min(n, 300_000 - pos)), IMAGE[pos:pos + n])
        assert sum(1 << f.order for f in folios(file.f_mapping)) == file.f_mapping.nrpages


# ------------------------------------------------------------------------- windows

def windows(machine, file, steps, size=4096):
    """(start, size, async_size) of the read-ahead window after each of ``steps`` sequential reads."""
    out = []
    for i in range(steps):
        read(file, i * size, size)
        ra = file.f_ra
        out.append((ra.start, ra.size, ra.async_size))
    return out


def test_the_window_grows_as_linux_grows_it(machine):
    disk, file = plain(machine)
    got = windows(machine, file, 40)
    # 4 KiB reads, ra_pages 32: initial 4 pages with a mark at page 1, then 8, 16, 32, 32
    assert got[0] == (0, 4, 3)
    assert got[1] == (4, 8, 8)
    assert got[4] == (12, 16, 16)
    assert got[12] == (28, 32, 32)
    assert got[28] == (60, 32, 32)
    assert machine.counters.bios <= 6


def test_the_mark_is_where_the_next_window_starts(machine):
    disk, file = plain(machine)
    read(file, 0, 4096)
    assert [f.index for f in folios(file.f_mapping) if f.flags & PG_readahead] == [1]
    read(file, 4096, 4096)
    assert [f.index for f in folios(file.f_mapping) if f.flags & PG_readahead] == [4]


def test_a_random_read_reads_what_was_asked_for(machine):
    disk, file = plain(machine)
    read(file, 0, 100)
    before = file.f_mapping.nrpages
    read(file, 200_000, 5000)
    assert file.f_mapping.nrpages == before + 3
    file.f_mode |= FMODE_RANDOM
    read(file, 100_000, 3 * 4096)
    assert file.f_mapping.nrpages == before + 3 + 4


def test_no_read_ahead_without_pages_for_it(machine):
    disk, file = plain(machine)
    file.f_ra.ra_pages = 0
    assert read(file, 0, 12_000) == (12_000, IMAGE[:12_000])
    assert file.f_mapping.nrpages == 3 and machine.counters.bios == 3


def test_read_ahead_stops_at_the_end_of_the_file(machine):
    disk, file = plain(machine, size=10_000)
    assert read(file, 0, 1 << 20) == (10_000, IMAGE[:10_000])
    assert file.f_mapping.nrpages == 3
    assert not any(f.flags & PG_readahead for f in folios(file.f_mapping))


def test_readahead_expand_stops_at_what_is_cached(machine):
    disk, file = plain(machine)
    mapping = file.f_mapping
    folio_put(read_mapping_folio(mapping, 3, None))
    folio_put(read_mapping_folio(mapping, 12, None))
    got = []

    def readahead(rac):
        readahead_expand(rac, 2 * 4096, 14 * 4096)
        got.append((rac._index, readahead_count(rac)))
        while (folio := readahead_folio(rac)) is not None:
            machine.mem.fill(page_address(folio), 0, 4096)
            folio_end_read(folio, True)

    mapping.a_ops.readahead = readahead
    page_cache_ra_unbounded(ReadaheadControl(file, mapping, file.f_ra, 6), 2, 0)
    assert got == [(4, 4)]                                  # down to 4 and, as the lower edge met a folio, no further up
    got.clear()
    for i in range(4, 8):
        folio = mapping.i_pages[i]
        assert folio.refcount == 1
    page_cache_ra_unbounded(ReadaheadControl(file, mapping, file.f_ra, 20), 2, 0)
    assert got == [(13, 9)]


def test_folios_that_readahead_leaves_are_taken_out_again(machine):
    disk, file = plain(machine)
    mapping = file.f_mapping
    mapping.a_ops.readahead = lambda rac: None
    assert read(file, 0, 4096) == (4096, IMAGE[:4096])      # read_folio does it
    assert mapping.nrpages == 1


def test_readahead_without_memory_reads_what_it_can():
    for at in range(1, 40):
        with Machine(chooser=Planned("fail_page_alloc", at=at)) as machine:
            disk, file = plain(machine)
            got, data = read(file, 0, 150_000)
            assert got == 150_000 and data == IMAGE[:got]   # one page less read ahead, but nothing is lost
            assert machine.counters.pages_in_use == file.f_mapping.nrpages


# ------------------------------------------------------------------------- failures

@pytest.mark.parametrize("large", [False, True])
def test_a_bad_sector_ends_the_read_where_it_lies(machine, large):
    disk, file = plain(machine, large=large)
    disk.private_data.bad_sectors = {100_000 >> 9}
    got, data = read(file, 0, 300_000)
    assert 0 < got <= 100_000 and data == IMAGE[:got]
    assert read(file, got, 1)[0] == -EIO
    assert file.f_ra.ra_pages < 32                          # shrink_readahead_size_eio()
    disk.private_data.bad_sectors = set()
    assert read(file, 0, 300_000) == (300_000, IMAGE)


@pytest.mark.parametrize("at", range(1, 8))
def test_any_bio_may_fail_and_the_next_read_repairs_it(at):
    with Machine(chooser=Planned("fail_make_request", at=at)) as machine:
        disk, file = plain(machine)
        got, data = read(file, 0, 300_000)
        assert got == -EIO or data == IMAGE[:got]
        assert read(file, 0, 300_000) == (300_000, IMAGE)


def test_the_readers_memory_may_fault():
    with Machine(chooser=Planned("fail_usercopy", at=1)) as machine:
        disk, file = plain(machine)
        assert read(file, 0, 5000)[0] == -EFAULT
        assert read(file, 0, 5000) == (5000, IMAGE[:5000])
    with Machine(chooser=Planned("fail_usercopy", at=2)) as machine:
        disk, file = plain(machine)
        assert read(file, 0, 8192) == (4096, IMAGE[:4096])


def test_a_single_folio_without_memory_is_enomem():
    with Machine(chooser=Planned("fail_page_alloc", at=2)) as machine:
        disk, file = plain(machine)
        file.f_mapping.a_ops.readahead = None
        file.f_ra.ra_pages = 0
        chooser = machine.chooser
        chooser.at = chooser.seen + 1
        got = read(file, 0, 4096)[0]                        # the forced read-ahead fails, the single folio is had
        assert got == 4096
        chooser.at = chooser.seen + 1
        chooser.fault = lambda kind, what: kind == "fail_page_alloc"
        assert read(file, 50_000, 4096)[0] == -ENOMEM


def test_nowait_and_noio(machine):
    disk, file = plain(machine)
    assert read(file, 0, 4096, IOCB_NOIO)[0] == -EAGAIN
    assert read(file, 0, 4096) == (4096, IMAGE[:4096])
    assert read(file, 0, 4096, IOCB_NOIO) == (4096, IMAGE[:4096])
    locked = filemap_grab_folio(file.f_mapping, 70)
    assert read(file, 70 * 4096, 100, IOCB_NOWAIT)[0] == -EAGAIN
    folio_unlock(locked)
    folio_put(locked)


def test_a_fatal_signal_ends_the_read(machine):
    disk, file = plain(machine)
    machine.first_task.pending_signal = True
    assert read(file, 0, 4096)[0] == -EINTR


def test_a_reader_waits_for_somebody_elses_read_ahead(machine):
    disk, file = plain(machine, completion="kworker")
    got = []
    for i in range(3):
        machine.sched.spawn(f"reader{i}", lambda i=i: got.append(read(file, i * 4096, 20_000)))
    machine.sched.run_others()
    assert sorted(got) == sorted((20_000, IMAGE[i * 4096:i * 4096 + 20_000]) for i in range(3))


# ------------------------------------------------------------------------- other destinations

def test_reading_into_kernel_memory(machine):
    disk, file = plain(machine)
    a, b = kmalloc(3000), kmalloc(7000)
    it = IovIter()
    iov_iter_kvec(it, ITER_DEST, [Kvec(a, 3000), Kvec(b, 7000)], 2, 10_000)
    iocb = Kiocb()
    iocb.ki_filp, iocb.ki_pos = file, 1000
    assert filemap_read(iocb, it, 0) == 10_000 and it.count == 0
    assert machine.mem.load(a, 3000) + machine.mem.load(b, 7000) == IMAGE[1000:11_000]


def test_reading_into_pages(machine):
    disk, file = plain(machine)
    page = alloc_pages(GFP_KERNEL, 1)
    it = IovIter()
    iov_iter_bvec(it, ITER_DEST, [BioVec(page, 5000, 100), BioVec(page, 1000, 6000)], 2, 6000)
    iocb = Kiocb()
    iocb.ki_filp = file
    assert filemap_read(iocb, it, 0) == 6000
    assert machine.mem.load(page_address(page) + 100, 5000) == IMAGE[:5000]
    assert machine.mem.load(page_address(page) + 6000, 1000) == IMAGE[5000:6000]
    assert set(machine.mem.shadow(page_address(page), 100)) == {1}


def test_advance_and_revert(machine):
    a = kmalloc(100)
    it = IovIter()
    iov_iter_kvec(it, ITER_DEST, [Kvec(a, 10), Kvec(a + 20, 10), Kvec(a + 40, 10)], 3, 30)
    iov_iter_advance(it, 15)
    assert (it.count, it.seg, it.iov_offset) == (15, 1, 5)
    iov_iter_revert(it, 12)
    assert (it.count, it.seg, it.iov_offset) == (27, 0, 3)
    src = kmalloc(30)
    machine.mem.store(src, bytes(range(30)))
    assert copy_to_iter(src, 30, it) == 27
    assert machine.mem.load(a + 3, 7) == bytes(range(7)) and machine.mem.load(a + 40, 10) == bytes(range(17, 27))


def test_splice_hands_out_the_pages_themselves(machine):
    disk, file = plain(machine)
    pipe = PipeInodeInfo(max_usage=4)
    pos = Ref(3000)
    before = machine.counters.bytes_copied
    assert filemap_splice_read(file, pos, pipe, 100_000, 0) == 4096 - 3000 + 3 * 4096
    assert pos.v == 4 * 4096 and pipe.bufs[0].page is file.f_mapping.i_pages[0]
    copied = machine.counters.bytes_copied - before
    assert pipe.read() == IMAGE[3000:4 * 4096]
    assert copied == machine.counters.bio_bytes             # the disk's own copy, and no other
    assert all(f.refcount == 1 for f in folios(file.f_mapping))


def test_counters_tell_the_copies(machine):
    disk, file = plain(machine)
    read(file, 0, 100_000)
    c = machine.counters
    assert c.bytes_to_reader == 100_000
    assert c.bytes_copied == c.bio_bytes == file.f_mapping.nrpages * 4096
    assert c.folios_cached == file.f_mapping.nrpages and c.block_crossings == c.bios
