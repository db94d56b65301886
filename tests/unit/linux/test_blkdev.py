# SPDX-License-Identifier: GPL-2.0-only
"""Disks and block devices: registration, claims, sizes, removal, and the page cache of the device itself."""
from __future__ import annotations

import pytest

from kemu.linux.blkdev import (
    BLK_OPEN_READ,
    BLK_OPEN_WRITE,
    GENHD_FL_NO_PART,
    QueueLimits,
    add_disk,
    bdev_file_open_by_dev,
    bdev_file_open_by_path,
    bdev_fput,
    blk_alloc_disk,
    blk_holder_ops,
    block_device_operations,
    del_gendisk,
    disk_devt,
    file_bdev,
    lookup_bdev,
    put_disk,
    register_blkdev,
    registry,
    sb_set_blocksize,
    set_blocksize,
    set_capacity,
    set_capacity_and_notify,
    unregister_blkdev,
)
from kemu.linux.block.bdev import kill_bdev
from kemu.linux.buffer_head import folio_buffers
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EBUSY, EEXIST, EINVAL, EIO, ENOENT, ENOMEM, ENXIO
from kemu.linux.include.fs.types import FileSystemType, Kiocb
from kemu.linux.kdev_t import MKDEV
from kemu.linux.mm import folio_address, folio_put
from kemu.linux.mm.backing_dev import BdiTree
from kemu.linux.mutex import mutex_unlock
from kemu.linux.pagemap import file_ra_state_init, page_cache_sync_readahead, read_mapping_folio
from kemu.linux.port.ramdisk import ramdisk, ramdisk_remove
from kemu.linux.super_types import SuperBlock
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.linux.uio import IovIter, iov_iter_ubuf
from kemu.machine.machine import Machine
from tests.unit.linux.block_files import Planned, folios, open_disk


def bare_disk(name="d0", **limits):
    disk = blk_alloc_disk(QueueLimits(**limits))
    assert not IS_ERR(disk)
    disk.disk_name = name
    disk.fops = block_device_operations(submit_bio=lambda bio: None)
    disk.flags = GENHD_FL_NO_PART
    return disk


def settle(machine):
    """Return to user space: the last references of files are dropped there."""
    task_work_run()
    machine.idle()


# ------------------------------------------------------------------------- registration

def test_majors_are_given_from_the_top_and_reused(machine):
    assert register_blkdev(0, "a") == 254
    assert register_blkdev(0, "b") == 253
    assert register_blkdev(254, "c") == -EBUSY
    assert machine.log.lines()[-1] == "register_blkdev: cannot get major 254 for c"
    unregister_blkdev(254, "a")
    assert register_blkdev(0, "c") == 254
    assert register_blkdev(512, "d") == -EINVAL


def test_limits_are_validated_and_defaulted(machine):
    lim = QueueLimits(logical_block_size=4096)
    disk = blk_alloc_disk(lim)
    assert not IS_ERR(disk)
    assert (lim.physical_block_size, lim.max_hw_sectors, lim.max_segments, lim.dma_alignment) == (4096, 248, 128, 511)
    assert disk.bdi.ra_pages == 32 and disk.bdi.io_pages == 31
    for bad in (256, 513, 131072):
        assert PTR_ERR(blk_alloc_disk(QueueLimits(logical_block_size=bad))) == -EINVAL


def test_a_name_can_be_used_once_and_again_after_removal(machine):
    one, two = bare_disk(), bare_disk()
    assert add_disk(one) == 0
    assert add_disk(two) == -EEXIST
    assert "cannot create duplicate filename" in machine.log.lines()[-1]
    del_gendisk(one)
    put_disk(one)
    settle(machine)                                         # its number is free after a grace period
    three = bare_disk()
    assert add_disk(three) == 0
    assert disk_devt(three) == MKDEV(259, 0) and registry().disks == {"d0": three}
    assert add_disk(two) == -EINVAL                         # the failed attempt has left it a major number without minors


