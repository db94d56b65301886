# SPDX-License-Identifier: GPL-2.0-only
"""A RAM disk over a range of memory that is there already: what a block-device mount of an image in memory needs.

Not a port: drivers/block/brd.c allocates pages of its own. This one copies from the image, wherever it begins, and its capacity is the
image's size rounded up to 4 KiB, as a loop device over a padded file has it; the bytes of the padding read as zeros.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bio import REQ_OP_READ, Bio, bio_endio, bio_for_each_bvec, bio_io_error, bio_op
from kemu.linux.blkdev import (
    BLK_FEAT_SYNCHRONOUS,
    GENHD_FL_NO_PART,
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
from kemu.linux.bvec import bvec_virt
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.math import round_up
from kemu.linux.string import memcpy, memset

MEMDISK_PAD = 4096


class memdisk:
    """One disk: ``data`` the address of its first byte, ``size`` in bytes."""

    __slots__ = ("data", "size", "disk", "major")

    def __init__(self, data: int, size: int):
        self.data = data
        self.size = size
        self.disk: GenDisk | None = None
        self.major = 0


def memdisk_submit_bio(bio: Bio) -> None:
    md: memdisk = bio.bi_bdev.bd_disk.private_data
    pos = bio.bi_iter.bi_sector << 9

    if bio_op(bio) != REQ_OP_READ:
        bio_io_error(bio)
        return
    for bvec in bio_for_each_bvec(bio):
        dst, n = bvec_virt(bvec), bvec.bv_len
        have = min(n, max(md.size - pos, 0))
        memcpy(dst, md.data + pos, have)
        if have < n:
            memset(dst + have, 0, n - have)
        pos += n
    bio_endio(bio)


memdisk_fops = block_device_operations(submit_bio=memdisk_submit_bio)


def memdisk_create(name: str, data: int, size: int) -> Any:
    """A read-only disk ``name`` over [data, data + size). Return: a memdisk, or ERR_PTR (-ENOMEM, -EBUSY, what add_disk() says)."""
    md = memdisk(data, size)
    md.major = register_blkdev(0, name)
    if md.major < 0:
        return ERR_PTR(md.major)
    disk = blk_alloc_disk(QueueLimits(features=BLK_FEAT_SYNCHRONOUS), NUMA_NO_NODE)
    if IS_ERR(disk):
        unregister_blkdev(md.major, name)
        return disk
    disk.major = md.major
    disk.first_minor = 0
    disk.minors = 1
    disk.fops = memdisk_fops
    disk.flags |= GENHD_FL_NO_PART
    disk.private_data = md
    disk.disk_name = name
    set_capacity(disk, round_up(size, MEMDISK_PAD) >> 9 if size else 0)
    set_disk_ro(disk, True)
    err = add_disk(disk)
    if err:
        put_disk(disk)
        unregister_blkdev(md.major, name)
        return ERR_PTR(err)
    md.disk = disk
    return md


def memdisk_destroy(md: memdisk) -> None:
    """Remove the disk; superblocks that still use it get errors from then on."""
    name = md.disk.disk_name
    del_gendisk(md.disk)
    put_disk(md.disk)
    unregister_blkdev(md.major, name)


__all__ = ["MEMDISK_PAD", "memdisk", "memdisk_create", "memdisk_destroy"]
