# SPDX-License-Identifier: GPL-2.0-only
"""bios: merging, iterating, ending exactly once, chains, recursion of stacked disks."""
from __future__ import annotations

import pytest

from kemu.linux.bio import (
    Bio,
    bio_add_folio,
    bio_add_page,
    bio_alloc,
    bio_alloc_bioset,
    bio_chain,
    bio_endio,
    bio_for_each_bvec,
    bio_for_each_folio_all,
    bio_for_each_segment,
    bio_for_each_segment_all,
    bio_get,
    bio_init,
    bio_io_error,
    bio_put,
    bio_reset,
    bio_split,
    bio_uninit,
    errno_to_blk_status,
    submit_bio,
    submit_bio_wait,
)
from kemu.linux.blk_types import BLK_STS_IOERR, BLK_STS_NOTSUPP, BLK_STS_OK, REQ_NOWAIT, REQ_OP_FLUSH, REQ_OP_READ, REQ_OP_WRITE
from kemu.linux.blkdev import (
    QueueLimits,
    add_disk,
    blk_alloc_disk,
    blk_status_to_errno,
    block_device_operations,
    file_bdev,
    set_capacity,
)
from kemu.linux.bvec import BioVec, bvec_kmap_local
from kemu.linux.errno import EAGAIN, EINVAL, EIO, ENOMEM, EOPNOTSUPP
from kemu.linux.gfp import GFP_ATOMIC, GFP_KERNEL, GFP_NOIO, alloc_page, alloc_pages
from kemu.linux.highmem import kunmap_local
from kemu.linux.mm import folio_put, page_address
from kemu.machine.machine import Machine
from tests.conftest import raises_splat
from tests.unit.linux.block_files import Planned, open_disk


def pages_in_a_row(machine, n):
    got = [alloc_page(GFP_KERNEL) for _ in range(n)]
    assert [p.pfn for p in got] == list(range(got[0].pfn, got[0].pfn + n))
    return got


def test_pages_in_a_row_become_one_segment_and_come_back_page_by_page(machine):
    a, b, c = pages_in_a_row(machine, 3)
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_NOIO)
    assert bio_add_page(bio, a, 4096 - 512, 512) == 3584
    assert bio_add_page(bio, b, 4096, 0) == 4096
    assert bio_add_page(bio, c, 1024, 0) == 1024
    assert bio.bi_vcnt == 1 and bio.bi_iter.bi_size == 3584 + 4096 + 1024
    assert ([(bv.bv_page, bv.bv_len, bv.bv_offset) for bv in bio_for_each_segment(bio)] == [(a, 3584, 512), (b, 4096, 0),
                                                                                            (c, 1024, 0)])
    assert ([(fi.folio, fi.offset, fi.length) for fi in bio_for_each_folio_all(bio)] == [(a, 512, 3584), (b, 0, 4096),
                                                                                         (c, 0, 1024)])
    assert [bv.bv_len for bv in bio_for_each_bvec(bio)] == [8704]


def test_a_gap_needs_a_segment_and_a_full_bio_says_so(machine):
    a, b, c = pages_in_a_row(machine, 3)
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_NOIO)
    assert bio_add_page(bio, a, 4096, 0) == 4096
    assert bio_add_page(bio, c, 4096, 0) == 0
    assert bio_add_page(bio, b, 1024, 512) == 0
    assert bio_add_page(bio, b, 1024, 0) == 1024
    assert bio.bi_iter.bi_size == 5120


