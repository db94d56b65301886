# SPDX-License-Identifier: GPL-2.0-only
"""Opening and claiming block devices (the second half of block/bdev.c). Ports import it from kemu.linux.blkdev."""
from __future__ import annotations

from typing import Any

from kemu.linux.bdev import I_BDEV, disk_live, file_bdev, invalidate_bdev, kill_bdev, registry, set_init_blocksize, sync_blockdev
from kemu.linux.blk_core import GD_NEED_PART_SCAN, bdev_read_only
from kemu.linux.blk_types import BlockDevice, bdev_whole
from kemu.linux.bug import BUG_ON, WARN_ON_ONCE
from kemu.linux.cred import current_cred
from kemu.linux.dcache import d_alloc_pseudo, d_instantiate
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EACCES, EBUSY, EINVAL, EIO, ENOMEM, ENOTBLK, ENXIO
from kemu.linux.fcntl import O_LARGEFILE, O_NDELAY, O_RDONLY, O_RDWR, O_WRONLY
from kemu.linux.honesty import custom, dup
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.mount import mntget
from kemu.linux.mutex import mutex_lock, mutex_unlock
from kemu.linux.path import Path, path_put
from kemu.linux.printk import pr_warn
from kemu.linux.types import Ref
from kemu.linux.vfs.basic import QSTR
from kemu.linux.vfs.constants import FMODE_CAN_ODIRECT, FMODE_NOWAIT, FMODE_WRITE, FMODE_WRITE_RESTRICTED
from kemu.linux.vfs.file_table import alloc_empty_file_noaccount, file_init_path, fput
from kemu.linux.vfs.inode import ihold, ilookup, iput
from kemu.machine.current import this

C = "block/bdev.c"
H = "include/linux/blkdev.h"
BLK_OPEN_READ, BLK_OPEN_WRITE, BLK_OPEN_EXCL, BLK_OPEN_NDELAY, BLK_OPEN_WRITE_IOCTL, BLK_OPEN_RESTRICT_WRITES, BLK_OPEN_STRICT_SCAN = (
    1 << i for i in range(7))
S_IFMT, S_IFBLK = 0o170000, 0o060000


# ------------------------------------------------------------------------- claims

def _may_claim(bdev: BlockDevice, holder: Any, hops: Any) -> bool:
    """``bd_may_claim()``"""
    whole = bdev_whole(bdev)
    if bdev.bd_holder is not None:
        # The same holder can always re-claim.
        if bdev.bd_holder is holder:
            return not WARN_ON_ONCE(bdev.bd_holder_ops is not hops)
        return False
    # if the whole device's holder is _may_claim, a partition is claimed but not the whole device
    return whole is bdev or whole.bd_holder is None or whole.bd_holder is _may_claim


@dup(C)
def bd_prepare_to_claim(bdev: BlockDevice, holder: Any, hops: Any) -> int:
    """``int bd_prepare_to_claim(struct block_device *bdev, void *holder, const struct blk_holder_ops *hops)``: -EBUSY if another has it."""
    whole = bdev_whole(bdev)
    if WARN_ON_ONCE(holder is None):
        return -EINVAL
    reg = registry()
    while True:
        mutex_lock(reg.lock)
        if not _may_claim(bdev, holder, hops):
            mutex_unlock(reg.lock)
            return -EBUSY
        if whole.bd_claiming is None:
            break
        mutex_unlock(reg.lock)
        this.sched.block(reg.claim_waiters)
    whole.bd_claiming = holder
    mutex_unlock(reg.lock)
    return 0


def _clear_claiming(whole: BlockDevice, holder: Any) -> None:
    BUG_ON(whole.bd_claiming is not holder)
    whole.bd_claiming = None
    registry().claim_waiters.wake()


