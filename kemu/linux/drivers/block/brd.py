# SPDX-License-Identifier: GPL-2.0-only
"""The RAM disks of CONFIG_BLK_DEV_RAM, /dev/ram0 and so on: drivers/block/brd.c, whose pages are there once they were written."""
from __future__ import annotations

from typing import Any

from kemu.linux.blk_types import REQ_OP_MASK, REQ_OP_READ, REQ_OP_WRITE, SECTOR_SHIFT, Bio
from kemu.linux.block.bio import bio_endio
from kemu.linux.block.genhd import put_disk, register_blkdev, set_capacity
from kemu.linux.bvec import bvec_kmap_local
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EEXIST, EIO, ENOMEM
from kemu.linux.highmem import kunmap_local, memcpy_from_page, memcpy_to_page
from kemu.linux.include.bio import bio_advance_iter_single, bio_io_error, bio_iter_iovec
from kemu.linux.include.blkdev import (
    BLK_FEAT_NOWAIT,
    BLK_FEAT_SYNCHRONOUS,
    GenDisk,
    QueueLimits,
    add_disk,
    blk_alloc_disk,
    block_device_operations,
)
from kemu.linux.include.gfp import __GFP_ZERO, GFP_NOIO, alloc_page
from kemu.linux.include.init import __setup, device_initcall, only_if
from kemu.linux.include.mm import put_page
from kemu.linux.include.mutex import mutex, mutex_lock
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.kconfig import config_value
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.lib.kstrtox import kstrtoull
from kemu.linux.lib.string import memset
from kemu.linux.major import RAMDISK_MAJOR
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup, port_of
from kemu.linux.printk import pr_info
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.types import Ref
from kemu.machine.current import arch
from kemu.machine.statics import per_machine, statics

C = "drivers/block/brd.c"


@statics
class g:
    rd_size: int | None = None                      # None: CONFIG_BLK_DEV_RAM_SIZE
    brd_devices_mutex = per_machine(lambda: mutex("brd_devices_mutex"))
    brd_devices: list[brd_device] = []


@custom(C, "struct brd_device", "pages in a dict instead of an xarray")
class brd_device:
    """``struct brd_device``"""

    __slots__ = ("brd_disk", "brd_number", "brd_pages", "xa_lock")

    def __init__(self) -> None:
        self.xa_lock = spinlock_t("brd_pages.xa_lock")
        self.brd_number = 0
        self.brd_disk: GenDisk = None               # type: ignore[assignment]
        self.brd_pages: dict[int, Any] = {}         # page of the disk -> page


@custom(C, "brd_lookup_page", "takes the index of the page, and no reference: pages go with the disk")
def brd_lookup_page(brd: brd_device, index: int) -> Any:
    """``struct page *brd_lookup_page(struct brd_device *brd, sector_t sector)``: or None."""
    rcu_read_lock()
    page = brd.brd_pages.get(index)
    rcu_read_unlock()
    return page


@custom(C, "brd_insert_page", "takes the index of the page; None without memory")
def brd_insert_page(brd: brd_device, index: int) -> Any:
    """``struct page *brd_insert_page(struct brd_device *brd, sector_t sector, blk_opf_t opf)``: or the one that was there first.
    """
    page = alloc_page(GFP_NOIO | __GFP_ZERO)
    if page is None:
        return None
    spin_lock(brd.xa_lock)                          # xa_lock(&brd->brd_pages)
    ret = brd.brd_pages.setdefault(index, page)
    spin_unlock(brd.xa_lock)
    if ret is not page:
        put_page(page)
    return ret


@dup(C, "brd_rw_bvec")
def brd_rw_bvec(brd: brd_device, bio: Bio) -> bool:
    """``bool brd_rw_bvec(struct brd_device *brd, struct bio *bio)``: a segment within a page; false, and the bio has ended,
    without memory
    """
    bv = bio_iter_iovec(bio, bio.bi_iter)
    offset = bio.bi_iter.bi_sector << SECTOR_SHIFT & (arch.PAGE_SIZE - 1)
    index = bio.bi_iter.bi_sector >> (arch.PAGE_SHIFT - SECTOR_SHIFT)
    write = bio.bi_opf & REQ_OP_MASK == REQ_OP_WRITE

    bv.bv_len = min(bv.bv_len, arch.PAGE_SIZE - offset)

    page = brd_lookup_page(brd, index)
    if page is None and write:
        page = brd_insert_page(brd, index)
        if page is None:
            bio_io_error(bio)
            return False

    kaddr = bvec_kmap_local(bv)
    if write:
        assert page is not None
        memcpy_to_page(page, offset, kaddr, bv.bv_len)
    elif page is not None:
        memcpy_from_page(kaddr, page, offset, bv.bv_len)
    else:
        memset(kaddr, 0, bv.bv_len)
    kunmap_local(kaddr)

    bio_advance_iter_single(bio, bio.bi_iter, bv.bv_len)
    return True


