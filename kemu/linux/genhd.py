# SPDX-License-Identifier: GPL-2.0-only
"""Disks: allocation, registration, removal (include/linux/blkdev.h, block/genhd.c, block/blk-settings.c). Ports import it from kemu.linux.blkdev."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.backing_dev import BackingDevInfo, bdi_alloc, bdi_put, bdi_register, bdi_unregister
from kemu.linux.bdev import (
    BLOCK_EXT_MAJOR,
    bdev_add,
    bdev_alloc,
    bdev_drop,
    bdev_set_nr_sectors,
    bdev_unhash,
    disk_live,
    registry,
)
from kemu.linux.bdev_open import BLK_OPEN_READ, bdev_mark_dead
from kemu.linux.blk_core import GD_ADDED, GD_DEAD, GD_NEED_PART_SCAN, GD_OWNS_QUEUE, GD_READ_ONLY, GD_SUPPRESS_PART_SCAN
from kemu.linux.blk_types import BD_HAS_SUBMIT_BIO, BlockDevice
from kemu.linux.bug import WARN_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EBUSY, EEXIST, EINVAL, EIO, ENOMEM, ENXIO
from kemu.linux.honesty import custom, dup
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MAJOR, MINOR, MINORBITS, MINORMASK, MKDEV
from kemu.linux.math import is_power_of_2, round_down
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.printk import pr_err, pr_info, pr_warn_once, printk
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.sched import WaitQueue

C = "block/genhd.c"
H = "include/linux/blkdev.h"
BLK_SAFE_MAX_SECTORS = 255
BLK_DEF_MAX_SECTORS_CAP = 8192
BLK_MAX_SEGMENTS = 128
BLK_MAX_SEGMENT_SIZE = 65536
BLK_DEV_MAX_SECTORS = (1 << 63) - 1 >> 9
BLK_FEAT_WRITE_CACHE, BLK_FEAT_FUA, BLK_FEAT_ROTATIONAL, BLK_FEAT_ADD_RANDOM, BLK_FEAT_IO_STAT = 1, 2, 4, 8, 16
BLK_FEAT_STABLE_WRITES, BLK_FEAT_SYNCHRONOUS, BLK_FEAT_NOWAIT, BLK_FEAT_DAX = 32, 64, 128, 256
GENHD_FL_REMOVABLE, GENHD_FL_HIDDEN, GENHD_FL_NO_PART = 1, 2, 4
DISK_MAX_PARTS, DISK_NAME_LEN = 256, 32
NAME_LEN = 15                                       # of a major's name, without its NUL
BLKDEV_MAJOR_MAX = 512
NUMA_NO_NODE = -1


@dup(H)
class block_device_operations:
    """``struct block_device_operations``: what the driver implements; members not named are None."""

    __slots__ = ("free_disk", "open", "owner", "release", "submit_bio")

    def __init__(self, *, submit_bio: Any = None, open: Any = None, release: Any = None, free_disk: Any = None, owner: Any = None):
        self.submit_bio = submit_bio
        self.open = open
        self.release = release
        self.free_disk = free_disk
        self.owner = owner


@custom(H, "queue_limits", "the limits that something here looks at; 0 asks for the default")
class QueueLimits:
    """``struct queue_limits``: sizes in bytes, ``max_*_sectors`` in units of 512."""

    __slots__ = ("dma_alignment", "features", "io_min", "io_opt", "logical_block_size", "max_discard_sectors", "max_hw_discard_sectors",
                 "max_hw_sectors", "max_sectors", "max_segment_size", "max_segments", "max_write_zeroes_sectors", "physical_block_size")

    def __init__(self, *, logical_block_size: int = 0, physical_block_size: int = 0, max_hw_sectors: int = 0, max_segments: int = 0,
                 max_segment_size: int = 0, io_min: int = 0, io_opt: int = 0, dma_alignment: int = 0, features: int = 0,
                 max_hw_discard_sectors: int = 0, max_write_zeroes_sectors: int = 0):
        self.logical_block_size = logical_block_size
        self.physical_block_size = physical_block_size
        self.max_hw_sectors = max_hw_sectors
        self.max_sectors = 0
        self.max_segments = max_segments
        self.max_segment_size = max_segment_size
        self.io_min = io_min
        self.io_opt = io_opt
        self.dma_alignment = dma_alignment
        self.features = features
        self.max_hw_discard_sectors = max_hw_discard_sectors
        self.max_discard_sectors = 0
        self.max_write_zeroes_sectors = max_write_zeroes_sectors


@custom(H, "request_queue", "the limits, whether bios may still enter, and how many have")
class RequestQueue:
    """``struct request_queue``"""

    __slots__ = ("disk", "dying", "frozen", "limits", "users")

    def __init__(self, limits: QueueLimits):
        self.limits = limits
        self.disk: GenDisk | None = None
        self.dying = False
        self.users = 0                              # q_usage_counter: bios in the driver
        self.frozen: WaitQueue | None = None        # who waits until there are none

    @property
    def max_discard_sectors(self) -> int:
        return self.limits.max_discard_sectors

    @property
    def max_write_zeroes_sectors(self) -> int:
        return self.limits.max_write_zeroes_sectors


@custom(H, "gendisk", "state is an int of GD_* bits")
class GenDisk:
    """``struct gendisk``. ``private_data`` is the driver's; ``part0`` the whole disk's block_device, whose references are the disk's."""

    __slots__ = ("bdi", "disk_name", "diskseq", "first_minor", "flags", "fops", "major", "minors", "open_mutex", "part0", "part_tbl", "private_data",
                 "queue", "state", "__weakref__")

    def __init__(self) -> None:
        self.major = 0
        self.first_minor = 0
        self.minors = 0
        self.disk_name = ""
        self.part0: BlockDevice = None              # type: ignore[assignment]
        self.part_tbl: list[BlockDevice] = []
        self.fops: Any = None
        self.queue: RequestQueue = None             # type: ignore[assignment]
        self.private_data: Any = None
        self.flags = 0
        self.state = 0
        self.open_mutex = mutex("disk->open_mutex")
        self.bdi: BackingDevInfo = None             # type: ignore[assignment]
        self.diskseq = 0

    @property
    def nowait(self) -> bool:
        """``bdev_nowait()``"""
        return bool(self.queue.limits.features & BLK_FEAT_NOWAIT)

    def __repr__(self) -> str:
        return f"<gendisk {self.disk_name} state:{self.state:#x} refs:{self.part0.bd_refs if self.part0 else 0}>"