def _finish_claiming(bdev: BlockDevice, holder: Any, hops: Any) -> None:
    """``bd_finish_claiming()``"""
    whole = bdev_whole(bdev)
    reg = registry()
    mutex_lock(reg.lock)
    BUG_ON(not _may_claim(bdev, holder, hops))
    whole.bd_holders += 1
    whole.bd_holder = _may_claim
    bdev.bd_holders += 1
    mutex_lock(bdev.bd_holder_lock)
    bdev.bd_holder = holder
    bdev.bd_holder_ops = hops
    mutex_unlock(bdev.bd_holder_lock)
    _clear_claiming(whole, holder)
    mutex_unlock(reg.lock)


@dup(C)
def bd_abort_claiming(bdev: BlockDevice, holder: Any) -> None:
    """``void bd_abort_claiming(struct block_device *bdev, void *holder)``"""
    reg = registry()
    mutex_lock(reg.lock)
    _clear_claiming(bdev_whole(bdev), holder)
    mutex_unlock(reg.lock)


def _end_claim(bdev: BlockDevice, holder: Any) -> None:
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


# ------------------------------------------------------------------------- open and release

def _get_whole(bdev: BlockDevice, mode: int) -> int:
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
        from kemu.linux.genhd import bdev_disk_changed

        ret = bdev_disk_changed(disk, False)
        if ret and mode & BLK_OPEN_STRICT_SCAN:
            _put_whole(bdev)
            return ret
    return 0


def _put_whole(bdev: BlockDevice) -> None:
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
        from kemu.linux.genhd import blk_request_module

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
    from kemu.linux.genhd import put_disk

    put_disk(bdev.bd_disk)


def _may_open(bdev: BlockDevice, mode: int) -> bool:
    """``bdev_may_open()``: writing while a mount forbids it needs CONFIG_BLK_DEV_WRITE_MOUNTED."""
    if this.machine.config.get("CONFIG_BLK_DEV_WRITE_MOUNTED", True):
        return True
    if mode & BLK_OPEN_WRITE and bdev.bd_writers < 0:
        return False
    return not (mode & BLK_OPEN_RESTRICT_WRITES and bdev.bd_writers > 0)


@dup(C)
def bdev_open(bdev: BlockDevice, mode: int, holder: Any, hops: Any, bdev_file: Any) -> int:
    """``int bdev_open(struct block_device *bdev, blk_mode_t mode, void *holder, const struct blk_holder_ops *hops, struct file *bdev_file)``

    Return: 0; -EBUSY claimed by another holder, or writes are blocked; -ENXIO the disk is gone; -EIO; what the driver's open says.
    """
    disk = bdev.bd_disk
    if holder is not None:
        mode |= BLK_OPEN_EXCL
        ret = bd_prepare_to_claim(bdev, holder, hops)
        if ret:
            return ret
    elif WARN_ON_ONCE(mode & BLK_OPEN_EXCL):
        return -EIO
    mutex_lock(disk.open_mutex)
    ret = -ENXIO
    if disk_live(disk):
        ret = -EBUSY
        if _may_open(bdev, mode):
            ret = _get_whole(bdev_whole(bdev), mode)
    if ret:
        if holder is not None:
            bd_abort_claiming(bdev, holder)
        mutex_unlock(disk.open_mutex)
        return ret
    if not this.machine.config.get("CONFIG_BLK_DEV_WRITE_MOUNTED", True):       # bdev_claim_write_access()
        if mode & BLK_OPEN_RESTRICT_WRITES:
            bdev.bd_writers -= 1
        elif mode & BLK_OPEN_WRITE:
            bdev.bd_writers += 1
    if holder is not None:
        _finish_claiming(bdev, holder, hops)
    mutex_unlock(disk.open_mutex)
    bdev_file.f_flags |= O_LARGEFILE
    bdev_file.f_mode |= FMODE_CAN_ODIRECT
    if disk.nowait:
        bdev_file.f_mode |= FMODE_NOWAIT
    if mode & BLK_OPEN_RESTRICT_WRITES:
        bdev_file.f_mode |= FMODE_WRITE_RESTRICTED
    bdev_file.f_mapping = bdev.bd_mapping
    bdev_file.f_wb_err = bdev.bd_mapping.wb_err
    bdev_file.private_data = holder
    return 0


