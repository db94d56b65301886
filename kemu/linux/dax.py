# SPDX-License-Identifier: GPL-2.0-only
"""Reading files straight from a device's memory (include/linux/dax.h, drivers/dax/super.c, fs/dax.c): read() only, no mmap."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON, WARN_ON_ONCE
from kemu.linux.errno import EFAULT, EINTR, EINVAL, EIO, ENXIO, EOPNOTSUPP, ERANGE
from kemu.linux.genhd import BLK_FEAT_DAX
from kemu.linux.honesty import custom, dup, stub
from kemu.linux.iomap_types import (
    IOMAP_DAX,
    IOMAP_F_SHARED,
    IOMAP_HOLE,
    IOMAP_MAPPED,
    IOMAP_NOWAIT,
    IOMAP_UNWRITTEN,
    Iomap,
    IomapIter,
    iomap_iter,
    iomap_iter_advance,
    iomap_length,
    iomap_ops,
)
from kemu.linux.math import ALIGN
from kemu.linux.printk import pr_info
from kemu.linux.types import Ref
from kemu.linux.uio import IovIter, copy_to_iter, iov_iter_rw, iov_iter_zero
from kemu.linux.vfs.constants import IOCB_NOWAIT
from kemu.machine.current import NULL, arch, this

S = "drivers/dax/super.c"
F = "fs/dax.c"


@custom(S, "dax_device", "one run of the direct map")
class DaxDevice:
    """``struct dax_device``: ``size`` bytes at the page-aligned address ``base``. ``refs`` counts its users."""

    __slots__ = ("alive", "base", "holder_data", "holder_ops", "refs", "size")

    def __init__(self, base: int, size: int):
        self.base = base
        self.size = size
        self.alive = True
        self.refs = 1
        self.holder_data: Any = None
        self.holder_ops: Any = None


@dup(S)
def dax_add_host(dax_dev: DaxDevice, disk: Any) -> int:
    """``int dax_add_host(struct dax_device *dax_dev, struct gendisk *disk)``: 0."""
    this.machine.parts.setdefault("dax_hosts", {})[disk] = dax_dev
    disk.queue.limits.features |= BLK_FEAT_DAX
    return 0


@dup(S)
def dax_remove_host(disk: Any) -> None:
    """``void dax_remove_host(struct gendisk *disk)``"""
    this.machine.parts.get("dax_hosts", {}).pop(disk, None)


@custom(S, "kill_dax", "a flag; nobody reads it under SRCU")
def kill_dax(dax_dev: DaxDevice | None) -> None:
    """``void kill_dax(struct dax_device *dax_dev)``: every access fails from now on."""
    if dax_dev is not None:
        dax_dev.alive = False


@custom(S, "put_dax", "nothing is counted")
def put_dax(dax_dev: DaxDevice | None) -> None:
    """``void put_dax(struct dax_device *dax_dev)``"""
    if dax_dev is not None:
        dax_dev.refs -= 1
        WARN_ON(dax_dev.refs < 0)


@custom(S, "fs_dax_get_by_bdev", "a disk says whether it has direct access: no dax_device is looked up under SRCU")
def fs_dax_get_by_bdev(bdev: Any, start_off: Ref, holder: Any = None, ops: Any = None) -> DaxDevice:
    """``struct dax_device *fs_dax_get_by_bdev(struct block_device *bdev, u64 *start_off, void *holder, const struct dax_holder_operations *ops)``

    Return: None if the disk has no memory of its own, is not page aligned, or another holder has it. ``start_off``: bytes.
    """
    if not bdev.bd_disk.queue.limits.features & BLK_FEAT_DAX:
        return NULL             # type: ignore[no-any-return]
    start_off.v = bdev.bd_start_sect << 9
    part_size = bdev.bd_nr_sectors << 9
    if start_off.v % arch.PAGE_SIZE or part_size % arch.PAGE_SIZE:
        pr_info("%s: error: unaligned partition for dax\n", str(bdev))
        return NULL             # type: ignore[no-any-return]
    dax_dev: DaxDevice = this.machine.parts.get("dax_hosts", {}).get(bdev.bd_disk)
    if dax_dev is None or not dax_dev.alive:
        return NULL             # type: ignore[no-any-return]
    dax_dev.refs += 1
    if holder is not None:
        if dax_dev.holder_data is not None:
            return NULL             # type: ignore[no-any-return]
        dax_dev.holder_data = holder
        dax_dev.holder_ops = ops
    return dax_dev


@dup(S)
def fs_put_dax(dax_dev: DaxDevice | None, holder: Any = None) -> None:
    """``void fs_put_dax(struct dax_device *dax_dev, void *holder)``: None is fine."""
    if dax_dev is not None and holder is not None:
        dax_dev.holder_ops = None
        WARN_ON(dax_dev.holder_data is not None and dax_dev.holder_data is not holder)
        if dax_dev.holder_data is holder:
            dax_dev.holder_data = None
    put_dax(dax_dev)


@custom(S, "dax_direct_access", "gives (pages, address)")
def dax_direct_access(dax_dev: DaxDevice | None, pgoff: int, nr_pages: int) -> tuple[int, int]:
    """``long dax_direct_access(struct dax_device *dax_dev, pgoff_t pgoff, long nr_pages, mode, void **kaddr, unsigned long *pfn)``

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