def test_a_disk_without_submit_bio_or_with_impossible_minors_is_refused(machine):
    disk = bare_disk()
    disk.fops = block_device_operations()
    assert add_disk(disk) == -EINVAL
    disk = bare_disk()
    disk.major, disk.first_minor, disk.minors = 240, (1 << 20) - 1, 2
    assert add_disk(disk) == -EINVAL
    assert registry().disks == {}


@pytest.mark.parametrize("at", [1, 2])
def test_add_disk_that_fails_leaves_nothing(at):
    with Machine(chooser=Planned("fail_function", at=at)) as machine:
        disk = bare_disk()
        assert add_disk(disk) == -ENOMEM
        reg = registry()
        assert (reg.disks, reg.ext_minors, machine.part(BdiTree).by_name) == ({}, set(), {})
        put_disk(disk)


def test_free_disk_is_called_with_the_last_reference_and_only_if_it_was_added(machine):
    freed = []
    disk = bare_disk()
    disk.fops.free_disk = freed.append
    put_disk(disk)
    assert freed == []
    disk = bare_disk()
    disk.fops.free_disk = freed.append
    assert add_disk(disk) == 0
    file = bdev_file_open_by_dev(disk_devt(disk), BLK_OPEN_READ, None)
    del_gendisk(disk)
    put_disk(disk)
    assert freed == []
    bdev_fput(file)
    settle(machine)
    assert freed == [disk]


# ------------------------------------------------------------------------- opening

def test_lookup_by_path_and_by_name(machine):
    disk, file = open_disk(machine, bytes(4096))
    dev = Ref(0)
    assert lookup_bdev("/dev/ram0", dev) == 0 and dev.v == disk_devt(disk) == MKDEV(1, 0)
    assert lookup_bdev("ram0", dev) == 0
    assert lookup_bdev("", dev) == -EINVAL
    assert lookup_bdev("/dev/ram9", dev) == -ENOENT
    assert PTR_ERR(bdev_file_open_by_dev(MKDEV(1, 9), BLK_OPEN_READ, None)) == -ENXIO


def test_a_claim_excludes_other_holders_but_not_readers(machine):
    disk = ramdisk(machine.place(bytes(4096)))
    mine, other = object(), object()
    hops = blk_holder_ops()
    a = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, mine, hops)
    assert PTR_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, other, hops)) == -EBUSY
    b = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, mine, hops)
    c = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, None)
    assert file_bdev(a).bd_holders == 4 and file_bdev(a).bd_openers == 3
    for f in (a, b, c):
        bdev_fput(f)
    settle(machine)
    assert disk.part0.bd_holder is None and disk.part0.bd_openers == 0
    d = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, other, hops)
    assert not IS_ERR(d)


@pytest.mark.parametrize("io_opt, ahead", ((0, 128), (32 << 10, 128), (512 << 10, 1024)))
def test_a_disk_is_read_ahead_by_twice_its_optimal_size(machine, io_opt, ahead):
    disk = ramdisk(machine.place(bytes(4096)), io_opt=io_opt)
    assert disk.bdi.ra_pages == ahead // 4


def test_a_read_only_disk_is_not_opened_for_writing(machine):
    ramdisk(machine.place(bytes(4096)))
    assert PTR_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ | BLK_OPEN_WRITE, None)) == -EACCES
    settle(machine)
    assert registry().disks["ram0"].part0.bd_openers == 0


def test_the_last_close_drops_the_page_cache(machine):
    disk, file = open_disk(machine, bytes(16384))
    folio_put(read_mapping_folio(file_bdev(file).bd_mapping, 1, None))
    assert disk.part0.bd_mapping.nrpages == 1
    bdev_fput(file)
    settle(machine)
    assert disk.part0.bd_mapping.nrpages == 0 and machine.counters.pages_in_use == 0


# ------------------------------------------------------------------------- sizes

