# SPDX-License-Identifier: GPL-2.0-only
"""Devices whose memory is read directly (drivers/dax/super.c): read() only, no mmap."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.errno import EINVAL, ENXIO, EOPNOTSUPP, ERANGE
from kemu.linux.include.blkdev import BLK_FEAT_DAX
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_info
from kemu.linux.types import Ref
from kemu.machine.current import NULL, arch, this

C = "drivers/dax/super.c"


@custom(C, "dax_device", "one run of the direct map")
class dax_device:
    """``struct dax_device``: ``size`` bytes at the page-aligned address ``base``. ``refs`` counts its users."""

    __slots__ = ("alive", "base", "holder_data", "holder_ops", "refs", "size")

    def __init__(self, base: int, size: int):
        self.base = base
        self.size = size
        self.alive = True
        self.refs = 1
        self.holder_data: Any = None
        self.holder_ops: Any = None


@custom(C, "dax_hosts", "by the disk itself")
class DaxHosts:
    """What ``dax_hosts`` of one machine has: disk -> its device."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[Any, dax_device] = {}


@dup(C)
def dax_add_host(dax_dev: dax_device, disk: Any) -> int:
    """``int dax_add_host(struct dax_device *dax_dev, struct gendisk *disk)``: 0."""
    this.machine.part(DaxHosts).of[disk] = dax_dev
    disk.queue.limits.features |= BLK_FEAT_DAX
    return 0


@dup(C)
def dax_remove_host(disk: Any) -> None:
    """``void dax_remove_host(struct gendisk *disk)``"""
    this.machine.part(DaxHosts).of.pop(disk, None)


@custom(C, "kill_dax", "a flag; nobody reads it under SRCU")
def kill_dax(dax_dev: dax_device | None) -> None:
    """``void kill_dax(struct dax_device *dax_dev)``: every access fails from now on."""
    if dax_dev is not None:
        dax_dev.alive = False


@custom(C, "put_dax", "nothing is counted")
def put_dax(dax_dev: dax_device | None) -> None:
    """``void put_dax(struct dax_device *dax_dev)``"""
    if dax_dev is not None:
        dax_dev.refs -= 1
        WARN_ON(dax_dev.refs < 0)


@custom(C, "fs_dax_get_by_bdev", "a disk says whether it has direct access: no dax_device is looked up under SRCU")
def fs_dax_get_by_bdev(bdev: Any, start_off: Ref, holder: Any = None, ops: Any = None) -> dax_device:
    """``struct dax_device *fs_dax_get_by_bdev(struct block_device *bdev, u64 *start_off, void *holder, const struct
    dax_holder_operations *ops)``

    Return: None if the disk has no memory of its own, is not page aligned, or another holder has it. ``start_off``: bytes.
    """
    if not bdev.bd_disk.queue.limits.features & BLK_FEAT_DAX:
        return NULL             # type: ignore[no-any-return]
    start_off.v = bdev.bd_start_sect << 9
    part_size = bdev.bd_nr_sectors << 9
    if start_off.v % arch.PAGE_SIZE or part_size % arch.PAGE_SIZE:
        pr_info("%s: error: unaligned partition for dax\n", str(bdev))
        return NULL             # type: ignore[no-any-return]
    dax_dev = this.machine.part(DaxHosts).of.get(bdev.bd_disk)
    if dax_dev is None or not dax_dev.alive:
        return NULL             # type: ignore[no-any-return]
    dax_dev.refs += 1
    if holder is not None:
        if dax_dev.holder_data is not None:
            return NULL             # type: ignore[no-any-return]
        dax_dev.holder_data = holder
        dax_dev.holder_ops = ops
    return dax_dev


@dup(C)
def fs_put_dax(dax_dev: dax_device | None, holder: Any = None) -> None:
    """``void fs_put_dax(struct dax_device *dax_dev, void *holder)``: None is fine."""
    if dax_dev is not None and holder is not None:
        dax_dev.holder_ops = None
        WARN_ON(dax_dev.holder_data is not None and dax_dev.holder_data is not holder)
        if dax_dev.holder_data is holder:
            dax_dev.holder_data = None
    put_dax(dax_dev)


@custom(C, "dax_direct_access", "gives (pages, address)")
def dax_direct_access(dax_dev: dax_device | None, pgoff: int, nr_pages: int) -> tuple[int, int]:
    """``long dax_direct_access(struct dax_device *dax_dev, pgoff_t pgoff, long nr_pages, mode, void **kaddr, unsigned long
    *pfn)``

    Pages: how many can be had at the address; -EOPNOTSUPP no device, -ENXIO dead, -EINVAL, -ERANGE behind its end.
    """
    if dax_dev is None:
        return -EOPNOTSUPP, 0
    if not dax_dev.alive:
        return -ENXIO, 0
    if nr_pages < 0:
        return -EINVAL, 0
    pos = pgoff << arch.PAGE_SHIFT
    avail = dax_dev.size - pos >> arch.PAGE_SHIFT
    if avail <= 0:
        return -ERANGE, 0
    return min(avail, nr_pages), dax_dev.base + pos