@dup(H)
def blk_validate_block_size(bsize: int) -> int:
    """``int blk_validate_block_size(unsigned long bsize)``: -EINVAL unless a power of two from 512 to BLK_MAX_BLOCK_SIZE."""
    limit = 65536 if this.machine.config.get("CONFIG_TRANSPARENT_HUGEPAGE", True) else arch.PAGE_SIZE
    if bsize < 512 or bsize > max(limit, arch.PAGE_SIZE) or not is_power_of_2(bsize):
        return -EINVAL
    return 0


@custom("block/blk-settings.c", "blk_validate_limits", "of the limits that are modelled")
def blk_validate_limits(lim: QueueLimits) -> int:
    """``static int blk_validate_limits(struct queue_limits *lim)``: fills in the defaults; -EINVAL for what cannot be."""
    if not lim.logical_block_size:
        lim.logical_block_size = 512
    elif blk_validate_block_size(lim.logical_block_size):
        printk("\x014Invalid logical block size (%d)\n", lim.logical_block_size)
        return -EINVAL
    if lim.physical_block_size < lim.logical_block_size:
        lim.physical_block_size = lim.logical_block_size
    elif not is_power_of_2(lim.physical_block_size):
        printk("\x014Invalid physical block size (%d)\n", lim.physical_block_size)
        return -EINVAL
    lim.io_min = max(lim.io_min, lim.physical_block_size)
    lim.io_opt = round_down(lim.io_opt, lim.physical_block_size)
    sectors = lim.logical_block_size >> 9
    if not lim.max_hw_sectors:
        lim.max_hw_sectors = BLK_SAFE_MAX_SECTORS
    if WARN_ON(lim.max_hw_sectors < arch.PAGE_SIZE >> 9) or WARN_ON(sectors > lim.max_hw_sectors):
        return -EINVAL
    lim.max_hw_sectors = round_down(lim.max_hw_sectors, sectors)
    if lim.io_opt > BLK_DEF_MAX_SECTORS_CAP << 9:
        lim.max_sectors = min(lim.max_hw_sectors, lim.io_opt >> 9)
    elif lim.io_min > BLK_DEF_MAX_SECTORS_CAP << 9:
        lim.max_sectors = min(lim.max_hw_sectors, lim.io_min >> 9)
    else:
        lim.max_sectors = min(lim.max_hw_sectors, BLK_DEF_MAX_SECTORS_CAP)
    lim.max_sectors = round_down(lim.max_sectors, sectors)
    lim.max_segments = lim.max_segments or BLK_MAX_SEGMENTS
    lim.max_segment_size = lim.max_segment_size or BLK_MAX_SEGMENT_SIZE
    lim.max_discard_sectors = lim.max_hw_discard_sectors
    lim.dma_alignment = lim.dma_alignment or 511
    return 0


