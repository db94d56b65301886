# SPDX-License-Identifier: GPL-2.0-only
"""Superblocks on block devices (fs/super.c, CONFIG_BLOCK)."""
from __future__ import annotations

from typing import Any

from kemu.linux.backing_dev import bdi_get
from kemu.linux.blk_types import blk_holder_ops
from kemu.linux.bug import BUG_ON
from kemu.linux.dcache import dget, shrink_dcache_sb
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EBUSY
from kemu.linux.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.super_types import SB_ACTIVE, SB_I_RETIRED, SB_I_STABLE_WRITES, SB_NOSEC, SB_RDONLY, SuperBlock
from kemu.linux.types import Ref
from kemu.linux.vfs import inode as _inode
from kemu.linux.vfs.fs_context import GET_TREE_BDEV_QUIET_LOOKUP, FsContext, errorf, invalf, warnf
from kemu.linux.vfs.super import (
    Fill,
    deactivate_locked_super,
    g,
    generic_shutdown_super,
    put_super,
    sget_fc,
    super_lock,
    super_unlock,
    sync_filesystem,
)
from kemu.machine.current import this


@custom("lib/vsprintf.c", "bdev_name", "%pg")
def bdev_name(bdev: Any) -> str:
    """The device's name, as ``%pg`` prints it."""
    name: str = bdev.bd_disk.disk_name
    partno = getattr(bdev, "bd_partno", 0)
    if partno:
        name += f"p{partno}" if name[-1:].isdigit() else str(partno)
    return name


def super_s_dev_set(s: SuperBlock, fc: FsContext) -> int:
    s.s_dev = fc.sget_key
    return 0


def super_s_dev_test(s: SuperBlock, fc: FsContext) -> bool:
    return not s.s_iflags & SB_I_RETIRED and s.s_dev == fc.sget_key


@dup("fs/super.c")
def sget_dev(fc: FsContext, dev: int) -> Any:
    """``struct super_block *sget_dev(struct fs_context *fc, dev_t dev)``: the superblock of a device, new or shared; see sget_fc()."""
    fc.sget_key = dev
    return sget_fc(fc, super_s_dev_test, super_s_dev_set)


def bdev_super_lock(bdev: Any, excl: bool) -> SuperBlock | None:
    """Lock the superblock that holds the device; None if it is not (or no longer) in use. bd_holder_lock is held and released."""
    from kemu.linux.mutex import mutex_unlock

    sb: SuperBlock = bdev.bd_holder
    sb.s_passive += 1
    if this.watch is not None:
        this.watch.ref("super", sb, 1)
    mutex_unlock(bdev.bd_holder_lock)
    locked = super_lock(sb, excl)
    put_super(sb)
    if not locked:
        return None
    if sb.s_root is None or not sb.s_flags & SB_ACTIVE:
        super_unlock(sb, excl)
        return None
    return sb


def fs_bdev_mark_dead(bdev: Any, surprise: bool) -> None:
    sb = bdev_super_lock(bdev, False)
    if sb is None:
        return
    if sb.s_op.remove_bdev is not None and not sb.s_op.remove_bdev(sb, bdev):
        super_unlock(sb, False)
        return
    if not surprise:
        sync_filesystem(sb)
    shrink_dcache_sb(sb)
    _inode.evict_inodes(sb)
    if sb.s_op.shutdown is not None:
        sb.s_op.shutdown(sb)
    super_unlock(sb, False)


def fs_bdev_sync(bdev: Any) -> None:
    sb = bdev_super_lock(bdev, False)
    if sb is not None:
        sync_filesystem(sb)
        super_unlock(sb, False)


fs_holder_ops = blk_holder_ops(mark_dead=fs_bdev_mark_dead, sync=fs_bdev_sync)


@dup("include/linux/blkdev.h")
def sb_open_mode(flags: int) -> int:
    """``sb_open_mode(flags)``: how a mount opens its device."""
    from kemu.linux.blkdev import BLK_OPEN_READ, BLK_OPEN_RESTRICT_WRITES, BLK_OPEN_WRITE

    return int(BLK_OPEN_READ | BLK_OPEN_RESTRICT_WRITES | (0 if flags & SB_RDONLY else BLK_OPEN_WRITE))


