# SPDX-License-Identifier: GPL-2.0-only
"""Disks: adding, removing, looking up by number (block/genhd.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BD_HAS_SUBMIT_BIO
from kemu.linux.bug import WARN_ON, WARN_ON_ONCE
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EBUSY, EEXIST, EINVAL, ENOMEM
from kemu.linux.fs.file_table import fput
from kemu.linux.include.blkdev import (
    BLK_OPEN_EXCL,
    BLK_OPEN_READ,
    BLKDEV_MAJOR_MAX,
    DISK_MAX_PARTS,
    GD_ADDED,
    GD_DEAD,
    GD_NEED_PART_SCAN,
    GD_OWNS_QUEUE,
    GD_READ_ONLY,
    GENHD_FL_HIDDEN,
    GenDisk,
    disk_devt,
    disk_has_partscan,
    get_capacity,
)
from kemu.linux.include.kmod import request_module
from kemu.linux.include.mutex import mutex_lock
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MAJOR, MINOR, MINORBITS, MINORMASK, MKDEV
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.mm.backing_dev import bdi_put, bdi_register, bdi_unregister
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_err, pr_info, pr_warn_once, printk
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.sched import WaitQueue

C = "block/genhd.c"

BLK_DEF_MAX_SECTORS_CAP = 8192

BLK_DEV_MAX_SECTORS = (1 << 63) - 1 >> 9

NAME_LEN = 15                                       # of a major's name, without its NUL


@dup(C)
def set_capacity(disk: GenDisk, sectors: int) -> None:
    """``void set_capacity(struct gendisk *disk, sector_t sectors)``"""
    from kemu.linux.block.bdev import bdev_set_nr_sectors  # noqa: PLC0415  (circle: block/bdev.c needs this)

    if sectors > BLK_DEV_MAX_SECTORS:
        pr_warn_once("%s: truncate capacity from %lld to %lld\n", disk.disk_name, sectors, BLK_DEV_MAX_SECTORS)
        sectors = BLK_DEV_MAX_SECTORS
    bdev_set_nr_sectors(disk.part0, sectors)


@dup(C)
def set_capacity_and_notify(disk: GenDisk, size: int) -> bool:
    """``bool set_capacity_and_notify(struct gendisk *disk, sector_t size)``: True if user space was told."""
    from kemu.linux.block.bdev import disk_live  # noqa: PLC0415  (circle: block/bdev.c needs this)

    capacity = get_capacity(disk)
    set_capacity(disk, size)
    if size == capacity or not disk_live(disk) or disk.flags & GENHD_FL_HIDDEN:
        return False
    pr_info("%s: detected capacity change from %lld to %lld\n", disk.disk_name, capacity, size)
    return bool(capacity and size)


@custom(C, "__register_blkdev", "the names are in a dictionary by number")
def register_blkdev(major: int, name: str, probe: Callable[[int], None] | None = None) -> int:
    """``int register_blkdev(unsigned int major, const char *name)``; with ``probe``, ``__register_blkdev()``

    ``probe(devt)`` is asked for devices of the number that are not there, with CONFIG_BLOCK_LEGACY_AUTOLOAD.
    Return: with ``major`` 0 the highest free one of 1..254; else 0. -EBUSY if it is taken or none is free; -EINVAL; -ENOMEM.
    """
    from kemu.linux.block.bdev import registry  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
        printk("\x013%s: major requested (%u) is greater than the maximum (%u) for %s\n", "__register_blkdev", major,
               BLKDEV_MAJOR_MAX - 1, name)
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


@custom(C, "unregister_blkdev", "the names are in a dictionary by number")
def unregister_blkdev(major: int, name: str) -> None:
    """``void unregister_blkdev(unsigned int major, const char *name)``: the number is free again."""
    from kemu.linux.block.bdev import registry  # noqa: PLC0415  (circle: block/bdev.c needs this)

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


@custom(C, "disk_scan_partitions", "nobody has a partition open")
def disk_scan_partitions(disk: GenDisk, mode: int) -> int:
    """``int disk_scan_partitions(struct gendisk *disk, blk_mode_t mode)``: opens the disk, which looks for a partition table.

    Return: 0; -EINVAL if the disk is not to be scanned; -EBUSY if somebody else has claimed it; what opening says. Context: may
    sleep.
    """
    from kemu.linux.block.bdev import bdev_file_open_by_dev  # noqa: PLC0415  (circle: block/bdev.c needs this)

    if not disk_has_partscan(disk):
        return -EINVAL
    # claimed by the task that has it open exclusively, or by this function
    if not mode & BLK_OPEN_EXCL:
        from kemu.linux.block.bdev import bd_prepare_to_claim  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
        from kemu.linux.block.bdev import bd_abort_claiming  # noqa: PLC0415  (circle: block/bdev.c needs this)

        bd_abort_claiming(disk.part0, disk_scan_partitions)
    return int(ret)


@custom(C, "device_add_disk", "sysfs and events are left out; devtmpfs listens in the registry")
def device_add_disk(parent: Any, disk: GenDisk, groups: Any = None) -> int:
    """``int device_add_disk(struct device *parent, struct gendisk *disk, const struct attribute_group **groups)``

    Makes the disk visible. Return: 0; -EINVAL for numbers or operations that cannot be; -EEXIST if the name is in use; -EBUSY
    without minors left; -ENOMEM (fail_function device_add, bdi_register). On failure nothing of it is left, and put_disk() is
    still to be called.
    """
    from kemu.linux.block.bdev import registry  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
        from kemu.linux.block.bdev import BLOCK_EXT_MAJOR  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
        from kemu.linux.block.bdev import bdev_add  # noqa: PLC0415  (circle: block/bdev.c needs this)

        bdev_add(disk.part0, devt)
        if get_capacity(disk):
            disk_scan_partitions(disk, BLK_OPEN_READ)
        for tell in reg.listeners:
            tell("add", disk)
    disk.state |= 1 << GD_ADDED
    return 0


def __blk_mark_disk_dead(disk: GenDisk) -> None:
    """``__blk_mark_disk_dead()``"""
    if disk.state & 1 << GD_DEAD:
        return
    disk.state |= 1 << GD_DEAD
    if disk.state & 1 << GD_OWNS_QUEUE:
        disk.queue.dying = True
    set_capacity(disk, 0)                           # nothing is dirtied that could not be written


def blk_report_disk_dead(disk: GenDisk, surprise: bool) -> None:
    """``blk_report_disk_dead()``"""
    from kemu.linux.block.bdev import bdev_mark_dead  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
    """``void blk_mark_disk_dead(struct gendisk *disk)``: surprise removal: bios fail from now on, the holder is told.

    Context: may sleep.
    """
    disk.queue.dying = True
    __blk_mark_disk_dead(disk)
    blk_report_disk_dead(disk, True)


@custom(C, "del_gendisk", "sysfs, partitions and blk-mq are left out")
def del_gendisk(disk: GenDisk) -> None:
    """``void del_gendisk(struct gendisk *disk)``: no new openers, the file system is told, bios end with BLK_STS_IOERR.

    Bios that are in the driver's submit_bio() are waited for; those that it has taken and not ended yet are the driver's.
    Context: may sleep.
    """
    from kemu.linux.block.bdev import bdev_unhash, disk_live, registry  # noqa: PLC0415  (circle: block/bdev.c needs this)

    if WARN_ON_ONCE(not disk_live(disk) and not disk.flags & GENHD_FL_HIDDEN):
        return
    mutex_lock(disk.open_mutex)
    for part in disk.part_tbl:
        bdev_unhash(part)
    mutex_unlock(disk.open_mutex)
    if not disk.state & 1 << GD_DEAD:
        blk_report_disk_dead(disk, False)
    mutex_lock(disk.open_mutex)
    __blk_mark_disk_dead(disk)
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


def blk_probe_dev(devt: int) -> bool:
    """``blk_probe_dev()``"""
    from kemu.linux.block.bdev import registry  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
    if blk_probe_dev(devt):
        return
    error = request_module("block-major-%d-%d", MAJOR(devt), MINOR(devt))
    # Make old-style 2.4 aliases work
    if error > 0:
        error = request_module("block-major-%d", MAJOR(devt))
    if not error:
        blk_probe_dev(devt)


@dup(C)
def put_disk(disk: GenDisk | None) -> None:
    """``void put_disk(struct gendisk *disk)``: the last reference frees the disk; open files hold one each."""
    from kemu.linux.block.bdev import bdev_drop, disk_live  # noqa: PLC0415  (circle: block/bdev.c needs this)

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


@dup(C)
def set_disk_ro(disk: GenDisk, read_only: bool) -> None:
    """``void set_disk_ro(struct gendisk *disk, bool read_only)``"""
    if read_only:
        disk.state |= 1 << GD_READ_ONLY
    else:
        disk.state &= ~(1 << GD_READ_ONLY)


@custom(C, "class_dev_iter_init", "disks that have been added, by name")
def _disks() -> dict[str, Any]:
    from kemu.linux.block.bdev import Registry  # noqa: PLC0415  (circle: block/bdev.c needs this)

    reg = this.machine.made(Registry)
    return dict(reg.disks) if reg is not None else {}
