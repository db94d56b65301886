# SPDX-License-Identifier: GPL-2.0-only
"""The life of disks and of their numbers: what is free again when, who still finds what, what a dead disk does with bios, the
scan for partitions.
"""
from __future__ import annotations

from typing import Any

import pytest

from kemu.linux.bio import REQ_OP_READ, bio_add_page, bio_alloc, bio_endio, bio_put, submit_bio
from kemu.linux.blk_types import BLK_STS_IOERR
from kemu.linux.blkdev import (
    BLK_OPEN_READ,
    GENHD_FL_HIDDEN,
    GENHD_FL_NO_PART,
    QueueLimits,
    add_disk,
    bdev_file_open_by_dev,
    bdev_file_open_by_path,
    bdev_fput,
    blk_alloc_disk,
    blk_mark_disk_dead,
    block_device_operations,
    del_gendisk,
    disk_devt,
    disk_live,
    lookup_bdev,
    put_disk,
    register_blkdev,
    registry,
    set_capacity,
    unregister_blkdev,
)
from kemu.linux.drivers.base.devtmpfs import devtmpfs_init
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EBUSY, ENOENT, ENXIO
from kemu.linux.fs.namespace import mnt_init
from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.include.blkdev import GD_DEAD, GD_NEED_PART_SCAN, GD_SUPPRESS_PART_SCAN
from kemu.linux.kdev_t import MAJOR, MINOR, MKDEV, new_encode_dev
from kemu.linux.mount import MS_RDONLY
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.port.ramdisk import RamDisks, ramdisk, ramdisk_remove
from kemu.linux.security import lsm_calls
from kemu.linux.stat import S_IFBLK
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.machine.boot import Boot
from kemu.machine.machine import Machine
from kemu.machine.sched import WaitQueue
from tests.conftest import DATA, raises_splat

from erofs_memback.super import erofs_module_init


def new_disk(name: str = "d0", major: int = 0, flags: int = GENHD_FL_NO_PART, sectors: int = 16, submit: Any = bio_endio) -> Any:
    disk = blk_alloc_disk(QueueLimits())
    disk.disk_name, disk.flags = name, flags
    disk.fops = block_device_operations(submit_bio=submit)
    if major:
        disk.major, disk.minors = major, 1
    set_capacity(disk, sectors)
    return disk


def gone(machine: Machine, disk: Any) -> None:
    del_gendisk(disk)
    put_disk(disk)
    settle(machine)


def settle(machine: Machine) -> None:
    task_work_run()
    machine.idle()


def send(disk: Any, sector: int = 0, done: Any = None, size: int = 512) -> list[int]:
    """Submit a read; the list gets its status when it ends."""
    ended: list[int] = []

    def end_io(bio: Any) -> None:
        ended.append(bio.bi_status)
        bio_put(bio)
        if done is not None:
            done()
    bio = bio_alloc(disk.part0, 1, REQ_OP_READ, GFP_KERNEL)
    bio.bi_iter.bi_sector = sector
    bio.bi_end_io = end_io
    assert bio_add_page(bio, alloc_page(GFP_KERNEL), size, 0) == size
    submit_bio(bio)
    return ended


# ------------------------------------------------------------------------- numbers

def test_majors_end_at_254_kinds_and_share_their_places(machine: Machine) -> None:
    """major_names[] has 255 places; 0 is never given, and 259 (blkext) has that of 4."""
    got = [register_blkdev(0, f"m{i}") for i in range(253)]
    assert got == [m for m in range(254, 0, -1) if m != 4]
    assert register_blkdev(0, "more") == -EBUSY
    assert machine.log.lines()[-1] == "__register_blkdev: failed to get major for more"
    unregister_blkdev(100, "m154")
    assert register_blkdev(0, "again") == 100
    assert register_blkdev(255 + 100, "beside it") == 0             # another number in the same place
    unregister_blkdev(100, "again")
    assert register_blkdev(0, "x") == -EBUSY                        # its place is not empty


def test_a_name_that_is_too_long_is_cut_and_then_not_found(machine: Machine) -> None:
    major = register_blkdev(0, "a name of 18 chars")
    assert registry().majors[major] == "a name of 18 ch"
    unregister_blkdev(major, "a name of 18 chars")
    assert major in registry().majors and any("WARNING" in x for x in machine.log.lines())
    unregister_blkdev(major, "a name of 18 ch")
    assert major not in registry().majors


