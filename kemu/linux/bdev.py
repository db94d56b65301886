# SPDX-License-Identifier: GPL-2.0-only
"""Block devices: their inodes, sizes and page cache (the first half of block/bdev.c). Ports import it from kemu.linux.blkdev."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_core import GD_DEAD
from kemu.linux.blk_types import BD_HAS_SUBMIT_BIO, BD_PARTNO, BlockDevice
from kemu.linux.buffer_head import block_invalidate_folio, block_read_full_folio, invalidate_bh_lrus
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EINVAL, EIO, ENOMEM
from kemu.linux.gfp import GFP_USER
from kemu.linux.honesty import custom, dup
from kemu.linux.iomap_bio import iomap_bio_read_folio, iomap_bio_readahead
from kemu.linux.iomap_buffered import iomap_invalidate_folio, iomap_is_partially_uptodate, iomap_release_folio
from kemu.linux.iomap_types import IOMAP_MAPPED, Iomap, iomap_ops
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MAJOR, MINOR
from kemu.linux.mapping import (
    filemap_invalidate_lock,
    filemap_invalidate_unlock,
    mapping_set_folio_min_order,
    mapping_set_gfp_mask,
    mapping_set_stable_writes,
)
from kemu.linux.mpage import mpage_readahead
from kemu.linux.mutex import mutex
from kemu.linux.printk import pr_warn
from kemu.linux.pseudo_fs import init_pseudo
from kemu.linux.readahead import ReadaheadControl
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.super_types import SB_I_CGROUPWB, SuperBlock, super_operations
from kemu.linux.truncate import invalidate_mapping_pages, truncate_inode_pages
from kemu.linux.vfs.constants import FS_LBS
from kemu.linux.vfs.inode import inode_just_drop, insert_inode_hash, iput, new_inode, remove_inode_hash
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.super import kill_anon_super
from kemu.linux.vfs.types import FileSystemType, Inode, address_space_operations
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.pages import Page
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelPanic

C = "block/bdev.c"
H = "include/linux/blkdev.h"
S_IFBLK = 0o060000
BDEVFS_MAGIC = 0x62646576
BLOCK_EXT_MAJOR = 259


@custom(C, "blockdev_superblock", "with the tables of block/genhd.c")
class Registry:
    """The disks and block device numbers of one machine.

    ``listeners``: ``f("add" or "remove", disk)`` for who makes device nodes.
    """

    __slots__ = ("claim_waiters", "disks", "diskseq", "ext_minors", "listeners", "lock", "major_names_lock", "major_names_spinlock", "majors", "mnt", "probes", "sb")

    def __init__(self) -> None:
        from kemu.linux.mount import kern_mount

        self.disks: dict[str, Any] = {}
        self.majors: dict[int, str] = {BLOCK_EXT_MAJOR: "blkext"}          # genhd_device_init()
        self.probes: dict[int, Callable[[int], None]] = {}
        self.ext_minors: set[int] = set()
        self.listeners: list[Callable[[str, Any], None]] = []
        self.diskseq = 0
        self.lock = mutex()                         # bdev_lock
        self.major_names_lock = mutex("major_names_lock")
        self.major_names_spinlock = spinlock_t("major_names_spinlock")
        self.claim_waiters = WaitQueue("a claim of a block device")
        # bdev_cache_init(): part of the boot, of which nothing fails and nothing is leaked
        before = this.chooser, this.watch
        this.chooser = this.watch = None
        try:
            self.mnt = kern_mount(bd_type)
        finally:
            this.chooser, this.watch = before
        if IS_ERR(self.mnt):
            raise KernelPanic("Kernel panic - not syncing: Cannot create bdev pseudo-fs", function="bdev_cache_init")
        self.sb: SuperBlock = self.mnt.mnt_sb       # blockdev_superblock


@custom(C, "blockdev_superblock", "the machine's tables of disks, majors and minors")
def registry() -> Registry:
    """The current machine's :class:`Registry`."""
    reg = this.machine.parts.get("blkdev")
    if reg is None:
        reg = this.machine.parts["blkdev"] = Registry()
    return reg                                      # type: ignore[no-any-return]


# ------------------------------------------------------------------------- the inode

@dup(C, "bdev_inode")
class BdevInode(Inode):
    """``struct bdev_inode``: a block_device and its inode."""

    __slots__ = ("bdev",)

    def __init__(self) -> None:
        super().__init__()
        self.bdev: BlockDevice = BlockDevice()


def _alloc_inode(sb: SuperBlock) -> Inode | None:
    """``bdev_alloc_inode()``"""
    if this.chooser is not None and should_fail("failslab", "bdev_alloc_inode"):
        return None
    return BdevInode()


