# SPDX-License-Identifier: GPL-2.0-only
"""Memory-backed block device of initerofs, as posted on 2025-12-31 (init/initerofs_blkdev.c of "[PATCH] Add initerofs for
EROFS-backed early rootfs").

Brought to 7.2, nothing else is changed.
"""
from __future__ import annotations

from kemu.linux.bio import REQ_OP_READ, Bio, bio_endio, bio_for_each_segment, bio_io_error, bio_op
from kemu.linux.blkdev import (
    BLK_MAX_SEGMENTS,
    NUMA_NO_NODE,
    GenDisk,
    QueueLimits,
    add_disk,
    blk_alloc_disk,
    block_device_operations,
    del_gendisk,
    put_disk,
    register_blkdev,
    set_capacity,
    set_disk_ro,
    unregister_blkdev,
)
from kemu.linux.bvec import bvec_kmap_local
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EEXIST
from kemu.linux.fs import Kstat
from kemu.linux.highmem import kunmap_local
from kemu.linux.init_syscalls import init_mkdir, init_stat, init_unlink
from kemu.linux.kdev_t import MAJOR, MINOR, MKDEV
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.printk import pr_err, pr_info
from kemu.linux.string import memcpy
from kemu.linux.types import NULL, UINT_MAX, u64, ulong

from initramfs.do_mounts_h import create_dev

POSTED = "2025-12-31"
P = "init/initerofs_blkdev.c"
INITEROFS_BLKDEV_NAME = "initerofs"
INITEROFS_SECTOR_SIZE = 512


@statics
class g:
    initerofs_major = 0
    initerofs_disk: GenDisk = NULL
    initerofs_data = 0
    initerofs_size = 0


@port_of(P, "initerofs_submit_bio", posted=POSTED)
def initerofs_submit_bio(bio: Bio) -> None:
    sector = bio.bi_iter.bi_sector

    # We only support reads
    if bio_op(bio) != REQ_OP_READ:
        bio_io_error(bio)
        return

    for bvec in bio_for_each_segment(bio):
        len_ = bvec.bv_len

        offset = ulong(sector * INITEROFS_SECTOR_SIZE)

        # Bounds check
        if ulong(offset + len_) > g.initerofs_size:
            bio_io_error(bio)
            return

        # Direct memory copy - no intermediate buffers needed
        dst = bvec_kmap_local(bvec)
        memcpy(dst, g.initerofs_data + offset, len_)
        kunmap_local(dst)

        sector = u64(sector + (len_ >> 9))

    bio_endio(bio)


initerofs_fops = block_device_operations(submit_bio=initerofs_submit_bio)


@port_of(P, "initerofs_blkdev_create", posted=POSTED)
def initerofs_blkdev_create(data: int, size: int) -> str:
    lim = QueueLimits(logical_block_size=INITEROFS_SECTOR_SIZE, physical_block_size=INITEROFS_SECTOR_SIZE,
                      max_hw_sectors=UINT_MAX,
                      max_segments=BLK_MAX_SEGMENTS)

    if not data or not size:
        return NULL

    g.initerofs_data = data
    g.initerofs_size = size

    # Register block device major number
    g.initerofs_major = register_blkdev(0, INITEROFS_BLKDEV_NAME)
    if g.initerofs_major < 0:
        return NULL

    # Allocate and configure the gendisk
    g.initerofs_disk = blk_alloc_disk(lim, NUMA_NO_NODE)
    if IS_ERR(g.initerofs_disk):
        unregister_blkdev(g.initerofs_major, INITEROFS_BLKDEV_NAME)
        return NULL

    g.initerofs_disk.major = g.initerofs_major
    g.initerofs_disk.first_minor = 0
    g.initerofs_disk.minors = 1
    g.initerofs_disk.fops = initerofs_fops
    g.initerofs_disk.disk_name = INITEROFS_BLKDEV_NAME

    # Set capacity in sectors
    set_capacity(g.initerofs_disk, size // INITEROFS_SECTOR_SIZE)

    # Mark as read-only
    set_disk_ro(g.initerofs_disk, True)

    # Add the disk to the system
    err = add_disk(g.initerofs_disk)
    if err:
        pr_err("initerofs: add_disk failed: %d\n", err)
        put_disk(g.initerofs_disk)
        unregister_blkdev(g.initerofs_major, INITEROFS_BLKDEV_NAME)
        return NULL

    pr_info("initerofs: block device registered, major=%d\n", g.initerofs_major)

    # Create /dev directory if it doesn't exist
    err = init_mkdir("/dev", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create /dev: %d\n", err)
        del_gendisk(g.initerofs_disk)
        put_disk(g.initerofs_disk)
        unregister_blkdev(g.initerofs_major, INITEROFS_BLKDEV_NAME)
        return NULL

    # Create the device node
    err = create_dev("/dev/" + INITEROFS_BLKDEV_NAME, MKDEV(g.initerofs_major, 0))
    if err:
        pr_err("initerofs: create_dev failed: %d\n", err)
        del_gendisk(g.initerofs_disk)
        put_disk(g.initerofs_disk)
        unregister_blkdev(g.initerofs_major, INITEROFS_BLKDEV_NAME)
        return NULL

    pr_info("initerofs: device node /dev/initerofs created (major %d, minor 0)\n", g.initerofs_major)

    # Verify the device node is accessible
    stat = Kstat()
    stat_err = init_stat("/dev/" + INITEROFS_BLKDEV_NAME, stat, 0)

    if stat_err:
        pr_err("initerofs: device node stat failed: %d\n", stat_err)
    else:
        pr_info("initerofs: device node verified: mode=%o rdev=%u:%u\n", stat.mode, MAJOR(stat.rdev), MINOR(stat.rdev))

    return "/dev/" + INITEROFS_BLKDEV_NAME


@port_of(P, "initerofs_blkdev_destroy", posted=POSTED)
def initerofs_blkdev_destroy() -> None:
    init_unlink("/dev/" + INITEROFS_BLKDEV_NAME)
    if g.initerofs_disk:
        del_gendisk(g.initerofs_disk)
        put_disk(g.initerofs_disk)
        g.initerofs_disk = NULL
    if g.initerofs_major > 0:
        unregister_blkdev(g.initerofs_major, INITEROFS_BLKDEV_NAME)
        g.initerofs_major = 0