def test_an_unregistered_major_does_not_remove_its_disks(machine: Machine) -> None:
    major = register_blkdev(0, "drv")
    disk = new_disk(major=major)
    assert add_disk(disk) == 0
    unregister_blkdev(major, "drv")
    assert register_blkdev(0, "other") == major                     # the number is free, whoever still uses it
    assert not IS_ERR(bdev_file_open_by_dev(MKDEV(major, 0), BLK_OPEN_READ, None))


def test_a_dynamic_minor_is_free_when_the_disk_is_freed_and_not_before(machine: Machine) -> None:
    first = new_disk("d0")
    assert add_disk(first) == 0 and disk_devt(first) == MKDEV(259, 0)
    file = bdev_file_open_by_dev(disk_devt(first), BLK_OPEN_READ, None)
    gone(machine, first)
    second = new_disk("d1")
    assert add_disk(second) == 0 and MINOR(disk_devt(second)) == 1  # 0 belongs to the open file still
    bdev_fput(file)
    settle(machine)
    third = new_disk("d2")
    assert add_disk(third) == 0 and (MAJOR(disk_devt(third)), MINOR(disk_devt(third))) == (259, 0)


def test_the_next_disk_with_a_number_is_another_one(machine: Machine) -> None:
    one = new_disk("one", 240)
    assert add_disk(one) == 0
    old = bdev_file_open_by_dev(MKDEV(240, 0), BLK_OPEN_READ, None)
    del_gendisk(one)
    assert PTR_ERR(bdev_file_open_by_dev(MKDEV(240, 0), BLK_OPEN_READ, None)) == -ENXIO
    two = new_disk("two", 240)
    assert add_disk(two) == 0
    new = bdev_file_open_by_dev(MKDEV(240, 0), BLK_OPEN_READ, None)
    assert old.f_mapping is one.part0.bd_mapping and new.f_mapping is two.part0.bd_mapping
    assert send(one) == [BLK_STS_IOERR] and send(two) == [0]


def test_a_device_that_is_not_there_is_asked_for() -> None:
    """CONFIG_BLOCK_LEGACY_AUTOLOAD: first the driver that has the number, then modprobe."""
    with Machine(config={"CONFIG_BLOCK_LEGACY_AUTOLOAD": True}) as machine:
        made: list[int] = []

        def probe(devt: int) -> None:
            made.append(MINOR(devt))
            if MINOR(devt) < 4:
                disk = new_disk(f"p{MINOR(devt)}", 240)
                disk.first_minor = MINOR(devt)
                assert add_disk(disk) == 0
        assert register_blkdev(240, "drv", probe) == 0
        file = bdev_file_open_by_dev(MKDEV(240, 3), BLK_OPEN_READ, None)
        assert not IS_ERR(file) and made == [3]
        assert machine.log.lines()[-1] == "block device autoloading is deprecated and will be removed."
        assert PTR_ERR(bdev_file_open_by_dev(MKDEV(240, 9), BLK_OPEN_READ, None)) == -ENXIO and made == [3, 9]
        unregister_blkdev(240, "drv")
        before = lsm_calls().get("kernel_module_request", 0)
        assert PTR_ERR(bdev_file_open_by_dev(MKDEV(240, 8), BLK_OPEN_READ, None)) == -ENXIO and made == [3, 9]
        assert lsm_calls()["kernel_module_request"] == before + 1
    with Machine():
        assert register_blkdev(240, "drv", probe) == 0
        assert PTR_ERR(bdev_file_open_by_dev(MKDEV(240, 1), BLK_OPEN_READ, None)) == -ENXIO and made == [3, 9]


def test_more_minors_than_partitions_can_be_are_cut(machine: Machine) -> None:
    disk = new_disk(major=240)
    disk.minors = 300
    assert add_disk(disk) == 0 and disk.minors == 256
    assert "block: can't allocate more than 256 partitions" in machine.log.lines()


# ------------------------------------------------------------------------- life

def test_from_alloc_to_free(machine: Machine) -> None:
    freed: list[Any] = []
    disk = new_disk()
    disk.fops.free_disk = freed.append
    assert not disk_live(disk)
    assert add_disk(disk) == 0 and disk_live(disk)
    del_gendisk(disk)
    assert not disk_live(disk) and disk.state & 1 << GD_DEAD and disk.part0.bd_nr_sectors == 0 and freed == []
    put_disk(disk)
    assert freed == [disk]