@dup(H)
def blk_alloc_disk(lim: QueueLimits | None, node: int = NUMA_NO_NODE) -> GenDisk:
    """``struct gendisk *blk_alloc_disk(struct queue_limits *lim, int node_id)``

    Return: a disk with one reference, for put_disk(); ERR_PTR(-EINVAL) for impossible limits, ERR_PTR(-ENOMEM).
    """
    lim = lim or QueueLimits()
    err = blk_validate_limits(lim)
    if err:
        return ERR_PTR(err)
    if this.chooser is not None and should_fail("failslab", "blk_alloc_disk"):
        return ERR_PTR(-ENOMEM)
    q = RequestQueue(lim)
    disk = GenDisk()
    bdi = bdi_alloc(node)
    if bdi is None:
        return ERR_PTR(-ENOMEM)
    disk.bdi = bdi
    bdi.ra_pages = max(bdi.ra_pages, lim.io_opt * 2 >> arch.PAGE_SHIFT)         # blk_apply_bdi_limits()
    bdi.io_pages = lim.max_sectors >> arch.PAGE_SHIFT - 9
    disk.queue = q
    part0 = bdev_alloc(disk, 0)
    if part0 is None:
        bdi_put(bdi)
        return ERR_PTR(-ENOMEM)
    disk.part0 = part0
    disk.part_tbl.append(part0)
    q.disk = disk
    disk.state = 1 << GD_OWNS_QUEUE
    reg = registry()
    reg.diskseq += 1
    disk.diskseq = reg.diskseq
    if this.watch is not None:
        this.watch.alloc("gendisk", disk, 0)
    return disk


@dup(H)
def get_capacity(disk: GenDisk) -> int:
    """``sector_t get_capacity(struct gendisk *disk)``: in sectors of 512 bytes."""
    return disk.part0.bd_nr_sectors


@dup(C)
def set_capacity(disk: GenDisk, sectors: int) -> None:
    """``void set_capacity(struct gendisk *disk, sector_t sectors)``"""
    if sectors > BLK_DEV_MAX_SECTORS:
        pr_warn_once("%s: truncate capacity from %lld to %lld\n", disk.disk_name, sectors, BLK_DEV_MAX_SECTORS)
        sectors = BLK_DEV_MAX_SECTORS
    bdev_set_nr_sectors(disk.part0, sectors)


@dup(C)
def set_capacity_and_notify(disk: GenDisk, size: int) -> bool:
    """``bool set_capacity_and_notify(struct gendisk *disk, sector_t size)``: True if user space was told."""
    capacity = get_capacity(disk)
    set_capacity(disk, size)
    if size == capacity or not disk_live(disk) or disk.flags & GENHD_FL_HIDDEN:
        return False
    pr_info("%s: detected capacity change from %lld to %lld\n", disk.disk_name, capacity, size)
    return bool(capacity and size)


@dup(C)
def set_disk_ro(disk: GenDisk, read_only: bool) -> None:
    """``void set_disk_ro(struct gendisk *disk, bool read_only)``"""
    if read_only:
        disk.state |= 1 << GD_READ_ONLY
    else:
        disk.state &= ~(1 << GD_READ_ONLY)


@dup(H)
def get_disk_ro(disk: GenDisk) -> bool:
    """``int get_disk_ro(struct gendisk *disk)``"""
    return bool(disk.part0.bd_flags & 1 << 8 or disk.state & 1 << GD_READ_ONLY)


@dup(H)
def disk_has_partscan(disk: GenDisk) -> bool:
    """``bool disk_has_partscan(struct gendisk *disk)``"""
    return not disk.flags & (GENHD_FL_NO_PART | GENHD_FL_HIDDEN) and not disk.state & 1 << GD_SUPPRESS_PART_SCAN