@pytest.mark.parametrize(("size", "pad", "sectors", "blkbits"),
                         [(4096, 512, 8, 12), (4097, 512, 9, 9), (4097, 4096, 16, 12), (1025, 1024, 4, 11), (1, 512, 1, 9)])
def test_capacity_is_the_padded_size_and_gives_the_first_block_size(machine, size, pad, sectors, blkbits):
    disk, file = open_disk(machine, b"x" * size, pad=pad)
    bdev = file_bdev(file)
    assert bdev.bd_nr_sectors == sectors and bdev.bd_inode.i_size == sectors * 512 and bdev.bd_inode.i_blkbits == blkbits


def test_block_size_rules(machine):
    disk, file = open_disk(machine, bytes(8192), logical_block_size=1024)
    assert set_blocksize(file, 512) == -EINVAL              # below the device's
    assert set_blocksize(file, 3072) == -EINVAL
    assert set_blocksize(file, 2048) == 0 and file_bdev(file).bd_inode.i_blkbits == 11
    unclaimed = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, None)
    assert set_blocksize(unclaimed, 1024) == -EINVAL


def test_changing_the_block_size_drops_the_cache_and_keeping_it_does_not(machine):
    disk, file = open_disk(machine, bytes(16384))
    mapping = file_bdev(file).bd_mapping
    folio_put(read_mapping_folio(mapping, 0, None))
    assert set_blocksize(file, 4096) == 0 and mapping.nrpages == 1
    assert set_blocksize(file, 512) == 0 and mapping.nrpages == 0


def test_sb_set_blocksize(machine):
    disk, file = open_disk(machine, bytes(16384))
    sb = SuperBlock()
    sb.s_type = FileSystemType(name="somefs")
    sb.s_bdev_file = file
    assert sb_set_blocksize(sb, 1024) == 1024 and sb.s_blocksize_bits == 10
    assert sb_set_blocksize(sb, 8192) == 0
    assert machine.log.lines()[-1] == "somefs: block size(8192) > page size(4096) not supported by filesystem"
    assert sb_set_blocksize(sb, 256) == 0 and sb.s_blocksize == 1024


def test_a_capacity_change_is_told_once_the_disk_is_there(machine):
    disk = bare_disk()
    set_capacity(disk, 8)
    assert not set_capacity_and_notify(disk, 16)
    assert add_disk(disk) == 0
    assert set_capacity_and_notify(disk, 32)
    assert machine.log.lines()[-1] == "d0: detected capacity change from 16 to 32"


# ------------------------------------------------------------------------- the device's page cache

IMAGE = bytes(i * 7 & 0xFF for i in range(20_000))
BUFFER_HEAD = {"CONFIG_BUFFER_HEAD": True}


@pytest.mark.parametrize("blocksize", [512, 1024, 4096])
@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
def test_with_buffer_heads_there_are_zeros_behind_the_device(page_size, blocksize):
    with Machine(page_size=page_size, config=BUFFER_HEAD) as machine:
        disk, file = open_disk(machine, IMAGE, pad=4096)
        assert set_blocksize(file, blocksize) == 0
        mapping = file_bdev(file).bd_mapping
        last = (20480 - 1) // page_size
        before = machine.counters.bios
        for index in range(last + 3):                       # two folios wholly behind the end: no bio for them
            folio = read_mapping_folio(mapping, index, None)
            assert not IS_ERR(folio)
            want = IMAGE[index * page_size:(index + 1) * page_size]
            assert machine.mem.load(folio_address(folio), page_size) == want + bytes(page_size - len(want))
            folio_put(folio)
        assert machine.counters.bios - before == 20480 // blocksize