def test_a_disk_is_deleted_once(machine: Machine) -> None:
    disk = new_disk()
    assert add_disk(disk) == 0
    del_gendisk(disk)
    before = len(machine.log.lines())
    del_gendisk(disk)                                               # WARN_ON_ONCE(!disk_live())
    assert any("WARNING" in x for x in machine.log.lines()[before:])
    never = new_disk("never")
    del_gendisk(never)
    assert "never" not in registry().disks


def test_a_hidden_disk_has_no_number_that_can_be_opened_and_goes_quietly(machine: Machine) -> None:
    told: list[str] = []
    registry().listeners.append(lambda what, disk: told.append(what))
    disk = new_disk(flags=GENHD_FL_HIDDEN)
    assert add_disk(disk) == 0 and told == []
    assert PTR_ERR(bdev_file_open_by_dev(disk_devt(disk), BLK_OPEN_READ, None)) == -ENXIO
    assert registry().ext_minors == {0}
    before = len(machine.log.lines())
    gone(machine, disk)
    assert machine.log.lines()[before:] == [] and registry().ext_minors == set() and told == []


def test_surprise_removal(machine: Machine) -> None:
    disk = new_disk()
    assert add_disk(disk) == 0
    assert send(disk) == [0]
    blk_mark_disk_dead(disk)
    assert disk_live(disk)                                          # it can be found until del_gendisk()
    set_capacity(disk, 16)
    assert send(disk) == [BLK_STS_IOERR]
    gone(machine, disk)


def test_removal_waits_for_the_driver(machine: Machine) -> None:
    """del_gendisk() returns when no task is in submit_bio() any more; a bio ends once, whoever ends it."""
    wait = WaitQueue("the hardware")
    order: list[str] = []

    def slow(bio: Any) -> None:
        order.append("submit_bio")
        machine.sched.block(wait)
        order.append("driver ends it")
        bio_endio(bio)
    disk = new_disk(submit=slow)
    assert add_disk(disk) == 0
    ended: list[list[int]] = []
    machine.sched.spawn("reader", lambda: ended.append(send(disk)))
    machine.sched.run_others()

    def remove() -> None:
        del_gendisk(disk)
        order.append("removed")
    machine.sched.spawn("remover", remove)
    machine.sched.run_others()
    assert order == ["submit_bio"] and disk.state & 1 << GD_DEAD
    wait.wake()
    machine.sched.run_others()
    assert order == ["submit_bio", "driver ends it", "removed"] and ended == [[0]]


def test_a_bio_is_ended_once(machine: Machine) -> None:
    def twice(bio: Any) -> None:
        bio.bi_end_io = None
        bio_endio(bio)
        bio_endio(bio)
    disk = new_disk(submit=twice)
    assert add_disk(disk) == 0
    with raises_splat("BUG: bio ended twice"):
        send(disk)


@pytest.mark.parametrize(("sector", "size", "status"), [(0, 512, 0), (15, 512, 0), (12, 2048, 0), (16, 512, BLK_STS_IOERR),
                                                        (15, 1024, BLK_STS_IOERR),
                                                        (1 << 54, 512, BLK_STS_IOERR)])
def test_the_end_of_the_device(machine: Machine, sector: int, size: int, status: int) -> None:
    disk = new_disk()
    assert add_disk(disk) == 0
    assert send(disk, sector, size=size) == [status]
    if status:
        assert machine.log.lines()[-2:] == [f"{machine.sched.main.comm}: attempt to access beyond end of device",
                                            f"d0: rw=0, sector={sector}, nr_sectors = {size >> 9} limit=16"]


def test_an_empty_device_says_nothing(machine: Machine) -> None:
    disk = new_disk(sectors=0)
    assert add_disk(disk) == 0
    before = machine.log.lines()
    assert send(disk) == [BLK_STS_IOERR] and machine.log.lines() == before


# ------------------------------------------------------------------------- partitions

def test_the_scan_reads_one_page_and_leaves_nothing(machine: Machine) -> None:
    disk = ramdisk(machine.place(bytes(8192)), partscan=True)
    settle(machine)
    assert machine.counters.bios == 1 and disk.part0.bd_mapping.nrpages == 0 and disk.part0.bd_openers == 0
    assert not disk.state & 1 << GD_NEED_PART_SCAN and disk.part0.bd_claiming is None


@pytest.mark.parametrize("flag", [GENHD_FL_NO_PART, GENHD_FL_HIDDEN])
def test_flags_that_forbid_the_scan(machine: Machine, flag: int) -> None:
    disk = new_disk(flags=flag)
    assert add_disk(disk) == 0 and machine.counters.bios == 0