@dup(F)
def dax_iomap_pgoff(iomap: Iomap, pos: int) -> int:
    """``static pgoff_t dax_iomap_pgoff(const struct iomap *iomap, loff_t pos)``"""
    return (iomap.addr + (pos & arch.PAGE_MASK) - iomap.offset & 0xFFFF_FFFF_FFFF_FFFF) >> arch.PAGE_SHIFT


@custom(F, "dax_iomap_iter", "reads only")
def dax_iomap_iter(iomi: IomapIter, iter_: IovIter) -> int:
    """``static int dax_iomap_iter(struct iomap_iter *iomi, struct iov_iter *iter)``"""
    iomap = iomi.iomap
    length = iomap_length(iomi)
    pos = iomi.pos
    end = min(pos + length, iomi.inode.i_size)
    if pos >= end:
        return 0
    if iomap.type in (IOMAP_HOLE, IOMAP_UNWRITTEN):
        return iomap_iter_advance(iomi, iov_iter_zero(min(length, end - pos), iter_))
    if WARN_ON_ONCE(iomap.type != IOMAP_MAPPED and not iomap.flags & IOMAP_F_SHARED):
        return -EIO
    ret = 0
    while iomi.pos < end:
        pos = iomi.pos
        offset = pos & (arch.PAGE_SIZE - 1)
        size = ALIGN(length + offset, arch.PAGE_SIZE)
        if this.task.pending_signal:
            return -EINTR
        map_len, kaddr = dax_direct_access(iomap.dax_dev, dax_iomap_pgoff(iomap, pos), size >> arch.PAGE_SHIFT)
        if map_len < 0:
            return -EIO if map_len == -133 else map_len         # dax_mem2blk_err(): EHWPOISON
        map_len = min((map_len << arch.PAGE_SHIFT) - offset, end - pos)
        xfer = copy_to_iter(kaddr + offset, map_len, iter_)
        ret = iomap_iter_advance(iomi, xfer)
        if not ret and xfer == 0:
            ret = -EFAULT
        if xfer < map_len:
            break
        length = iomap_length(iomi)
    return ret


@custom(F, "dax_iomap_rw", "reads only")
def dax_iomap_rw(iocb: Any, iter_: IovIter, ops: iomap_ops) -> int:
    """``ssize_t dax_iomap_rw(struct kiocb *iocb, struct iov_iter *iter, const struct iomap_ops *ops)``: bytes, or -errno if there were none."""
    iomi = IomapIter(iocb.ki_filp.f_mapping.host, iocb.ki_pos, iter_.count, IOMAP_DAX)
    if not iomi.len:
        return 0
    if iov_iter_rw(iter_):
        return -EOPNOTSUPP
    if iocb.ki_flags & IOCB_NOWAIT:
        iomi.flags |= IOMAP_NOWAIT
    while (ret := iomap_iter(iomi, ops)) > 0:
        iomi.status = dax_iomap_iter(iomi, iter_)
    done = iomi.pos - iocb.ki_pos
    iocb.ki_pos = iomi.pos
    return done if done else ret


@stub(F, how="nothing is ever mapped into user space")
def dax_break_layout_final(inode: Any) -> None:
    """``void dax_break_layout_final(struct inode *inode)``"""