def _file_flags(mode: int) -> int:
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


def _alloc_file(inode: Any, flags: int) -> Any:
    """``alloc_file_pseudo_noaccount()`` with def_blk_fops: takes the inode reference, but not on failure."""
    from kemu.linux.blk_fops import def_blk_fops

    path = Path()
    mnt = registry().mnt
    path.dentry = d_alloc_pseudo(mnt.mnt_sb, QSTR(""))
    if path.dentry is None:
        return ERR_PTR(-ENOMEM)
    path.mnt = mntget(mnt)
    d_instantiate(path.dentry, inode)
    file = alloc_empty_file_noaccount(flags, current_cred())
    if IS_ERR(file):
        ihold(inode)
        path_put(path)
        return file
    file_init_path(file, path, def_blk_fops)
    return file


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
    file = _alloc_file(bdev.bd_inode, _file_flags(mode) | O_LARGEFILE)
    if IS_ERR(file):
        blkdev_put_no_open(bdev)
        return file
    ihold(bdev.bd_inode)
    ret = bdev_open(bdev, mode, holder, hops, file)
    if ret:
        # We failed to open the block device. Let ->release() know.
        file.private_data = ERR_PTR(ret)
        fput(file)
        return ERR_PTR(ret)
    return file


@custom(C, "lookup_bdev", "where nothing was booted, first by name among the disks, as if there were nodes for them")
def lookup_bdev(pathname: str | None, dev: Ref) -> int:
    """``int lookup_bdev(const char *pathname, dev_t *dev)``

    Return: 0; -EINVAL no name; -ENOENT; -ENOTBLK the path is no block device; -EACCES the mount forbids devices.
    """
    if not pathname:
        return -EINVAL
    name = pathname[5:] if pathname.startswith("/dev/") else pathname
    disk = registry().disks.get(name)
    if disk is not None and not this.machine.parts.get("booted"):
        dev.v = disk.part0.bd_dev
        return 0
    from kemu.linux.namei import LOOKUP_FOLLOW, kern_path
    from kemu.linux.vfs.open import may_open_dev

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


def _yield_write_access(bdev_file: Any, bdev: BlockDevice) -> None:
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
        _yield_write_access(bdev_file, bdev)
        if holder is not None and holder is not bdev.bd_inode:
            _end_claim(bdev, holder)
        _put_whole(bdev_whole(bdev))
        mutex_unlock(disk.open_mutex)
    blkdev_put_no_open(bdev)


@dup(C)
def bdev_fput(bdev_file: Any) -> None:
    """``void bdev_fput(struct file *bdev_file)``: gives up the claim at once; the file itself is put as any file, which may be later."""
    from kemu.linux.blk_fops import def_blk_fops

    if WARN_ON_ONCE(bdev_file.f_op is not def_blk_fops):
        return
    if bdev_file.private_data:
        bdev = file_bdev(bdev_file)
        disk = bdev.bd_disk
        mutex_lock(disk.open_mutex)
        _yield_write_access(bdev_file, bdev)
        if bdev_file.private_data is not bdev.bd_inode:
            _end_claim(bdev, bdev_file.private_data)
        bdev_file.private_data = bdev.bd_inode      # release() shall know that the claim is gone
        mutex_unlock(disk.open_mutex)
    fput(bdev_file)


@dup(C)
def bdev_mark_dead(bdev: BlockDevice, surprise: bool) -> None:
    """``void bdev_mark_dead(struct block_device *bdev, bool surprise)``: tells the holder, then drops what is cached and unused."""
    mutex_lock(bdev.bd_holder_lock)
    hops = bdev.bd_holder_ops
    if hops is not None and hops.mark_dead is not None:
        hops.mark_dead(bdev, surprise)              # unlocks bd_holder_lock
    else:
        mutex_unlock(bdev.bd_holder_lock)
        if not surprise:
            sync_blockdev(bdev)
    invalidate_bdev(bdev)