def _free_inode(inode: Inode) -> None:
    """``bdev_free_inode()``: after a grace period; a dynamic minor is free only now."""
    assert isinstance(inode, BdevInode)
    dev = inode.bdev.bd_dev
    if MAJOR(dev) == BLOCK_EXT_MAJOR:
        registry().ext_minors.discard(MINOR(dev))


bdev_sops = super_operations(alloc_inode=_alloc_inode, free_inode=_free_inode, drop_inode=inode_just_drop)


def _init_fs_context(fc: Any) -> int:
    """``bd_init_fs_context()``"""
    ctx = init_pseudo(fc, BDEVFS_MAGIC)
    if ctx is None:
        return -ENOMEM
    fc.s_iflags |= SB_I_CGROUPWB
    ctx.ops = bdev_sops
    return 0


bd_type = FileSystemType(name="bdev", init_fs_context=_init_fs_context, kill_sb=kill_anon_super)


@dup(C)
def I_BDEV(inode: Any) -> BlockDevice:
    """``struct block_device *I_BDEV(struct inode *inode)``"""
    return inode.bdev                               # type: ignore[no-any-return]


@dup(C)
def file_bdev(bdev_file: Any) -> BlockDevice:
    """``struct block_device *file_bdev(struct file *bdev_file)``"""
    return bdev_file.f_mapping.host.bdev            # type: ignore[no-any-return]


def _get_block(inode: Any, iblock: int, bh: Any, create: int) -> int:
    """``blkdev_get_block()``"""
    bh.b_bdev = inode.bdev
    bh.b_blocknr = iblock
    bh.b_state |= 1 << 4                            # set_buffer_mapped()
    return 0


@dup("block/fops.c")
def blkdev_read_folio(file: Any, folio: Page) -> int:
    """``static int blkdev_read_folio(struct file *file, struct folio *folio)``, with CONFIG_BUFFER_HEAD."""
    return block_read_full_folio(folio, _get_block)


@dup("block/fops.c")
def blkdev_readahead(rac: ReadaheadControl) -> None:
    """``static void blkdev_readahead(struct readahead_control *rac)``, with CONFIG_BUFFER_HEAD."""
    mpage_readahead(rac, _get_block)


buffer_head_aops = address_space_operations(read_folio=blkdev_read_folio, readahead=blkdev_readahead, invalidate_folio=block_invalidate_folio)


@dup("block/fops.c")
def blkdev_iomap_begin(inode: Any, offset: int, length: int, flags: int, iomap: Iomap, srcmap: Iomap) -> int:
    """``static int blkdev_iomap_begin(inode, offset, length, flags, iomap, srcmap)``: the device from ``offset`` on; -EIO behind its end."""
    bdev: BlockDevice = inode.bdev
    isize = inode.i_size
    if offset >= isize:
        return -EIO
    iomap.bdev = bdev
    iomap.offset = offset & -bdev_logical_block_size(bdev)
    iomap.type = IOMAP_MAPPED
    iomap.addr = iomap.offset
    iomap.length = isize - iomap.offset
    # IOMAP_F_BUFFER_HEAD is 0 where this is used: without CONFIG_BUFFER_HEAD
    return 0


blkdev_iomap_ops = iomap_ops(iomap_begin=blkdev_iomap_begin)


def _iomap_read_folio(file: Any, folio: Page) -> int:
    """``blkdev_read_folio()`` without CONFIG_BUFFER_HEAD: a folio that reaches behind the end of the device is an error."""
    iomap_bio_read_folio(folio, blkdev_iomap_ops)
    return 0


def _iomap_readahead(rac: ReadaheadControl) -> None:
    """``blkdev_readahead()`` without CONFIG_BUFFER_HEAD"""
    iomap_bio_readahead(rac, blkdev_iomap_ops)


iomap_aops = address_space_operations(read_folio=_iomap_read_folio, readahead=_iomap_readahead, release_folio=iomap_release_folio,
                                      invalidate_folio=iomap_invalidate_folio, is_partially_uptodate=iomap_is_partially_uptodate)


@custom("block/fops.c", "def_blk_aops", "a function, because CONFIG_BUFFER_HEAD is a parameter of the machine")
def def_blk_aops() -> address_space_operations:
    """``def_blk_aops``: with CONFIG_BUFFER_HEAD (any of ext4, fat, isofs, ... selects it) reading behind the end gives zeros, without it -EIO."""
    return buffer_head_aops if IS_ENABLED("CONFIG_BUFFER_HEAD") else iomap_aops


