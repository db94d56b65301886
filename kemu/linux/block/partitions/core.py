# SPDX-License-Identifier: GPL-2.0-only
"""Reading a disk's partitions again (block/partitions/core.c)."""
from __future__ import annotations

from kemu.linux.block.genhd import set_capacity
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EIO, ENXIO
from kemu.linux.include.blkdev import (
    GD_NEED_PART_SCAN,
    GENHD_FL_NO_PART,
    GENHD_FL_REMOVABLE,
    GenDisk,
    disk_has_partscan,
    get_capacity,
)
from kemu.linux.include.mm import folio_put
from kemu.linux.include.pagemap import read_mapping_folio
from kemu.linux.port.honesty import custom
from kemu.linux.printk import pr_info

C = "block/partitions/core.c"


@custom(C, "bdev_disk_changed", "the parsers' first look at sector 0; no partition table is understood")
def bdev_disk_changed(disk: GenDisk, invalidate: bool) -> int:
    """``int bdev_disk_changed(struct gendisk *disk, bool invalidate)``: drops what is cached, then looks for a partition table.

    Return: 0; -ENXIO if the disk is gone; -EIO if its first sector cannot be read. Context: disk->open_mutex.
    """
    from kemu.linux.block.bdev import disk_live, invalidate_bdev, sync_blockdev  # noqa: PLC0415  (circle: block/bdev.c needs this)

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