def test_a_large_folio_is_one_segment_and_one_folio(machine):
    folio = alloc_pages(GFP_KERNEL, 3)
    bio = bio_alloc(None, 4, REQ_OP_READ, GFP_NOIO)
    assert bio_add_folio(bio, folio, 3 * 4096, 4096 + 512)
    assert bio.bi_io_vec[0].bv_page.pfn == folio.pfn + 1 and bio.bi_io_vec[0].bv_offset == 512
    segments = [(bv.bv_page.pfn - folio.pfn, bv.bv_offset, bv.bv_len) for bv in bio_for_each_segment(bio)]
    assert segments == [(1, 512, 3584), (2, 0, 4096), (3, 0, 4096), (4, 0, 512)]
    assert segments == [(bv.bv_page.pfn - folio.pfn, bv.bv_offset, bv.bv_len) for bv in bio_for_each_segment_all(bio)]
    assert [(fi.folio, fi.offset, fi.length) for fi in bio_for_each_folio_all(bio)] == [(folio, 4608, 3 * 4096)]


def test_the_folio_loop_survives_that_its_folios_are_freed(machine):
    a, b = pages_in_a_row(machine, 2)
    bio = bio_alloc(None, 2, REQ_OP_READ, GFP_NOIO)
    bio_add_page(bio, a, 4096, 0)
    bio_add_page(bio, b, 4096, 0)
    for fi in bio_for_each_folio_all(bio):
        folio_put(fi.folio)
    assert machine.counters.pages_in_use == 0


def test_a_table_of_the_caller_is_filled_in_place(machine):
    page = alloc_page(GFP_KERNEL)
    table = [BioVec() for _ in range(2)]
    bio = Bio(container="mine")
    bio_init(bio, None, table, 2, REQ_OP_READ)
    assert bio_add_page(bio, page, 512, 1024) == 512
    assert table[0].bv_page is page and table[0].bv_offset == 1024 and bio.container == "mine" and len(table) == 2


def test_ending_twice_is_reported(machine):
    ends = []
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_NOIO)
    bio.bi_end_io = ends.append
    bio_io_error(bio)
    assert ends == [bio] and bio.bi_status == BLK_STS_IOERR
    with raises_splat("BUG: bio ended twice in test_ending_twice_is_reported"):
        bio_endio(bio)


def test_freeing_twice_is_reported(machine):
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_NOIO)
    bio_get(bio)
    bio_put(bio)
    bio_put(bio)
    with raises_splat("BUG: bio freed while freed"):
        bio.bi_flags = 0
        bio_put(bio)


def test_a_parent_ends_after_its_chain_and_keeps_the_first_error(machine):
    ends = []
    parent, child, other = (bio_alloc(None, 1, REQ_OP_READ, GFP_NOIO) for _ in range(3))
    parent.bi_end_io = ends.append
    bio_chain(child, parent)
    bio_chain(other, parent)
    bio_endio(parent)
    bio_io_error(child)
    assert ends == []
    other.bi_status = BLK_STS_NOTSUPP
    bio_endio(other)
    assert ends == [parent] and parent.bi_status == BLK_STS_IOERR


def test_reset_keeps_the_table_only(machine):
    page = alloc_page(GFP_KERNEL)
    bio = bio_alloc(None, 3, REQ_OP_READ, GFP_NOIO)
    bio_add_page(bio, page, 512, 0)
    bio.bi_private = bio
    bio_reset(bio, None, REQ_OP_WRITE)
    assert (bio.bi_vcnt, bio.bi_iter.bi_size, bio.bi_private, bio.bi_max_vecs, bio.bi_opf) == (0, 0, None, 3, REQ_OP_WRITE)


def test_status_and_errno_are_each_others_inverse():
    for errno in (-EIO, -EINVAL, -ENOMEM, -EOPNOTSUPP, -EAGAIN, 0):
        assert blk_status_to_errno(errno_to_blk_status(errno)) == errno
    assert errno_to_blk_status(-12345) == BLK_STS_IOERR


def test_a_read_gets_the_bytes_and_zeros_behind_the_image(machine):
    image = bytes(range(256)) * 3
    disk, file = open_disk(machine, image, pad=4096)
    page = alloc_page(GFP_KERNEL)
    bio = Bio()
    bio_init(bio, file_bdev(file), None, 1, REQ_OP_READ)
    bio_add_page(bio, page, 4096, 0)
    assert submit_bio_wait(bio) == 0
    bio_uninit(bio)
    assert machine.mem.load(page_address(page), 4096) == image + bytes(4096 - 768)
    c = machine.counters
    assert (c.bios, c.bio_bytes, c.block_crossings, c.bytes_copied) == (1, 4096, 1, 768)