@dup(C)
def bdev_alloc(disk: Any, partno: int) -> BlockDevice | None:
    """``struct block_device *bdev_alloc(struct gendisk *disk, u8 partno)``: None without memory."""
    inode = new_inode(registry().sb)
    if inode is None:
        return None
    assert isinstance(inode, BdevInode)
    inode.i_mode = S_IFBLK
    inode.i_data.a_ops = def_blk_aops()
    mapping_set_gfp_mask(inode.i_data, GFP_USER)
    bdev = inode.bdev
    bdev.bd_inode = inode
    bdev.bd_flags = partno
    bdev.bd_mapping = inode.i_data
    bdev.bd_queue = disk.queue
    bdev.bd_holder_lock = mutex("bdev->bd_holder_lock")
    if partno:
        bdev.bd_flags |= disk.part0.bd_flags & BD_HAS_SUBMIT_BIO
    bdev.bd_disk = disk
    return bdev


@dup(C)
def bdev_set_nr_sectors(bdev: BlockDevice, sectors: int) -> None:
    """``void bdev_set_nr_sectors(struct block_device *bdev, sector_t sectors)``: i_size follows."""
    spin_lock(bdev.bd_size_lock)
    bdev.bd_inode.i_size = sectors << 9
    bdev.bd_nr_sectors = sectors
    spin_unlock(bdev.bd_size_lock)


@dup(C)
def bdev_add(bdev: BlockDevice, dev: int) -> None:
    """``void bdev_add(struct block_device *bdev, dev_t dev)``: can be found by number from now on."""
    inode = bdev.bd_inode
    if bdev_stable_writes(bdev):
        mapping_set_stable_writes(bdev.bd_mapping)
    bdev.bd_dev = dev
    inode.i_rdev = dev
    inode.i_ino = dev
    insert_inode_hash(inode)


@dup(C)
def bdev_unhash(bdev: BlockDevice) -> None:
    """``void bdev_unhash(struct block_device *bdev)``"""
    remove_inode_hash(bdev.bd_inode)


@dup(C)
def bdev_drop(bdev: BlockDevice) -> None:
    """``void bdev_drop(struct block_device *bdev)``"""
    iput(bdev.bd_inode)


@dup(C)
def disk_live(disk: Any) -> bool:
    """``bool disk_live(struct gendisk *disk)``"""
    return disk.part0.bd_inode.i_hash is not None


# ------------------------------------------------------------------------- sizes

@dup(H)
def bdev_nr_sectors(bdev: BlockDevice) -> int:
    """``sector_t bdev_nr_sectors(struct block_device *bdev)``"""
    return bdev.bd_nr_sectors


@dup(H)
def bdev_nr_bytes(bdev: BlockDevice) -> int:
    """``loff_t bdev_nr_bytes(struct block_device *bdev)``"""
    return bdev.bd_nr_sectors << 9


@dup(H)
def bdev_logical_block_size(bdev: BlockDevice) -> int:
    """``unsigned int bdev_logical_block_size(struct block_device *bdev)``"""
    return bdev.bd_queue.limits.logical_block_size  # type: ignore[no-any-return]


@dup(H)
def bdev_dma_alignment(bdev: BlockDevice) -> int:
    """``int bdev_dma_alignment(struct block_device *bdev)``: a mask."""
    return bdev.bd_queue.limits.dma_alignment       # type: ignore[no-any-return]


@dup(H)
def bdev_get_queue(bdev: BlockDevice) -> Any:
    """``struct request_queue *bdev_get_queue(struct block_device *bdev)``"""
    return bdev.bd_queue


@dup(H)
def bdev_stable_writes(bdev: BlockDevice) -> bool:
    """``bool bdev_stable_writes(struct block_device *bdev)``: pages must not change while they are written."""
    return bool(bdev.bd_queue.limits.features & 32)             # BLK_FEAT_STABLE_WRITES


@dup(H)
def blksize_bits(size: int) -> int:
    """``unsigned int blksize_bits(unsigned int size)``"""
    return size.bit_length() - 1


@dup("include/asm-generic/getorder.h")
def get_order(size: int) -> int:
    """``int get_order(unsigned long size)``"""
    return max((size - 1).bit_length() - arch.PAGE_SHIFT, 0)


@dup(C)
def block_size(bdev: BlockDevice) -> int:
    """``unsigned int block_size(struct block_device *bdev)``: of its page cache's buffers."""
    return 1 << int(bdev.bd_inode.i_blkbits)


@dup(C)
def set_init_blocksize(bdev: BlockDevice) -> None:
    """``static void set_init_blocksize(struct block_device *bdev)``: the largest power of two up to PAGE_SIZE that divides the size."""
    bsize = bdev_logical_block_size(bdev)
    size = bdev.bd_inode.i_size
    while bsize < arch.PAGE_SIZE:
        if size & bsize:
            break
        bsize <<= 1
    bdev.bd_inode.i_blkbits = blksize_bits(bsize)
    mapping_set_folio_min_order(bdev.bd_mapping, get_order(bsize))