@pytest.mark.parametrize("blocksize", [512, 4096])
@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
def test_without_them_it_is_an_error(page_size, blocksize):
    with Machine(page_size=page_size) as machine:
        disk, file = open_disk(machine, IMAGE, pad=page_size)
        assert set_blocksize(file, blocksize) == 0
        mapping = file_bdev(file).bd_mapping
        pages = (len(IMAGE) + page_size - 1) // page_size
        for index in range(pages):
            folio = read_mapping_folio(mapping, index, None)
            want = IMAGE[index * page_size:(index + 1) * page_size]
            assert machine.mem.load(folio_address(folio), page_size) == want + bytes(page_size - len(want))
            folio_put(folio)
        assert machine.counters.bios == pages
        for index in (pages, pages + 7):
            assert PTR_ERR(read_mapping_folio(mapping, index, None)) == -EIO


def test_without_them_a_last_folio_that_is_partly_there_can_be_read_by_range_only(machine):
    """As in 7.2: blkdev_iomap_begin() fails behind the end, so such a folio never becomes uptodate."""
    disk, file = open_disk(machine, IMAGE[:6144])
    assert PTR_ERR(read_mapping_folio(file_bdev(file).bd_mapping, 1, None)) == -EIO
    assert read_file(file, 0, 9000)[:2] == (6144, IMAGE[:6144])
    assert read_file(file, 5000, 100)[:2] == (100, IMAGE[5000:5100])


def test_a_last_block_that_is_only_partly_there_is_cut_off():
    """5 sectors, read in blocks of 4096: guard_bio_eod() zeroes the rest instead of failing."""
    with Machine(config=BUFFER_HEAD) as machine:
        disk, file = open_disk(machine, IMAGE[:2560])
        assert set_blocksize(file, 4096) == 0
        folio = read_mapping_folio(file_bdev(file).bd_mapping, 0, None)
        assert machine.mem.load(folio_address(folio), 4096) == IMAGE[:2560] + bytes(1536)
        assert machine.counters.bio_bytes == 2560


def test_one_bad_block_fails_the_folio_and_the_next_read_asks_only_for_it():
    with Machine(config=BUFFER_HEAD) as machine:
        disk, file = open_disk(machine, IMAGE[:16384])
        assert set_blocksize(file, 1024) == 0
        mapping = file_bdev(file).bd_mapping
        disk.private_data.bad_sectors = {4}
        assert PTR_ERR(read_mapping_folio(mapping, 0, file)) == -EIO
        assert machine.log.lines()[-1] == "Buffer I/O error on dev ram0, logical block 2, async page read"
        disk.private_data.bad_sectors = set()
        before = machine.counters.bios
        folio = read_mapping_folio(mapping, 0, file)
        assert machine.mem.load(folio_address(folio), 4096) == IMAGE[:4096]
        assert machine.counters.bios == before + 1


@pytest.mark.parametrize(("config", "at"), [(BUFFER_HEAD, 1), (BUFFER_HEAD, 2), (BUFFER_HEAD, 3), (BUFFER_HEAD, 4), ({}, 1)])
def test_every_bio_of_a_folio_can_fail(config, at):
    with Machine(chooser=Planned("fail_make_request", at=at), config=config) as machine:
        disk, file = open_disk(machine, IMAGE[:8192])
        set_blocksize(file, 1024)
        mapping = file_bdev(file).bd_mapping
        assert PTR_ERR(read_mapping_folio(mapping, 0, None)) == -EIO
        folio = read_mapping_folio(mapping, 0, None)
        assert not IS_ERR(folio) and machine.mem.load(folio_address(folio), 4096) == IMAGE[:4096]


@pytest.mark.parametrize("config", [{}, BUFFER_HEAD])
@pytest.mark.parametrize("completion", ["kworker", "softirq", "mixed"])
def test_a_reader_sleeps_until_its_folio_is_there(completion, config):
    with Machine(config=config, chooser=Planned(values={"bio ends later": 1})) as machine:
        disk, file = open_disk(machine, IMAGE, completion=completion)
        folio = read_mapping_folio(file_bdev(file).bd_mapping, 2, None)
        assert machine.mem.load(folio_address(folio), 4096) == IMAGE[8192:12288]
        assert machine.counters.task_switches > 0