@custom(C, "disk_scan_partitions", "nobody has a partition open")
def disk_scan_partitions(disk: GenDisk, mode: int) -> int:
    """``int disk_scan_partitions(struct gendisk *disk, blk_mode_t mode)``: opens the disk, which looks for a partition table.

    Return: 0; -EINVAL if the disk is not to be scanned; -EBUSY if somebody else has claimed it; what opening says. Context: may sleep.
    """
    from kemu.linux.bdev_open import BLK_OPEN_EXCL, bd_abort_claiming, bd_prepare_to_claim, bdev_file_open_by_dev
    from kemu.linux.err import IS_ERR, PTR_ERR
    from kemu.linux.vfs.file_table import fput

    if not disk_has_partscan(disk):
        return -EINVAL
    # claimed by the task that has it open exclusively, or by this function
    if not mode & BLK_OPEN_EXCL:
        ret = bd_prepare_to_claim(disk.part0, disk_scan_partitions, None)
        if ret:
            return int(ret)
    ret = 0
    disk.state |= 1 << GD_NEED_PART_SCAN
    file = bdev_file_open_by_dev(disk_devt(disk), mode & ~BLK_OPEN_EXCL, None, None)
    if IS_ERR(file):
        ret = PTR_ERR(file)
    else:
        fput(file)
    # an open that failed early has left it
    disk.state &= ~(1 << GD_NEED_PART_SCAN)
    if not mode & BLK_OPEN_EXCL:
        bd_abort_claiming(disk.part0, disk_scan_partitions)
    return int(ret)


@custom("block/partitions/core.c", "bdev_disk_changed", "the parsers' first look at sector 0; no partition table is understood")
def bdev_disk_changed(disk: GenDisk, invalidate: bool) -> int:
    """``int bdev_disk_changed(struct gendisk *disk, bool invalidate)``: drops what is cached, then looks for a partition table.

    Return: 0; -ENXIO if the disk is gone; -EIO if its first sector cannot be read. Context: disk->open_mutex.
    """
    from kemu.linux.bdev import invalidate_bdev, sync_blockdev
    from kemu.linux.err import IS_ERR
    from kemu.linux.filemap import read_mapping_folio
    from kemu.linux.mm import folio_put

    if not disk_live(disk):
        return -ENXIO
    sync_blockdev(disk.part0)
    invalidate_bdev(disk.part0)
    disk.state &= ~(1 << GD_NEED_PART_SCAN)
    if invalidate and (not disk.flags & GENHD_FL_NO_PART or not disk.flags & GENHD_FL_REMOVABLE):
        set_capacity(disk, 0)
    if not get_capacity(disk) or not disk_has_partscan(disk):
        return 0
    folio = read_mapping_folio(disk.part0.bd_mapping, 0, None)      # read_part_sector(state, 0)
    if IS_ERR(folio):
        pr_info(" %s: unable to read partition table\n", disk.disk_name)
        return -EIO
    folio_put(folio)
    return 0