@dup("fs/super.c")
def setup_bdev_super(sb: SuperBlock, sb_flags: int, fc: FsContext | None) -> int:
    """``int setup_bdev_super(struct super_block *sb, int sb_flags, struct fs_context *fc)``: open the device sb->s_dev for this superblock.

    Devices are never frozen here. Return: 0; -EACCES for a read-only device mounted writable; what opening says.
    """
    from kemu.linux.blkdev import (
        BLK_OPEN_WRITE,
        bdev_file_open_by_dev,
        bdev_fput,
        bdev_read_only,
        block_size,
        file_bdev,
        sb_set_blocksize,
    )
    from kemu.linux.genhd import BLK_FEAT_STABLE_WRITES

    mode = sb_open_mode(sb_flags)
    bdev_file = bdev_file_open_by_dev(sb.s_dev, mode, sb, fs_holder_ops)
    if IS_ERR(bdev_file):
        if fc is not None:
            errorf(fc, "%s: Can't open blockdev", fc.source)
        return PTR_ERR(bdev_file)
    bdev = file_bdev(bdev_file)
    if mode & BLK_OPEN_WRITE and bdev_read_only(bdev):
        bdev_fput(bdev_file)
        return -EACCES
    spin_lock(g.sb_lock)
    sb.s_bdev_file = bdev_file
    sb.s_bdev = bdev
    sb.s_bdi = bdi_get(bdev.bd_disk.bdi)
    if bdev.bd_disk.queue.limits.features & BLK_FEAT_STABLE_WRITES:
        sb.s_iflags |= SB_I_STABLE_WRITES
    spin_unlock(g.sb_lock)
    sb.s_id = bdev_name(bdev)[:31]
    sb_set_blocksize(sb, block_size(bdev))
    return 0


@dup("fs/super.c")
def get_tree_bdev_flags(fc: FsContext, fill_super: Fill, flags: int) -> int:
    """``int get_tree_bdev_flags(struct fs_context *fc, int (*fill_super)(), unsigned int flags)``

    The superblock of the device fc->source; a mounted one is shared if it has the same read-only state. Return: 0; -EINVAL without source;
    what lookup_bdev() says (-ENOENT, -ENOTBLK, -EACCES; logged unless GET_TREE_BDEV_QUIET_LOOKUP); -EBUSY for another read-only state;
    what opening and ``fill_super`` say.
    """
    from kemu.linux.blkdev import lookup_bdev

    if fc.source is None:
        return invalf(fc, "No source specified")
    dev = Ref(0)
    error = lookup_bdev(fc.source, dev)
    if error:
        if not flags & GET_TREE_BDEV_QUIET_LOOKUP:
            errorf(fc, "%s: Can't lookup blockdev", fc.source)
        return int(error)
    fc.sb_flags |= SB_NOSEC
    s = sget_dev(fc, dev.v)
    if IS_ERR(s):
        return PTR_ERR(s)
    if s.s_root is not None:
        if (fc.sb_flags ^ s.s_flags) & SB_RDONLY:
            warnf(fc, "%s: Can't mount, would change RO state", bdev_name(s.s_bdev))
            deactivate_locked_super(s)
            return -EBUSY
    else:
        error = setup_bdev_super(s, fc.sb_flags, fc)
        if not error:
            error = fill_super(s, fc)
        if error:
            deactivate_locked_super(s)
            return error
        s.s_flags |= SB_ACTIVE
    BUG_ON(fc.root is not None)
    fc.root = dget(s.s_root)
    return 0


@dup("fs/super.c")
def get_tree_bdev(fc: FsContext, fill_super: Fill) -> int:
    """``int get_tree_bdev(struct fs_context *fc, int (*fill_super)())``"""
    return get_tree_bdev_flags(fc, fill_super, 0)


@dup("fs/super.c")
def kill_block_super(sb: SuperBlock) -> None:
    """``void kill_block_super(struct super_block *sb)``: ->kill_sb of file systems on a device."""
    bdev = sb.s_bdev
    generic_shutdown_super(sb)
    if bdev is not None:
        from kemu.linux.blkdev import bdev_fput, sync_blockdev

        sync_blockdev(bdev)
        bdev_fput(sb.s_bdev_file)