@pytest.mark.parametrize("config", [{}, BUFFER_HEAD])
def test_two_readers_of_one_folio_share_one_bio(config):
    with Machine(config=config) as machine:
        disk, file = open_disk(machine, IMAGE, completion="kworker", pad=4096)
        mapping = file_bdev(file).bd_mapping
        got = []
        for i in range(3):
            machine.sched.spawn(f"reader{i}", lambda: got.append(read_mapping_folio(mapping, 0, None)))
        machine.sched.run_others()
        assert len(got) == 3 and len({id(f) for f in got}) == 1 and machine.counters.bios == 1
        assert got[0].refcount == 1 + 3 + (folio_buffers(got[0]) is not None)       # cache, readers, buffers
        for folio in got:
            folio_put(folio)
        kill_bdev(file_bdev(file))
        assert mapping.nrpages == 0 and machine.counters.pages_in_use == 0


@pytest.mark.parametrize("config", [{}, BUFFER_HEAD])
def test_read_ahead_on_the_device_makes_large_bios(config):
    image = bytes(range(256)) * 1024
    with Machine(config=config) as machine:
        disk, file = open_disk(machine, image)
        mapping = file_bdev(file).bd_mapping
        file_ra_state_init(file.f_ra, mapping)
        page_cache_sync_readahead(mapping, file.f_ra, file, 0, 16)
        assert machine.counters.bios == 1 and mapping.nrpages == 32
        for folio in folios(mapping):
            assert (machine.mem.load(folio_address(folio),
                                     4096 << folio.order) == image[folio.index << 12:(folio.index << 12) + (4096 << folio.order)])
            assert folio_buffers(folio) is None


def read_file(file, pos, n):
    out = bytearray(n)
    it = IovIter()
    iov_iter_ubuf(it, 0, out, n)
    iocb = Kiocb()
    iocb.ki_filp, iocb.ki_pos = file, pos
    got = file.f_op.read_iter(iocb, it)
    return got, bytes(out[:max(got, 0)]), it.count


@pytest.mark.parametrize("config", [{}, BUFFER_HEAD])
def test_reading_the_device_stops_at_its_end(config):
    with Machine(config=config) as machine:
        disk, file = open_disk(machine, IMAGE)
        assert disk.part0.bd_nr_sectors == 40
        assert read_file(file, 19_900, 1000) == (580, IMAGE[19_900:] + bytes(480), 420)
        assert read_file(file, 30_000, 10) == (0, b"", 10)


def test_a_partition_scan_reads_the_first_sector(machine):
    ramdisk(machine.place(IMAGE), partscan=True)
    assert machine.counters.bios == 1
    settle(machine)
    assert registry().disks["ram0"].part0.bd_openers == 0


# ------------------------------------------------------------------------- removal

def test_bios_to_a_removed_disk_fail_and_the_holder_was_told(machine):
    dead = []

    def mark_dead(bdev, surprise):
        dead.append(surprise)
        mutex_unlock(bdev.bd_holder_lock)

    disk = ramdisk(machine.place(IMAGE))
    file = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, disk, blk_holder_ops(mark_dead=mark_dead))
    mapping = file_bdev(file).bd_mapping
    folio = read_mapping_folio(mapping, 0, None)
    folio_put(read_mapping_folio(mapping, 1, None))
    ramdisk_remove(disk)
    assert dead == [False]
    assert mapping.nrpages == 1                             # what somebody holds stays
    folio_put(folio)
    assert mapping.host.i_size == 0
    set_capacity(disk, 40)
    assert PTR_ERR(read_mapping_folio(mapping, 2, None)) == -EIO
    assert PTR_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, None)) == -ENOENT
    bdev_fput(file)
    settle(machine)


def test_removing_gives_the_region_back(machine):
    region = machine.place(IMAGE)
    disk = ramdisk(region)
    assert region.state == "lent" and region.users == ["ram0"]
    ramdisk_remove(disk)
    assert region.state == "owned"
    region.release()
    assert IS_ERR(ramdisk(region))