@dup(C)
def bdev_validate_blocksize(bdev: BlockDevice, block_size: int) -> int:
    """``int bdev_validate_blocksize(struct block_device *bdev, int block_size)``: -EINVAL if no power of two from 512 on, or below the device's."""
    from kemu.linux.genhd import blk_validate_block_size

    if blk_validate_block_size(block_size):
        return -EINVAL
    if block_size < bdev_logical_block_size(bdev):
        return -EINVAL
    return 0


@dup(C)
def set_blocksize(file: Any, size: int) -> int:
    """``int set_blocksize(struct file *file, int size)``: a change drops the page cache. -EINVAL for a bad size or without a claim."""
    inode = file.f_mapping.host
    bdev: BlockDevice = inode.bdev
    ret = bdev_validate_blocksize(bdev, size)
    if ret:
        return ret
    if not file.private_data:
        return -EINVAL
    # Don't change the size if it is same as current
    if inode.i_blkbits != blksize_bits(size):
        # no reader may have a folio of the old size while the smallest changes
        inode_lock(inode)
        filemap_invalidate_lock(inode.i_mapping)

        sync_blockdev(bdev)
        kill_bdev(bdev)

        inode.i_blkbits = blksize_bits(size)
        mapping_set_folio_min_order(inode.i_mapping, get_order(size))
        filemap_invalidate_unlock(inode.i_mapping)
        inode_unlock(inode)
    return 0


@dup(C)
def sb_set_blocksize(sb: Any, size: int) -> int:
    """``int sb_set_blocksize(struct super_block *sb, int size)``: the size; 0 if the device or the page size forbids it."""
    if size > arch.PAGE_SIZE:
        err_str = ""
        if not sb.s_type.fs_flags & FS_LBS:
            err_str = "not supported by filesystem"
        elif not this.machine.config.get("CONFIG_TRANSPARENT_HUGEPAGE", True):
            err_str = "is only supported with CONFIG_TRANSPARENT_HUGEPAGE"
        if err_str:
            pr_warn("%s: block size(%d) > page size(%lu) %s\n", sb.s_type.name, size, arch.PAGE_SIZE, err_str)
            return 0
    if set_blocksize(sb.s_bdev_file, size):
        return 0
    sb.s_blocksize = size
    sb.s_blocksize_bits = blksize_bits(size)
    return size


@dup(C)
def sb_min_blocksize(sb: Any, size: int) -> int:
    """``int sb_min_blocksize(struct super_block *sb, int size)``"""
    return sb_set_blocksize(sb, max(size, bdev_logical_block_size(sb.s_bdev)))


@custom(C, "sync_blockdev", "nothing is ever dirty")
def sync_blockdev(bdev: BlockDevice) -> int:
    """``int sync_blockdev(struct block_device *bdev)``: 0."""
    return 0


@dup(C)
def kill_bdev(bdev: BlockDevice) -> None:
    """``static void kill_bdev(struct block_device *bdev)``: drops all of the page cache."""
    if bdev.bd_mapping.i_pages:
        invalidate_bh_lrus()
        truncate_inode_pages(bdev.bd_mapping, 0)


@dup(C)
def invalidate_bdev(bdev: BlockDevice) -> None:
    """``void invalidate_bdev(struct block_device *bdev)``: drops what is clean and unused."""
    if bdev.bd_mapping.nrpages:
        invalidate_bh_lrus()
        invalidate_mapping_pages(bdev.bd_mapping, 0, -1)


@dup(H)
def bdev_is_partition(bdev: BlockDevice) -> bool:
    """``bool bdev_is_partition(struct block_device *bdev)``"""
    return bool(bdev.bd_flags & BD_PARTNO)


@dup(H)
def bdev_is_dead(bdev: BlockDevice) -> bool:
    """``test_bit(GD_DEAD, &bdev->bd_disk->state)``"""
    return bool(bdev.bd_disk.state & 1 << GD_DEAD)


__all__ = ["BdevInode", "I_BDEV", "Registry", "bdev_add", "bdev_alloc", "bdev_dma_alignment", "bdev_drop", "bdev_get_queue", "bdev_is_dead",
           "bdev_is_partition", "bdev_logical_block_size", "bdev_nr_bytes", "bdev_nr_sectors", "bdev_set_nr_sectors", "bdev_stable_writes", "bdev_unhash",
           "bdev_validate_blocksize", "blkdev_read_folio", "blkdev_readahead", "blksize_bits", "block_size", "def_blk_aops", "disk_live",
           "file_bdev", "get_order", "invalidate_bdev", "kill_bdev", "registry", "sb_min_blocksize", "sb_set_blocksize", "set_blocksize",
           "set_init_blocksize", "sync_blockdev"]