@dup(C, "brd_submit_bio")
def brd_submit_bio(bio: Bio) -> None:
    """``void brd_submit_bio(struct bio *bio)``: reads and writes; nothing here discards"""
    brd: brd_device = bio.bi_bdev.bd_disk.private_data

    if bio.bi_opf & REQ_OP_MASK not in (REQ_OP_READ, REQ_OP_WRITE):
        bio_io_error(bio)
        return

    while True:
        if not brd_rw_bvec(brd, bio):
            return
        if not bio.bi_iter.bi_size:
            break

    bio_endio(bio)


brd_fops = block_device_operations(submit_bio=brd_submit_bio)


@__setup("ramdisk_size=", "CONFIG_BLK_DEV_RAM")
@dup(C, "ramdisk_size")
def ramdisk_size(str: str) -> int:
    """``int ramdisk_size(char *str)``: KiB of each disk"""
    out = Ref(0)
    err = kstrtoull(str, 0, out)
    if not err:
        g.rd_size = out.v
    return int(err == 0)


@port_of(C, "brd_find_or_alloc_device")
def brd_find_or_alloc_device(i: int) -> Any:
    """``struct brd_device *brd_find_or_alloc_device(int i)``: ERR_PTR() of -EEXIST, -ENOMEM"""
    mutex_lock(g.brd_devices_mutex)
    for brd in g.brd_devices:
        if brd.brd_number == i:
            mutex_unlock(g.brd_devices_mutex)
            return ERR_PTR(-EEXIST)

    brd = kzalloc_obj(brd_device)
    if brd is None:
        mutex_unlock(g.brd_devices_mutex)
        return ERR_PTR(-ENOMEM)
    brd.brd_number = i
    g.brd_devices.append(brd)
    mutex_unlock(g.brd_devices_mutex)
    return brd


@dup(C, "brd_free_device")
def brd_free_device(brd: brd_device) -> None:
    """``void brd_free_device(struct brd_device *brd)``"""
    mutex_lock(g.brd_devices_mutex)
    g.brd_devices.remove(brd)
    mutex_unlock(g.brd_devices_mutex)
    kfree(brd)


@dup(C, "brd_alloc")
def brd_alloc(i: int) -> int:
    """``int brd_alloc(int i)``: 0, -ENOMEM, what adding the disk says"""
    lim = QueueLimits(physical_block_size=arch.PAGE_SIZE, features=BLK_FEAT_SYNCHRONOUS | BLK_FEAT_NOWAIT)

    brd = brd_find_or_alloc_device(i)
    if IS_ERR(brd):
        return PTR_ERR(brd)

    disk = blk_alloc_disk(lim)
    if IS_ERR(disk):
        brd_free_device(brd)
        return PTR_ERR(disk)
    brd.brd_disk = disk
    disk.major = RAMDISK_MAJOR
    disk.first_minor = i
    disk.minors = 1
    disk.fops = brd_fops
    disk.private_data = brd
    disk.disk_name = f"ram{i}"
    set_capacity(disk, (config_value("CONFIG_BLK_DEV_RAM_SIZE", 4096) if g.rd_size is None else g.rd_size) * 2)

    err = add_disk(disk)
    if err:
        put_disk(disk)
        brd_free_device(brd)
        return err
    return 0


@only_if("CONFIG_BLK_DEV_RAM")
@device_initcall
@dup(C, "brd_init")
def brd_init() -> int:
    """``int brd_init(void)``: CONFIG_BLK_DEV_RAM_COUNT disks; -EIO if the major number is taken"""
    if register_blkdev(RAMDISK_MAJOR, "ramdisk"):
        pr_info("brd: module NOT loaded !!!\n")
        return -EIO

    for i in range(config_value("CONFIG_BLK_DEV_RAM_COUNT", 16)):
        brd_alloc(i)

    pr_info("brd: module loaded\n")
    return 0