def test_beyond_the_end_of_the_device_is_an_error_and_a_message(machine):
    disk, file = open_disk(machine, bytes(1000))
    page = alloc_page(GFP_KERNEL)
    bio = Bio()
    bio_init(bio, file_bdev(file), None, 1, REQ_OP_READ)
    bio.bi_iter.bi_sector = 1
    bio_add_page(bio, page, 1024, 0)
    assert submit_bio_wait(bio) == -EIO
    assert (machine.log.lines()[-2:] == ["init: attempt to access beyond end of device",
                                         "ram0: rw=2048, sector=1, nr_sectors = 2 limit=2"])
    assert machine.counters.block_crossings == 0


@pytest.mark.parametrize(("opf", "status"), [(REQ_OP_FLUSH, BLK_STS_NOTSUPP), (REQ_OP_READ | REQ_NOWAIT, BLK_STS_OK)])
def test_operations_are_checked(machine, opf, status):
    disk, file = open_disk(machine, bytes(4096))
    page = alloc_page(GFP_KERNEL)
    bio = Bio()
    bio_init(bio, file_bdev(file), None, 1, opf)
    bio_add_page(bio, page, 512, 0)
    submit_bio_wait(bio)
    assert bio.bi_status == status


def test_writing_lands_in_a_writable_region_and_hits_a_const_one(machine):
    disk, file = open_disk(machine, bytes(4096), writable=True)
    page = alloc_page(GFP_KERNEL)
    machine.mem.store(page_address(page), b"x" * 4096)
    bio = Bio()
    bio_init(bio, file_bdev(file), None, 1, REQ_OP_WRITE)
    bio.bi_iter.bi_sector = 4
    bio_add_page(bio, page, 1024, 0)
    with raises_splat("BUG: KASAN: write to const memory"):
        submit_bio_wait(bio)                        # the region was placed read-only


def test_fail_make_request_ends_the_nth_bio_with_an_error():
    chooser = Planned("fail_make_request", at=2)
    with Machine(chooser=chooser) as machine:
        disk, file = open_disk(machine, bytes(8192))
        page = alloc_page(GFP_KERNEL)
        results = []
        for _ in range(3):
            bio = Bio()
            bio_init(bio, file_bdev(file), None, 1, REQ_OP_READ)
            bio_add_page(bio, page, 512, 0)
            results.append(submit_bio_wait(bio))
        assert results == [0, -EIO, 0]
        assert chooser.asked == [("fail_make_request", "ram0")] * 3


def test_only_an_allocation_that_may_not_sleep_can_fail():
    with Machine(chooser=Planned("failslab", at=1)):
        assert bio_alloc_bioset(None, 1, REQ_OP_READ, GFP_ATOMIC) is None
        assert bio_alloc_bioset(None, 1, REQ_OP_READ, GFP_NOIO) is not None


@pytest.mark.parametrize("completion", ["kworker", "softirq"])
def test_a_deferred_bio_is_not_filled_until_it_ends(machine, completion):
    image = b"abcdefgh" * 64
    disk, file = open_disk(machine, image, completion=completion)
    page = alloc_page(GFP_KERNEL)
    ends = []
    bio = bio_alloc(file_bdev(file), 1, REQ_OP_READ, GFP_NOIO)
    bio_add_page(bio, page, 512, 0)
    bio.bi_end_io = lambda b: ends.append((b.bi_status, machine.sched.current.comm, machine.sched.current.preempt_count))
    submit_bio(bio)
    assert ends == [] and set(machine.mem.shadow(page_address(page), 512)) == {1}
    with raises_splat("BUG: bio freed while submitted"):
        bio_put(bio)
    machine.sched.run_others()
    assert ends == [(0, "kworker/0:1H-ram0", 0x100 if completion == "softirq" else 0)]
    assert machine.mem.load(page_address(page), 512) == image


