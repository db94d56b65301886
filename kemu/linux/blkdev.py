# SPDX-License-Identifier: GPL-2.0-only
"""Block devices and disks (include/linux/blkdev.h).

The code is where Linux has it: bdev and bdev_open (block/bdev.c), blk_fops (block/fops.c), genhd (block/genhd.c), blk_core (block/blk-core.c).
"""
from __future__ import annotations

from kemu.linux.bdev import (
    I_BDEV,
    bdev_dma_alignment,
    bdev_get_queue,
    bdev_is_partition,
    bdev_logical_block_size,
    bdev_nr_bytes,
    bdev_nr_sectors,
    bdev_stable_writes,
    bdev_validate_blocksize,
    blksize_bits,
    block_size,
    disk_live,
    file_bdev,
    get_order,
    invalidate_bdev,
    registry,
    sb_min_blocksize,
    sb_set_blocksize,
    set_blocksize,
    sync_blockdev,
)
from kemu.linux.bdev_open import (
    BLK_OPEN_EXCL,
    BLK_OPEN_NDELAY,
    BLK_OPEN_READ,
    BLK_OPEN_RESTRICT_WRITES,
    BLK_OPEN_WRITE,
    bd_abort_claiming,
    bd_prepare_to_claim,
    bdev_file_open_by_dev,
    bdev_file_open_by_path,
    bdev_fput,
    bdev_mark_dead,
    lookup_bdev,
)
from kemu.linux.bio import submit_bio, submit_bio_noacct
from kemu.linux.blk_core import bdev_read_only, blk_status_to_errno, blk_status_to_str, errno_to_blk_status
from kemu.linux.blk_fops import def_blk_fops
from kemu.linux.blk_plug import BlkPlug, blk_finish_plug, blk_start_plug
from kemu.linux.blk_types import SECTOR_SHIFT, SECTOR_SIZE, BlockDevice, bdev_whole, blk_holder_ops
from kemu.linux.genhd import (
    BLK_FEAT_NOWAIT,
    BLK_FEAT_SYNCHRONOUS,
    BLK_FEAT_WRITE_CACHE,
    GENHD_FL_HIDDEN,
    GENHD_FL_NO_PART,
    GENHD_FL_REMOVABLE,
    NUMA_NO_NODE,
    GenDisk,
    QueueLimits,
    RequestQueue,
    add_disk,
    blk_alloc_disk,
    blk_mark_disk_dead,
    blk_validate_block_size,
    block_device_operations,
    del_gendisk,
    device_add_disk,
    disk_devt,
    get_capacity,
    get_disk_ro,
    put_disk,
    register_blkdev,
    set_capacity,
    set_capacity_and_notify,
    set_disk_ro,
    unregister_blkdev,
)

__all__ = [
    "BLK_FEAT_NOWAIT", "BLK_FEAT_SYNCHRONOUS", "BLK_FEAT_WRITE_CACHE", "BLK_OPEN_EXCL", "BLK_OPEN_NDELAY", "BLK_OPEN_READ",
    "BLK_OPEN_RESTRICT_WRITES", "BLK_OPEN_WRITE", "BlkPlug", "BlockDevice", "GENHD_FL_HIDDEN", "GENHD_FL_NO_PART", "GENHD_FL_REMOVABLE", "GenDisk",
    "I_BDEV", "NUMA_NO_NODE", "QueueLimits", "RequestQueue", "SECTOR_SHIFT", "SECTOR_SIZE", "add_disk", "bd_abort_claiming",
    "bd_prepare_to_claim", "bdev_dma_alignment", "bdev_file_open_by_dev", "bdev_file_open_by_path", "bdev_fput", "bdev_get_queue",
    "bdev_is_partition", "bdev_logical_block_size", "bdev_mark_dead", "bdev_nr_bytes", "bdev_nr_sectors", "bdev_read_only", "bdev_stable_writes",
    "bdev_validate_blocksize", "bdev_whole", "blk_alloc_disk", "blk_finish_plug", "blk_holder_ops", "blk_mark_disk_dead", "blk_start_plug",
    "blk_status_to_errno", "blk_status_to_str", "blk_validate_block_size", "blksize_bits", "block_device_operations", "block_size",
    "def_blk_fops", "del_gendisk", "device_add_disk", "disk_devt", "disk_live", "errno_to_blk_status", "file_bdev", "get_capacity",
    "get_disk_ro", "get_order", "invalidate_bdev", "lookup_bdev", "put_disk", "register_blkdev", "registry", "sb_min_blocksize",
    "sb_set_blocksize", "set_blocksize", "set_capacity", "set_capacity_and_notify", "set_disk_ro", "submit_bio", "submit_bio_noacct",
    "sync_blockdev", "unregister_blkdev",
]