@custom(C, "device_add_disk", "sysfs and events are left out; devtmpfs listens in the registry")
def device_add_disk(parent: Any, disk: GenDisk, groups: Any = None) -> int:
    """``int device_add_disk(struct device *parent, struct gendisk *disk, const struct attribute_group **groups)``

    Makes the disk visible. Return: 0; -EINVAL for numbers or operations that cannot be; -EEXIST if the name is in use; -EBUSY without minors
    left; -ENOMEM (fail_function device_add, bdi_register). On failure nothing of it is left, and put_disk() is still to be called.
    """
    if WARN_ON_ONCE(get_capacity(disk) > BLK_DEV_MAX_SECTORS):
        return -EINVAL
    if disk.fops is None or disk.fops.submit_bio is None:
        return -EINVAL
    disk.part0.bd_flags |= BD_HAS_SUBMIT_BIO
    reg = registry()
    ext = False
    if disk.major:
        if WARN_ON(not disk.minors):
            return -EINVAL
        if disk.minors > DISK_MAX_PARTS:
            pr_err("block: can't allocate more than %d partitions\n", DISK_MAX_PARTS)
            disk.minors = DISK_MAX_PARTS
        if disk.first_minor > MINORMASK or disk.minors > MINORMASK + 1 or disk.first_minor + disk.minors > MINORMASK + 1:
            return -EINVAL
    else:
        if WARN_ON(disk.minors):
            return -EINVAL
        minor = next((i for i in range(1 << MINORBITS) if i not in reg.ext_minors), -1)
        if minor < 0:
            return -EBUSY
        reg.ext_minors.add(minor)
        ext = True
        disk.major = BLOCK_EXT_MAJOR
        disk.first_minor = minor
    devt = MKDEV(disk.major, disk.first_minor)

    ret = 0
    if disk.disk_name in reg.disks:
        printk("\x014sysfs: cannot create duplicate filename '/devices/virtual/block/%s'\n", disk.disk_name)
        ret = -EEXIST
    elif this.chooser is not None and should_fail("fail_function", "device_add"):
        ret = -ENOMEM
    elif not disk.flags & GENHD_FL_HIDDEN:
        ret = bdi_register(disk.bdi, "%u:%u", disk.major, disk.first_minor)
    if ret:
        if ext:
            reg.ext_minors.discard(disk.first_minor)
        return ret
    reg.disks[disk.disk_name] = disk
    if disk.flags & GENHD_FL_HIDDEN:
        disk.part0.bd_dev = devt                    # freeing a dynamic number needs it
    else:                                           # add_disk_final()
        bdev_add(disk.part0, devt)
        if get_capacity(disk):
            disk_scan_partitions(disk, BLK_OPEN_READ)
        for tell in reg.listeners:
            tell("add", disk)
    disk.state |= 1 << GD_ADDED
    return 0


@dup(H)
def add_disk(disk: GenDisk) -> int:
    """``int add_disk(struct gendisk *disk)``: see :func:`device_add_disk`."""
    return device_add_disk(None, disk)


def _mark_disk_dead(disk: GenDisk) -> None:
    """``__blk_mark_disk_dead()``"""
    if disk.state & 1 << GD_DEAD:
        return
    disk.state |= 1 << GD_DEAD
    if disk.state & 1 << GD_OWNS_QUEUE:
        disk.queue.dying = True
    set_capacity(disk, 0)                           # nothing is dirtied that could not be written


def _report_disk_dead(disk: GenDisk, surprise: bool) -> None:
    """``blk_report_disk_dead()``"""
    rcu_read_lock()
    for bdev in list(disk.part_tbl):
        if not bdev.bd_refs:                        # kobject_get_unless_zero()
            continue
        bdev.bd_refs += 1
        rcu_read_unlock()

        bdev_mark_dead(bdev, surprise)

        put_disk(disk)
        rcu_read_lock()
    rcu_read_unlock()


@dup(C)
def blk_mark_disk_dead(disk: GenDisk) -> None:
    """``void blk_mark_disk_dead(struct gendisk *disk)``: surprise removal: bios fail from now on, the holder is told. Context: may sleep."""
    disk.queue.dying = True
    _mark_disk_dead(disk)
    _report_disk_dead(disk, True)


@custom(C, "del_gendisk", "sysfs, partitions and blk-mq are left out")
def del_gendisk(disk: GenDisk) -> None:
    """``void del_gendisk(struct gendisk *disk)``: no new openers, the file system is told, bios end with BLK_STS_IOERR.

    Bios that are in the driver's submit_bio() are waited for; those that it has taken and not ended yet are the driver's. Context: may sleep.
    """
    if WARN_ON_ONCE(not disk_live(disk) and not disk.flags & GENHD_FL_HIDDEN):
        return
    mutex_lock(disk.open_mutex)
    for part in disk.part_tbl:
        bdev_unhash(part)
    mutex_unlock(disk.open_mutex)
    if not disk.state & 1 << GD_DEAD:
        _report_disk_dead(disk, False)
    mutex_lock(disk.open_mutex)
    _mark_disk_dead(disk)
    mutex_unlock(disk.open_mutex)
    if not disk.flags & GENHD_FL_HIDDEN:
        bdi_unregister(disk.bdi)
    reg = registry()
    if reg.disks.get(disk.disk_name) is disk:       # device_del()
        del reg.disks[disk.disk_name]
    if not disk.flags & GENHD_FL_HIDDEN:
        for tell in reg.listeners:
            tell("remove", disk)
    queue = disk.queue
    while queue.users:                              # blk_mq_freeze_queue_wait()
        if queue.frozen is None:
            queue.frozen = WaitQueue(f"bios in the driver of {disk.disk_name}")
        this.sched.block(queue.frozen)