def test_a_disk_that_suppresses_the_scan(machine: Machine) -> None:
    disk = new_disk(flags=0)
    disk.state |= 1 << GD_SUPPRESS_PART_SCAN
    assert add_disk(disk) == 0 and machine.counters.bios == 0


def test_a_disk_without_sectors_is_not_scanned(machine: Machine) -> None:
    disk = new_disk(flags=0, sectors=0)
    assert add_disk(disk) == 0 and machine.counters.bios == 0


def test_a_scan_that_cannot_read_says_so_and_the_disk_is_there(machine: Machine) -> None:
    def broken(bio: Any) -> None:
        bio.bi_status = BLK_STS_IOERR
        bio_endio(bio)
    disk = new_disk("bad", flags=0, submit=broken)
    assert add_disk(disk) == 0 and disk_live(disk)
    assert machine.log.lines()[-1] == " bad: unable to read partition table"


# ------------------------------------------------------------------------- nodes and superblocks

def test_nodes_come_and_go_with_disks(machine: Machine) -> None:
    """devtmpfs removes the nodes that it made, and no others."""
    mnt_init()
    assert devtmpfs_init() == 0
    assert sys.sys_mkdir("/dev") == 0 and sys.sys_mount("devtmpfs", "/dev", "devtmpfs") == 0
    disk = new_disk("d0", 240)
    assert add_disk(disk) == 0
    st = sys.sys_stat("/dev/d0")
    assert not isinstance(st, int) and (st.mode, st.rdev) == (S_IFBLK | 0o600, MKDEV(240, 0))
    dev = Ref(0)
    machine.part(Boot).started = True
    assert lookup_bdev("/dev/d0", dev) == 0 and dev.v == MKDEV(240, 0)
    gone(machine, disk)
    assert sys.sys_stat("/dev/d0") == -ENOENT and lookup_bdev("/dev/d0", dev) == -ENOENT
    assert sys.sys_mknod("/dev/d1", S_IFBLK | 0o644, new_encode_dev(MKDEV(240, 0))) == 0
    mine = new_disk("d1", 240)
    assert add_disk(mine) == 0
    gone(machine, mine)
    assert not isinstance(sys.sys_stat("/dev/d1"), int)             # somebody else's node stays
    assert PTR_ERR(bdev_file_open_by_path("/dev/d1", BLK_OPEN_READ, None)) == -ENXIO


def test_a_booted_kernel_finds_devices_by_their_nodes_only(machine: Machine) -> None:
    ramdisk(machine.place(bytes(4096)))
    assert not IS_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, None))
    mnt_init()
    machine.part(Boot).started = True
    assert PTR_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, None)) == -ENOENT


def test_a_superblock_is_found_by_its_device_number(machine: Machine) -> None:
    """Also one whose disk is gone: its number belongs to it until it is unmounted, whoever has the number now."""
    with open(DATA / "small.erofs", "rb") as f:
        image = f.read()
    mnt_init()
    assert erofs_module_init() == 0
    for d in ("/a", "/b"):
        assert sys.sys_mkdir(d) == 0

    def mount(name: str, at: str) -> Any:
        assert sys.sys_mount("/dev/" + name, at, "erofs", MS_RDONLY) == 0
        path = Path()
        assert kern_path(at, 1, path) == 0
        sb = path.mnt.mnt_sb
        path_put(path)
        return sb
    disk = ramdisk(machine.place(image), name="first")
    a = mount("first", "/a")
    assert mount("first", "/b") is a
    assert sys.sys_umount("/b") == 0
    ramdisk_remove(disk)
    settle(machine)
    machine.part(RamDisks).next = 0                                      # the next one has the same number
    other = ramdisk(machine.place(image), name="second")
    assert disk_devt(other) == a.s_dev
    assert mount("second", "/b") is a, "as in Linux: the dead superblock answers for the new disk"
    assert sys.sys_umount("/b") == 0 and sys.sys_umount("/a") == 0
    settle(machine)
    assert mount("second", "/b") is not a


def test_two_holders_and_read_only_state(machine: Machine) -> None:
    disk = ramdisk(machine.place(bytes(8192)))
    holder, other = object(), object()
    f = bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, holder)
    assert PTR_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, other)) == -EBUSY
    bdev_fput(f)                                                    # gives up the claim at once
    assert not IS_ERR(bdev_file_open_by_path("/dev/ram0", BLK_OPEN_READ, other))
    assert disk.part0.bd_holders == 2                               # of the disk as a device, and as a whole