def test_a_folio_that_is_freed_too_early_is_seen_by_the_disk(machine):
    disk, file = open_disk(machine, bytes(512), completion="kworker")
    page = alloc_page(GFP_KERNEL)
    bio = bio_alloc(file_bdev(file), 1, REQ_OP_READ, GFP_NOIO)
    bio_add_page(bio, page, 512, 0)
    submit_bio(bio)
    folio_put(page)
    with raises_splat("BUG: KASAN: use-after-free"):
        machine.sched.run_others()


def test_the_chooser_decides_where_and_in_which_order_bios_end():
    chooser = Planned(values={"where bios end": 3, "bio ends later": 1, "bio to end": lambda low, high: high})
    with Machine(chooser=chooser) as machine:
        disk, file = open_disk(machine, bytes(4096))
        page = alloc_page(GFP_KERNEL)
        order = []
        for i in range(3):
            bio = bio_alloc(file_bdev(file), 1, REQ_OP_READ, GFP_NOIO)
            bio_add_page(bio, page, 512, i * 512)
            bio.bi_private = i
            bio.bi_end_io = lambda b: order.append(b.bi_private)
            submit_bio(bio)
        machine.sched.run_others()
        assert order == [2, 1, 0]


def test_stacked_disks_do_not_recurse(machine):
    """A driver that remaps: its submit_bio() calls submit_bio() below, which runs only after it has returned."""
    lower, file = open_disk(machine, b"q" * 4096)
    depth = [0, 0]

    def remap(bio):
        depth[0] += 1
        clone = bio_alloc(file_bdev(file), 1, bio.bi_opf, GFP_NOIO)
        for bv in bio_for_each_segment(bio):
            bio_add_page(clone, bv.bv_page, bv.bv_len, bv.bv_offset)
        clone.bi_end_io = lambda c: (bio_put(c), bio_endio(bio))
        submit_bio(clone)
        depth[1] = machine.counters.block_crossings         # the lower driver has not run yet
        depth[0] -= 1

    upper = blk_alloc_disk(QueueLimits())
    upper.disk_name = "upper"
    upper.fops = block_device_operations(submit_bio=remap)
    set_capacity(upper, 8)
    assert add_disk(upper) == 0
    page = alloc_page(GFP_KERNEL)
    bio = Bio()
    bio_init(bio, upper.part0, None, 1, REQ_OP_READ)
    bio_add_page(bio, page, 4096, 0)
    before = machine.counters.block_crossings
    assert submit_bio_wait(bio) == 0
    assert depth[1] == before + 2 - 1 and machine.counters.block_crossings == before + 2
    assert machine.mem.load(page_address(page), 4) == b"qqqq"
    assert machine.sched.current.bio_list is None


def test_split_shares_the_segments(machine):
    a, b = pages_in_a_row(machine, 2)
    bio = bio_alloc(None, 2, REQ_OP_READ, GFP_NOIO)
    bio_add_page(bio, a, 4096, 0)
    bio_add_page(bio, b, 4096, 0)
    front = bio_split(bio, 10, GFP_NOIO)
    assert [bv.bv_len for bv in bio_for_each_segment(front)] == [4096, 1024]
    assert [(bv.bv_len, bv.bv_offset) for bv in bio_for_each_segment(bio)] == [(3072, 1024)]
    assert bio.bi_iter.bi_sector == 10


def test_a_driver_that_reads_beside_its_page_is_reported(machine):
    page = alloc_page(GFP_KERNEL)
    bv = BioVec(page, 512, 4096 - 512)
    p = bvec_kmap_local(bv)
    with raises_splat("BUG: KASAN: out-of-bounds", addr=p):
        machine.mem.fill(p, 0, 513)
    kunmap_local(p)
