# SPDX-License-Identifier: GPL-2.0-only
"""Disks, request queues, limits, and what is asked of a block_device (include/linux/blkdev.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.blk_types import BD_PARTNO, BD_READ_ONLY, BlockDevice
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOMEM
from kemu.linux.include.backing_dev import BackingDevInfo
from kemu.linux.include.mutex import mutex
from kemu.linux.kdev_t import MKDEV
from kemu.linux.math import is_power_of_2
from kemu.linux.mm.backing_dev import bdi_alloc, bdi_put
from kemu.linux.port.honesty import custom, dup
from kemu.linux.super_types import SB_RDONLY
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.sched import WaitQueue

P = "include/linux/blkdev.h"


@dup(P)
def bdev_nr_sectors(bdev: BlockDevice) -> int:
    """``sector_t bdev_nr_sectors(struct block_device *bdev)``"""
    return bdev.bd_nr_sectors


@dup(P)
def bdev_nr_bytes(bdev: BlockDevice) -> int:
    """``loff_t bdev_nr_bytes(struct block_device *bdev)``"""
    return bdev.bd_nr_sectors << 9


@dup(P)
def bdev_logical_block_size(bdev: BlockDevice) -> int:
    """``unsigned int bdev_logical_block_size(struct block_device *bdev)``"""
    return bdev.bd_queue.limits.logical_block_size  # type: ignore[no-any-return]


@dup(P)
def bdev_dma_alignment(bdev: BlockDevice) -> int:
    """``int bdev_dma_alignment(struct block_device *bdev)``: a mask."""
    return bdev.bd_queue.limits.dma_alignment       # type: ignore[no-any-return]


@dup(P)
def bdev_get_queue(bdev: BlockDevice) -> Any:
    """``struct request_queue *bdev_get_queue(struct block_device *bdev)``"""
    return bdev.bd_queue


@dup(P)
def bdev_stable_writes(bdev: BlockDevice) -> bool:
    """``bool bdev_stable_writes(struct block_device *bdev)``: pages must not change while they are written."""
    return bool(bdev.bd_queue.limits.features & 32)             # BLK_FEAT_STABLE_WRITES


@dup(P)
def blksize_bits(size: int) -> int:
    """``unsigned int blksize_bits(unsigned int size)``"""
    return size.bit_length() - 1


@dup(P)
def bdev_is_partition(bdev: BlockDevice) -> bool:
    """``bool bdev_is_partition(struct block_device *bdev)``"""
    return bool(bdev.bd_flags & BD_PARTNO)


@dup(P)
def bdev_is_dead(bdev: BlockDevice) -> bool:
    """``test_bit(GD_DEAD, &bdev->bd_disk->state)``"""
    return bool(bdev.bd_disk.state & 1 << GD_DEAD)


(BLK_OPEN_READ, BLK_OPEN_WRITE, BLK_OPEN_EXCL, BLK_OPEN_NDELAY, BLK_OPEN_WRITE_IOCTL, BLK_OPEN_RESTRICT_WRITES,
 BLK_OPEN_STRICT_SCAN) = (1 << i for i in range(7))

GD_NEED_PART_SCAN, GD_READ_ONLY, GD_DEAD, GD_NATIVE_CAPACITY, GD_ADDED, GD_SUPPRESS_PART_SCAN, GD_OWNS_QUEUE = range(7)


@dup(P)
def bdev_read_only(bdev: BlockDevice) -> bool:
    """``int bdev_read_only(struct block_device *bdev)``"""
    return bool(bdev.bd_flags & BD_READ_ONLY) or bool(bdev.bd_disk.state & 1 << GD_READ_ONLY)


@custom(P, "blk_plug", "holds nothing: the disks here take bios, not requests")
class BlkPlug:
    """``struct blk_plug``"""

    __slots__ = ()


BLK_SAFE_MAX_SECTORS = 255

BLK_MAX_SEGMENTS = 128
BLK_MAX_SEGMENT_SIZE = 65536

BLK_FEAT_WRITE_CACHE, BLK_FEAT_FUA, BLK_FEAT_ROTATIONAL, BLK_FEAT_ADD_RANDOM, BLK_FEAT_IO_STAT = 1, 2, 4, 8, 16
BLK_FEAT_STABLE_WRITES, BLK_FEAT_SYNCHRONOUS, BLK_FEAT_NOWAIT, BLK_FEAT_DAX = 32, 64, 128, 256
GENHD_FL_REMOVABLE, GENHD_FL_HIDDEN, GENHD_FL_NO_PART = 1, 2, 4
DISK_MAX_PARTS, DISK_NAME_LEN = 256, 32

BLKDEV_MAJOR_MAX = 512
NUMA_NO_NODE = -1


@dup(P)
class block_device_operations:
    """``struct block_device_operations``: what the driver implements; members not named are None."""

    __slots__ = ("free_disk", "open", "owner", "release", "submit_bio")

    def __init__(self, *, submit_bio: Any = None, open: Any = None, release: Any = None, free_disk: Any = None,
                 owner: Any = None):
        self.submit_bio = submit_bio
        self.open = open
        self.release = release
        self.free_disk = free_disk
        self.owner = owner


@custom(P, "queue_limits", "the limits that something here looks at; 0 asks for the default")
class QueueLimits:
    """``struct queue_limits``: sizes in bytes, ``max_*_sectors`` in units of 512."""

    __slots__ = ("dma_alignment", "features", "io_min", "io_opt", "logical_block_size", "max_discard_sectors",
                 "max_hw_discard_sectors", "max_hw_sectors", "max_sectors", "max_segment_size", "max_segments",
                 "max_write_zeroes_sectors", "physical_block_size")

    def __init__(self, *, logical_block_size: int = 0, physical_block_size: int = 0, max_hw_sectors: int = 0,
                 max_segments: int = 0,
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


@custom(P, "request_queue", "the limits, whether bios may still enter, and how many have")
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


@custom(P, "gendisk", "state is an int of GD_* bits")
class GenDisk:
    """``struct gendisk``. ``private_data`` is the driver's; ``part0`` the whole disk's block_device, whose references are the
    disk's.
    """

    __slots__ = ("bdi", "disk_name", "diskseq", "first_minor", "flags", "fops", "major", "minors", "open_mutex", "part0",
                 "part_tbl", "private_data", "queue", "state", "__weakref__")

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


@dup(P)
def blk_validate_block_size(bsize: int) -> int:
    """``int blk_validate_block_size(unsigned long bsize)``: -EINVAL unless a power of two from 512 to BLK_MAX_BLOCK_SIZE."""
    limit = 65536 if this.machine.config.get("CONFIG_TRANSPARENT_HUGEPAGE", True) else arch.PAGE_SIZE
    if bsize < 512 or bsize > max(limit, arch.PAGE_SIZE) or not is_power_of_2(bsize):
        return -EINVAL
    return 0


@custom(P, "blk_alloc_disk", "__blk_alloc_disk(), blk_alloc_queue() and __alloc_disk_node() in one")
def blk_alloc_disk(lim: QueueLimits | None, node: int = NUMA_NO_NODE) -> GenDisk:
    """``struct gendisk *blk_alloc_disk(struct queue_limits *lim, int node_id)``

    Return: a disk with one reference, for put_disk(); ERR_PTR(-EINVAL) for impossible limits, ERR_PTR(-ENOMEM).
    """
    from kemu.linux.block.bdev import bdev_alloc, registry  # noqa: PLC0415  (up into block/bdev.c)
    from kemu.linux.block.blk_settings import blk_validate_limits  # noqa: PLC0415  (up into block/blk-settings.c)

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


@dup(P)
def get_capacity(disk: GenDisk) -> int:
    """``sector_t get_capacity(struct gendisk *disk)``: in sectors of 512 bytes."""
    return disk.part0.bd_nr_sectors


@dup(P)
def get_disk_ro(disk: GenDisk) -> bool:
    """``int get_disk_ro(struct gendisk *disk)``"""
    return bool(disk.part0.bd_flags & 1 << 8 or disk.state & 1 << GD_READ_ONLY)


@dup(P)
def disk_has_partscan(disk: GenDisk) -> bool:
    """``bool disk_has_partscan(struct gendisk *disk)``"""
    return not disk.flags & (GENHD_FL_NO_PART | GENHD_FL_HIDDEN) and not disk.state & 1 << GD_SUPPRESS_PART_SCAN


@dup(P)
def add_disk(disk: GenDisk) -> int:
    """``int add_disk(struct gendisk *disk)``: see :func:`device_add_disk`."""
    from kemu.linux.block.genhd import device_add_disk  # noqa: PLC0415  (up into block/genhd.c)

    return device_add_disk(None, disk)


@dup(P)
def disk_devt(disk: GenDisk) -> int:
    """``dev_t disk_devt(struct gendisk *disk)``"""
    return MKDEV(disk.major, disk.first_minor)


@dup(P)
def sb_open_mode(flags: int) -> int:
    """``sb_open_mode(flags)``: how a mount opens its device."""
    return int(BLK_OPEN_READ | BLK_OPEN_RESTRICT_WRITES | (0 if flags & SB_RDONLY else BLK_OPEN_WRITE))
