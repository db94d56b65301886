# SPDX-License-Identifier: GPL-2.0-only
"""Block devices: their inodes, opening, claiming, the page cache behind them (block/bdev.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.blk_types import BD_HAS_SUBMIT_BIO, BlockDevice, bdev_whole
from kemu.linux.block.fops import def_blk_aops, def_blk_fops
from kemu.linux.block.genhd import blk_request_module, put_disk
from kemu.linux.block.partitions.core import bdev_disk_changed
from kemu.linux.bug import BUG_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EACCES, EBUSY, EINVAL, EIO, ENOMEM, ENOTBLK, ENXIO
from kemu.linux.fcntl import O_LARGEFILE, O_NDELAY, O_RDONLY, O_RDWR, O_WRONLY
from kemu.linux.fs.file_table import alloc_file_pseudo_noaccount, fput
from kemu.linux.fs.inode import ihold, ilookup, inode_just_drop, iput, new_inode
from kemu.linux.fs.libfs import init_pseudo
from kemu.linux.fs.namei import kern_path, may_open_dev, path_put
from kemu.linux.fs.namespace import kern_mount
from kemu.linux.fs.super import kill_anon_super
from kemu.linux.include.blkdev import (
    BLK_OPEN_EXCL,
    BLK_OPEN_NDELAY,
    BLK_OPEN_READ,
    BLK_OPEN_RESTRICT_WRITES,
    BLK_OPEN_STRICT_SCAN,
    BLK_OPEN_WRITE,
    BLK_OPEN_WRITE_IOCTL,
    GD_NEED_PART_SCAN,
    bdev_logical_block_size,
    bdev_read_only,
    bdev_stable_writes,
    blk_validate_block_size,
    blksize_bits,
)
from kemu.linux.include.buffer_head import invalidate_bh_lrus
from kemu.linux.include.fs.calls import (
    filemap_invalidate_lock,
    filemap_invalidate_unlock,
    inode_lock,
    inode_unlock,
    insert_inode_hash,
    remove_inode_hash,
)
from kemu.linux.include.fs.constants import FMODE_CAN_ODIRECT, FMODE_NOWAIT, FMODE_WRITE, FMODE_WRITE_RESTRICTED, FS_LBS
from kemu.linux.include.fs.types import FileSystemType, Inode
from kemu.linux.include.gfp import GFP_USER
from kemu.linux.include.mm import get_order
from kemu.linux.include.mutex import mutex, mutex_lock
from kemu.linux.include.namei import LOOKUP_FOLLOW
from kemu.linux.include.pagemap import mapping_set_folio_min_order, mapping_set_gfp_mask, mapping_set_stable_writes
from kemu.linux.include.path import Path
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MAJOR, MINOR
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.magic import BDEVFS_MAGIC
from kemu.linux.major import BLOCK_EXT_MAJOR
from kemu.linux.mm.truncate import invalidate_mapping_pages, truncate_inode_pages
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_warn
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.stat import S_IFBLK, S_IFMT
from kemu.linux.super_types import SB_I_CGROUPWB, SuperBlock, super_operations
from kemu.linux.types import Ref
from kemu.machine.boot import Boot
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelPanic

C = "block/bdev.c"



@dup(C, "bdev_inode")
class bdev_inode(Inode):
    """``struct bdev_inode``: a block_device and its inode."""

    __slots__ = ("bdev",)

    def __init__(self) -> None:
        super().__init__()
        self.bdev: BlockDevice = BlockDevice()


def bdev_alloc_inode(sb: SuperBlock) -> Inode | None:
    """``bdev_alloc_inode()``"""
    if this.chooser is not None and should_fail("failslab", "bdev_alloc_inode"):
        return None
    return bdev_inode()


def bdev_free_inode(inode: Inode) -> None:
    """``bdev_free_inode()``: after a grace period; a dynamic minor is free only now."""
    assert isinstance(inode, bdev_inode)
    dev = inode.bdev.bd_dev
    if MAJOR(dev) == BLOCK_EXT_MAJOR:
        registry().ext_minors.discard(MINOR(dev))


bdev_sops = super_operations(alloc_inode=bdev_alloc_inode, free_inode=bdev_free_inode, drop_inode=inode_just_drop)


def bd_init_fs_context(fc: Any) -> int:
    """``bd_init_fs_context()``"""
    ctx = init_pseudo(fc, BDEVFS_MAGIC)
    if ctx is None:
        return -ENOMEM
    fc.s_iflags |= SB_I_CGROUPWB
    ctx.ops = bdev_sops
    return 0


bd_type = FileSystemType(name="bdev", init_fs_context=bd_init_fs_context, kill_sb=kill_anon_super)


@dup(C)
def I_BDEV(inode: Any) -> BlockDevice:
    """``struct block_device *I_BDEV(struct inode *inode)``"""
    return inode.bdev                               # type: ignore[no-any-return]


@dup(C)
def file_bdev(bdev_file: Any) -> BlockDevice:
    """``struct block_device *file_bdev(struct file *bdev_file)``"""
    return bdev_file.f_mapping.host.bdev            # type: ignore[no-any-return]


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


@dup(C)
def set_init_blocksize(bdev: BlockDevice) -> None:
    """``static void set_init_blocksize(struct block_device *bdev)``: the largest power of two up to PAGE_SIZE that divides the
    size.
    """
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
    """``int bdev_validate_blocksize(struct block_device *bdev, int block_size)``: -EINVAL if no power of two from 512 on, or
    below the device's.
    """
    if blk_validate_block_size(block_size):
        return -EINVAL
    if block_size < bdev_logical_block_size(bdev):
        return -EINVAL
    return 0


@dup(C)
def set_blocksize(file: Any, size: int) -> int:
    """``int set_blocksize(struct file *file, int size)``: a change drops the page cache. -EINVAL for a bad size or without a
    claim.
    """
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


@custom(C, "blockdev_superblock", "with the tables of block/genhd.c")
class Registry:
    """The disks and block device numbers of one machine.

    ``listeners``: ``f("add" or "remove", disk)`` for who makes device nodes.
    """

    __slots__ = ("claim_waiters", "disks", "diskseq", "ext_minors", "listeners", "lock", "major_names_lock",
                 "major_names_spinlock", "majors", "mnt", "probes", "sb")

    def __init__(self) -> None:
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
    return this.machine.part(Registry)


@dup(C)
def bdev_alloc(disk: Any, partno: int) -> BlockDevice | None:
    """``struct block_device *bdev_alloc(struct gendisk *disk, u8 partno)``: None without memory."""
    inode = new_inode(registry().sb)
    if inode is None:
        return None
    assert isinstance(inode, bdev_inode)
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


def bd_may_claim(bdev: BlockDevice, holder: Any, hops: Any) -> bool:
    """``bd_may_claim()``"""
    whole = bdev_whole(bdev)
    if bdev.bd_holder is not None:
        # The same holder can always re-claim.
        if bdev.bd_holder is holder:
            return not WARN_ON_ONCE(bdev.bd_holder_ops is not hops)
        return False
    # if the whole device's holder is bd_may_claim, a partition is claimed but not the whole device
    return whole is bdev or whole.bd_holder is None or whole.bd_holder is bd_may_claim


@dup(C)
def bd_prepare_to_claim(bdev: BlockDevice, holder: Any, hops: Any) -> int:
    """``int bd_prepare_to_claim(struct block_device *bdev, void *holder, const struct blk_holder_ops *hops)``: -EBUSY if another
    has it.
    """
    whole = bdev_whole(bdev)
    if WARN_ON_ONCE(holder is None):
        return -EINVAL
    reg = registry()
    while True:
        mutex_lock(reg.lock)
        if not bd_may_claim(bdev, holder, hops):
            mutex_unlock(reg.lock)
            return -EBUSY
        if whole.bd_claiming is None:
            break
        mutex_unlock(reg.lock)
        this.sched.block(reg.claim_waiters)
    whole.bd_claiming = holder
    mutex_unlock(reg.lock)
    return 0


def bd_clear_claiming(whole: BlockDevice, holder: Any) -> None:
    BUG_ON(whole.bd_claiming is not holder)
    whole.bd_claiming = None
    registry().claim_waiters.wake()


def bd_finish_claiming(bdev: BlockDevice, holder: Any, hops: Any) -> None:
    """``bd_finish_claiming()``"""
    whole = bdev_whole(bdev)
    reg = registry()
    mutex_lock(reg.lock)
    BUG_ON(not bd_may_claim(bdev, holder, hops))
    whole.bd_holders += 1
    whole.bd_holder = bd_may_claim
    bdev.bd_holders += 1
    mutex_lock(bdev.bd_holder_lock)
    bdev.bd_holder = holder
    bdev.bd_holder_ops = hops
    mutex_unlock(bdev.bd_holder_lock)
    bd_clear_claiming(whole, holder)
    mutex_unlock(reg.lock)


@dup(C)
def bd_abort_claiming(bdev: BlockDevice, holder: Any) -> None:
    """``void bd_abort_claiming(struct block_device *bdev, void *holder)``"""
    reg = registry()
    mutex_lock(reg.lock)
    bd_clear_claiming(bdev_whole(bdev), holder)
    mutex_unlock(reg.lock)


def bd_end_claim(bdev: BlockDevice, holder: Any) -> None:
    """``bd_end_claim()``"""
    whole = bdev_whole(bdev)
    reg = registry()
    mutex_lock(reg.lock)
    WARN_ON_ONCE(bdev.bd_holder is not holder)
    bdev.bd_holders -= 1
    WARN_ON_ONCE(bdev.bd_holders < 0)
    whole.bd_holders -= 1
    WARN_ON_ONCE(whole.bd_holders < 0)
    if not bdev.bd_holders:
        mutex_lock(bdev.bd_holder_lock)
        bdev.bd_holder = None
        bdev.bd_holder_ops = None
        mutex_unlock(bdev.bd_holder_lock)
    if not whole.bd_holders:
        whole.bd_holder = None
    mutex_unlock(reg.lock)


def blkdev_get_whole(bdev: BlockDevice, mode: int) -> int:
    """``blkdev_get_whole()``"""
    disk = bdev.bd_disk
    if disk.fops.open is not None:
        ret = int(disk.fops.open(disk, mode))
        if ret:
            return ret
    if not bdev.bd_openers:
        set_init_blocksize(bdev)
    bdev.bd_openers += 1
    if disk.state & 1 << GD_NEED_PART_SCAN:
        ret = bdev_disk_changed(disk, False)
        if ret and mode & BLK_OPEN_STRICT_SCAN:
            blkdev_put_whole(bdev)
            return ret
    return 0


def blkdev_put_whole(bdev: BlockDevice) -> None:
    """``blkdev_put_whole()``"""
    bdev.bd_openers -= 1
    if not bdev.bd_openers:
        WARN_ON_ONCE(bdev.bd_holders)               # blkdev_flush_mapping()
        sync_blockdev(bdev)
        kill_bdev(bdev)
    if bdev.bd_disk.fops.release is not None:
        bdev.bd_disk.fops.release(bdev.bd_disk)


@dup(C)
def bdev_permission(dev: int, mode: int, holder: Any) -> int:
    """``int bdev_permission(dev_t dev, blk_mode_t mode, void *holder)``"""
    if mode & BLK_OPEN_RESTRICT_WRITES and holder is None:
        return -EINVAL
    if WARN_ON_ONCE(IS_ERR(holder)):            # ERR_PTR() is for who yields its claim
        return -EINVAL
    return 0


@dup(C)
def blkdev_get_no_open(dev: int, autoload: bool = True) -> BlockDevice | None:
    """``struct block_device *blkdev_get_no_open(dev_t dev, bool autoload)``: with a reference on the disk."""
    inode = ilookup(registry().sb, dev)
    if inode is None and autoload and IS_ENABLED("CONFIG_BLOCK_LEGACY_AUTOLOAD"):
        blk_request_module(dev)
        inode = ilookup(registry().sb, dev)
        if inode is not None:
            pr_warn("block device autoloading is deprecated and will be removed.\n")
    if inode is None:
        return None
    bdev = I_BDEV(inode)
    whole = bdev_whole(bdev)
    found = whole.bd_refs > 0
    if found:                                       # kobject_get_unless_zero()
        whole.bd_refs += 1
    iput(inode)
    return bdev if found else None


@dup(C)
def blkdev_put_no_open(bdev: BlockDevice) -> None:
    """``void blkdev_put_no_open(struct block_device *bdev)``"""
    put_disk(bdev.bd_disk)


def bdev_may_open(bdev: BlockDevice, mode: int) -> bool:
    """``bdev_may_open()``: writing while a mount forbids it needs CONFIG_BLK_DEV_WRITE_MOUNTED."""
    if this.machine.config.get("CONFIG_BLK_DEV_WRITE_MOUNTED", True):
        return True
    if mode & BLK_OPEN_WRITE and bdev.bd_writers < 0:
        return False
    return not (mode & BLK_OPEN_RESTRICT_WRITES and bdev.bd_writers > 0)


@dup(C)
def bdev_claim_write_access(bdev: BlockDevice, mode: int) -> None:
    """``static void bdev_claim_write_access(struct block_device *bdev, blk_mode_t mode)``"""
    if this.machine.config.get("CONFIG_BLK_DEV_WRITE_MOUNTED", True):           # bdev_allow_write_mounted
        return

    # Claim exclusive or shared write access.
    if mode & BLK_OPEN_RESTRICT_WRITES:
        bdev.bd_writers -= 1                                    # bdev_block_writes()
    elif mode & BLK_OPEN_WRITE:
        bdev.bd_writers += 1


@dup(C)
def bdev_open(bdev: BlockDevice, mode: int, holder: Any, hops: Any, bdev_file: Any) -> int:
    """``int bdev_open(struct block_device *bdev, blk_mode_t mode, void *holder, const struct blk_holder_ops *hops, struct file
    *bdev_file)``

    Return: 0; -EBUSY claimed by another holder, or writes are blocked; -ENXIO the disk is gone; -EIO; what the driver's open
    says.
    """
    disk = bdev.bd_disk
    labels = Labels()

    @labels.label
    def abort_claiming() -> None:
        if holder:
            bd_abort_claiming(bdev, holder)
        mutex_unlock(disk.open_mutex)

    if holder:
        mode |= BLK_OPEN_EXCL
        ret = bd_prepare_to_claim(bdev, holder, hops)
        if ret:
            return ret
    else:
        if WARN_ON_ONCE(mode & BLK_OPEN_EXCL):
            return -EIO

    mutex_lock(disk.open_mutex)
    if not disk_live(disk):
        return labels.goto(abort_claiming, -ENXIO)
    if not bdev_may_open(bdev, mode):
        return labels.goto(abort_claiming, -EBUSY)
    ret = blkdev_get_whole(bdev_whole(bdev), mode)
    if ret:
        return labels.goto(abort_claiming, ret)
    bdev_claim_write_access(bdev, mode)
    if holder:
        bd_finish_claiming(bdev, holder, hops)
    mutex_unlock(disk.open_mutex)

    bdev_file.f_flags |= O_LARGEFILE
    bdev_file.f_mode |= FMODE_CAN_ODIRECT
    if disk.nowait:                                             # bdev_nowait()
        bdev_file.f_mode |= FMODE_NOWAIT
    if mode & BLK_OPEN_RESTRICT_WRITES:
        bdev_file.f_mode |= FMODE_WRITE_RESTRICTED
    bdev_file.f_mapping = bdev.bd_mapping
    bdev_file.f_wb_err = bdev_file.f_mapping.wb_err             # filemap_sample_wb_err()
    bdev_file.private_data = holder

    return 0


def blk_to_file_flags(mode: int) -> int:
    """``blk_to_file_flags()``"""
    flags = 0
    if mode & (BLK_OPEN_READ | BLK_OPEN_WRITE) == BLK_OPEN_READ | BLK_OPEN_WRITE:
        flags = O_RDWR
    elif mode & BLK_OPEN_WRITE_IOCTL:
        flags = O_RDWR | O_WRONLY
    elif mode & BLK_OPEN_WRITE:
        flags = O_WRONLY
    elif mode & BLK_OPEN_READ:
        flags = O_RDONLY
    else:
        WARN_ON_ONCE(True)
    return flags | O_NDELAY if mode & BLK_OPEN_NDELAY else flags


@dup(C)
def bdev_file_open_by_dev(dev: int, mode: int, holder: Any, hops: Any = None) -> Any:
    """``struct file *bdev_file_open_by_dev(dev_t dev, blk_mode_t mode, void *holder, const struct blk_holder_ops *hops)``

    ``holder`` not None: exclusive. Return: ERR_PTR(-ENXIO) no such device, -EBUSY claimed, -ENOMEM, -EINVAL.
    """
    ret = bdev_permission(dev, mode, holder)
    if ret:
        return ERR_PTR(ret)
    bdev = blkdev_get_no_open(dev)
    if bdev is None:
        return ERR_PTR(-ENXIO)

    flags = blk_to_file_flags(mode)
    bdev_file = alloc_file_pseudo_noaccount(bdev.bd_inode, registry().mnt, "", flags | O_LARGEFILE, def_blk_fops)
    if IS_ERR(bdev_file):
        blkdev_put_no_open(bdev)
        return bdev_file
    ihold(bdev.bd_inode)

    ret = bdev_open(bdev, mode, holder, hops, bdev_file)
    if ret:
        # We failed to open the block device. Let ->release() know.
        bdev_file.private_data = ERR_PTR(ret)
        fput(bdev_file)
        return ERR_PTR(ret)
    return bdev_file


@dup(C)
def bdev_file_open_by_path(path: str, mode: int, holder: Any, hops: Any = None) -> Any:
    """``struct file *bdev_file_open_by_path(const char *path, blk_mode_t mode, void *holder, const struct blk_holder_ops *hops)``

    Return: see :func:`lookup_bdev` and :func:`bdev_file_open_by_dev`; -EACCES to write a read-only device.
    """
    dev = Ref(0)
    error = lookup_bdev(path, dev)
    if error:
        return ERR_PTR(error)
    file = bdev_file_open_by_dev(dev.v, mode, holder, hops)
    if not IS_ERR(file) and mode & BLK_OPEN_WRITE and bdev_read_only(file_bdev(file)):
        fput(file)
        return ERR_PTR(-EACCES)
    return file


def bdev_yield_write_access(bdev_file: Any, bdev: BlockDevice) -> None:
    """``bdev_yield_write_access()``"""
    if this.machine.config.get("CONFIG_BLK_DEV_WRITE_MOUNTED", True) or bdev_file.private_data is bdev.bd_inode:
        return
    if bdev_file.f_mode & FMODE_WRITE_RESTRICTED:
        bdev.bd_writers += 1
    elif bdev_file.f_mode & FMODE_WRITE:
        bdev.bd_writers -= 1


@dup(C)
def bdev_release(bdev_file: Any) -> None:
    """``void bdev_release(struct file *bdev_file)``: the last close drops the page cache."""
    holder = bdev_file.private_data
    bdev = file_bdev(bdev_file)
    disk = bdev.bd_disk
    # We failed to open that block device.
    if not IS_ERR(holder):
        mutex_lock(disk.open_mutex)
        bdev_yield_write_access(bdev_file, bdev)
        if holder is not None and holder is not bdev.bd_inode:
            bd_end_claim(bdev, holder)
        blkdev_put_whole(bdev_whole(bdev))
        mutex_unlock(disk.open_mutex)
    blkdev_put_no_open(bdev)


@dup(C)
def bdev_fput(bdev_file: Any) -> None:
    """``void bdev_fput(struct file *bdev_file)``: gives up the claim at once; the file itself is put as any file, which may be
    later.
    """
    if WARN_ON_ONCE(bdev_file.f_op is not def_blk_fops):
        return
    if bdev_file.private_data:
        bdev = file_bdev(bdev_file)
        disk = bdev.bd_disk
        mutex_lock(disk.open_mutex)
        bdev_yield_write_access(bdev_file, bdev)
        if bdev_file.private_data is not bdev.bd_inode:
            bd_end_claim(bdev, bdev_file.private_data)
        bdev_file.private_data = bdev.bd_inode      # release() shall know that the claim is gone
        mutex_unlock(disk.open_mutex)
    fput(bdev_file)


@custom(C, "lookup_bdev", "where nothing was booted, first by name among the disks, as if there were nodes for them")
def lookup_bdev(pathname: str | None, dev: Ref) -> int:
    """``int lookup_bdev(const char *pathname, dev_t *dev)``

    Return: 0; -EINVAL no name; -ENOENT; -ENOTBLK the path is no block device; -EACCES the mount forbids devices.
    """
    if not pathname:
        return -EINVAL
    name = pathname[5:] if pathname.startswith("/dev/") else pathname
    disk = registry().disks.get(name)
    if disk is not None and not this.machine.part(Boot).started:
        dev.v = disk.part0.bd_dev
        return 0
    path = Path()
    error = int(kern_path(pathname, LOOKUP_FOLLOW, path))
    if error:
        return error
    inode = path.dentry.d_inode
    if inode.i_mode & S_IFMT != S_IFBLK:
        error = -ENOTBLK
    elif not may_open_dev(path):
        error = -EACCES
    else:
        dev.v = inode.i_rdev
    path_put(path)
    return error


@dup(C)
def bdev_mark_dead(bdev: BlockDevice, surprise: bool) -> None:
    """``void bdev_mark_dead(struct block_device *bdev, bool surprise)``: tells the holder, then drops what is cached and unused.
    """
    mutex_lock(bdev.bd_holder_lock)
    hops = bdev.bd_holder_ops
    if hops is not None and hops.mark_dead is not None:
        hops.mark_dead(bdev, surprise)              # unlocks bd_holder_lock
    else:
        mutex_unlock(bdev.bd_holder_lock)
        if not surprise:
            sync_blockdev(bdev)
    invalidate_bdev(bdev)


@dup(C)
def disk_live(disk: Any) -> bool:
    """``bool disk_live(struct gendisk *disk)``"""
    return disk.part0.bd_inode.i_hash is not None


@dup(C)
def block_size(bdev: BlockDevice) -> int:
    """``unsigned int block_size(struct block_device *bdev)``: of its page cache's buffers."""
    return 1 << int(bdev.bd_inode.i_blkbits)