@dup(C)
def put_disk(disk: GenDisk | None) -> None:
    """``void put_disk(struct gendisk *disk)``: the last reference frees the disk; open files hold one each."""
    if disk is None:
        return
    part0 = disk.part0
    part0.bd_refs -= 1
    if part0.bd_refs > 0:
        return
    WARN_ON(disk_live(disk))                            # disk_release()
    disk.queue.disk = None
    if disk.state & 1 << GD_ADDED and disk.fops is not None and disk.fops.free_disk is not None:
        disk.fops.free_disk(disk)
    bdi_put(disk.bdi)
    bdev_drop(part0)
    if this.watch is not None:
        this.watch.free("gendisk", disk)


@dup(H)
def disk_devt(disk: GenDisk) -> int:
    """``dev_t disk_devt(struct gendisk *disk)``"""
    return MKDEV(disk.major, disk.first_minor)


@dup(C, "__register_blkdev")
def register_blkdev(major: int, name: str, probe: Callable[[int], None] | None = None) -> int:
    """``int register_blkdev(unsigned int major, const char *name)``; with ``probe``, ``__register_blkdev()``

    ``probe(devt)`` is asked for devices of the number that are not there, with CONFIG_BLOCK_LEGACY_AUTOLOAD.
    Return: with ``major`` 0 the highest free one of 1..254; else 0. -EBUSY if it is taken or none is free; -EINVAL; -ENOMEM.
    """
    reg = registry()
    mutex_lock(reg.major_names_lock)
    ret = _register_blkdev(reg, major, name, probe)
    mutex_unlock(reg.major_names_lock)
    return ret


def _register_blkdev(reg: Any, major: int, name: str, probe: Callable[[int], None] | None) -> int:
    """What __register_blkdev() does under its mutex."""
    ret = 0
    if major == 0:
        taken = {m % 255 for m in reg.majors}
        index = next((i for i in range(254, 0, -1) if i not in taken), 0)
        if index == 0:
            printk("%s: failed to get major for %s\n", "__register_blkdev", name)
            return -EBUSY
        major = ret = index
    if major >= BLKDEV_MAJOR_MAX:
        printk("\x013%s: major requested (%u) is greater than the maximum (%u) for %s\n", "__register_blkdev", major, BLKDEV_MAJOR_MAX - 1, name)
        return -EINVAL
    if this.chooser is not None and should_fail("failslab", "register_blkdev"):
        return -ENOMEM
    spin_lock(reg.major_names_spinlock)
    if major not in reg.majors:
        reg.majors[major] = name[:NAME_LEN]
        if probe is not None and IS_ENABLED("CONFIG_BLOCK_LEGACY_AUTOLOAD"):
            reg.probes[major] = probe
    else:
        ret = -EBUSY
    spin_unlock(reg.major_names_spinlock)

    if ret < 0:
        printk("register_blkdev: cannot get major %u for %s\n", major, name)
    return ret


@dup(C)
def unregister_blkdev(major: int, name: str) -> None:
    """``void unregister_blkdev(unsigned int major, const char *name)``: the number is free again."""
    reg = registry()
    mutex_lock(reg.major_names_lock)
    spin_lock(reg.major_names_spinlock)
    if reg.majors.get(major) != name:           # a longer name than was kept never matches, as in C
        WARN_ON(1)
    else:
        del reg.majors[major]
        reg.probes.pop(major, None)
    spin_unlock(reg.major_names_spinlock)
    mutex_unlock(reg.major_names_lock)


def _probe_dev(devt: int) -> bool:
    """``blk_probe_dev()``"""
    reg = registry()
    mutex_lock(reg.major_names_lock)
    probe = reg.probes.get(MAJOR(devt))
    if probe is not None:
        probe(devt)
    mutex_unlock(reg.major_names_lock)
    return probe is not None


@dup(C)
def blk_request_module(devt: int) -> None:
    """``void blk_request_module(dev_t devt)``: who has the number makes the device, or a module does. Context: may sleep."""
    from kemu.linux.kmod import request_module

    if _probe_dev(devt):
        return
    error = request_module("block-major-%d-%d", MAJOR(devt), MINOR(devt))
    # Make old-style 2.4 aliases work
    if error > 0:
        error = request_module("block-major-%d", MAJOR(devt))
    if not error:
        _probe_dev(devt)
