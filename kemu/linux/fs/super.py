# SPDX-License-Identifier: GPL-2.0-only
"""Superblocks: sget, get_tree, shutting down (fs/super.c)."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kemu.linux.blk_types import blk_holder_ops
from kemu.linux.bug import BUG, BUG_ON, WARN, WARN_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EBUSY, EINVAL, EMFILE, ENOMEM, EPERM
from kemu.linux.fs.dcache import shrink_dcache_for_umount, shrink_dcache_sb
from kemu.linux.fs.filesystems import get_filesystem, put_filesystem
from kemu.linux.fs.inode import evict_inodes
from kemu.linux.fs.sync import sync_filesystem
from kemu.linux.include.backing_dev import bdi_get, noop_backing_dev_info
from kemu.linux.include.blkdev import BLK_FEAT_STABLE_WRITES, BLK_OPEN_WRITE, bdev_read_only, sb_open_mode
from kemu.linux.include.cred import CAP_SYS_ADMIN, capable, init_user_ns, ns_capable
from kemu.linux.include.dcache import dget
from kemu.linux.include.fs.constants import FS_USERNS_DELEGATABLE, FS_USERNS_MOUNT
from kemu.linux.include.fs.types import FileSystemType
from kemu.linux.include.fs_context import GET_TREE_BDEV_QUIET_LOOKUP, FsContext, errorf, errorfc, invalf, warnf, warnfc
from kemu.linux.include.mount import MS_RMT_MASK
from kemu.linux.include.mutex import mutex
from kemu.linux.include.rcupdate import call_rcu, rcu_head
from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.kdev_t import MINORBITS
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.kernel.locking.rwsem import down_read, down_read_trylock, down_write, up_read, up_write
from kemu.linux.lib.vsprintf import bdev_name
from kemu.linux.mm.backing_dev import bdi_alloc, bdi_put, bdi_register, bdi_unregister
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_err
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.super_types import (
    SB_ACTIVE,
    SB_BORN,
    SB_DEAD,
    SB_DYING,
    SB_FORCE,
    SB_I_NODEV,
    SB_I_PERSB_BDI,
    SB_I_RETIRED,
    SB_I_STABLE_WRITES,
    SB_NOSEC,
    SB_RDONLY,
    SuperBlock,
)
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.statics import per_machine, statics

C = "fs/super.c"

Test = Callable[[SuperBlock, FsContext], Any]
Fill = Callable[[SuperBlock, FsContext], int]

@statics
class g:
    sb_lock = per_machine(lambda: spinlock_t("sb_lock"))
    super_blocks: dict[SuperBlock, None] = {}                       # a list: in order, and quick to take one out
    fs_supers: dict[FileSystemType, list[SuperBlock]] = {}
    unnamed_dev_ida = [True]                                        # which numbers are taken: 0 is
    bdi_seq = 0


def _wait(sb: SuperBlock, flags: int) -> None:
    while not sb.s_flags & flags:
        this.sched.block(sb.waiters)


def super_lock(sb: SuperBlock, excl: bool) -> bool:
    """Wait until the superblock is born and lock it; False, without the lock, if it is dying. The caller has a passive reference.
    """
    _wait(sb, SB_BORN | SB_DYING)
    if sb.s_flags & SB_DYING:
        return False
    if excl:
        down_write(sb.s_umount)
    else:
        down_read(sb.s_umount)
    if sb.s_flags & SB_DYING:
        if excl:
            up_write(sb.s_umount)
        else:
            up_read(sb.s_umount)
        return False
    WARN_ON(not sb.s_flags & SB_BORN)
    return True


def super_unlock(sb: SuperBlock, excl: bool) -> None:
    if excl:
        up_write(sb.s_umount)
    else:
        up_read(sb.s_umount)


def super_wake(sb: SuperBlock, flag: int) -> None:
    WARN_ON_ONCE(flag & ~(SB_BORN | SB_DYING | SB_DEAD))
    WARN_ON_ONCE(flag & flag - 1)
    sb.s_flags |= flag
    sb.waiters.wake()


def destroy_super_rcu(head: Any) -> None:
    kfree(head.container)


def destroy_unused_super(s: SuperBlock | None) -> None:
    if s is not None:
        up_write(s.s_umount)
        kfree(s)


def alloc_super(type: Any, flags: int, user_ns: Any) -> SuperBlock | None:
    s: SuperBlock | None = kzalloc_obj(SuperBlock)
    if s is None:
        return None
    s.s_user_ns = user_ns
    s.s_umount = rw_semaphore(f"s_umount of {type.name}")
    down_write(s.s_umount)
    s.s_bdi = noop_backing_dev_info
    s.s_flags = flags
    if user_ns is not init_user_ns:
        s.s_iflags |= SB_I_NODEV
    s.s_vfs_rename_mutex = mutex("s_vfs_rename_mutex")
    return s


@dup(C)
def put_super(s: SuperBlock) -> None:
    """``void put_super(struct super_block *s)``: drop a passive reference; the last one frees it."""
    s.s_passive -= 1
    if this.watch is not None:
        this.watch.ref("super", s, -1)
    if s.s_passive:
        return
    type = s.s_type
    spin_lock(g.sb_lock)
    del g.super_blocks[s]
    supers = g.fs_supers[type]
    supers.remove(s)
    if not supers:
        del g.fs_supers[type]
    spin_unlock(g.sb_lock)
    WARN_ON(s.s_dentry_lru)
    WARN_ON(s.s_inode_lru)
    WARN_ON(s.s_mounts)
    call_rcu(rcu_head(s), destroy_super_rcu)
    put_filesystem(type)


def kill_super_notify(sb: SuperBlock) -> None:
    # already notified earlier
    if sb.s_flags & SB_DEAD:
        return
    spin_lock(g.sb_lock)
    super_wake(sb, SB_DEAD)
    spin_unlock(g.sb_lock)


@dup(C)
def deactivate_locked_super(s: SuperBlock) -> None:
    """``void deactivate_locked_super(struct super_block *s)``: drop an active reference; the last one shuts the file system down.

    Context: s_umount held for writing; it is released.
    """
    fs = s.s_type
    s.s_active -= 1
    if not s.s_active:
        fs.kill_sb(s)
        kill_super_notify(s)
        put_super(s)
    else:
        up_write(s.s_umount)


@dup(C)
def deactivate_super(s: SuperBlock) -> None:
    """``void deactivate_super(struct super_block *s)``: drop an active reference; s_umount is not held. Context: may sleep."""
    if s.s_active != 1:
        s.s_active -= 1
        return
    down_write(s.s_umount)
    deactivate_locked_super(s)


def grab_super(sb: SuperBlock) -> bool:
    """Trade a passive reference for an active one and the lock; False when the superblock has died meanwhile."""
    sb.s_passive += 1
    if this.watch is not None:
        this.watch.ref("super", sb, 1)
    spin_unlock(g.sb_lock)
    if super_lock(sb, True):
        if sb.s_active:
            sb.s_active += 1
            put_super(sb)
            return True
        up_write(sb.s_umount)
    _wait(sb, SB_DEAD)
    put_super(sb)
    return False


@dup(C)
def super_trylock_shared(sb: SuperBlock) -> bool:
    """``bool super_trylock_shared(struct super_block *sb)``: for shrinkers."""
    if down_read_trylock(sb.s_umount):
        if not sb.s_flags & SB_DYING and sb.s_root is not None and sb.s_flags & SB_BORN:
            return True
        up_read(sb.s_umount)
    return False


@dup(C)
def retire_super(sb: SuperBlock) -> None:
    """``void retire_super(struct super_block *sb)``: no new mount shares it."""
    WARN_ON(sb.s_bdev is None)
    down_write(sb.s_umount)
    if sb.s_iflags & SB_I_PERSB_BDI:
        bdi_unregister(sb.s_bdi)
        sb.s_iflags &= ~SB_I_PERSB_BDI
    sb.s_iflags |= SB_I_RETIRED
    up_write(sb.s_umount)


@custom(C, "generic_shutdown_super", "busy inodes are told to the watch instead of being poisoned")
def generic_shutdown_super(sb: SuperBlock) -> None:
    """``void generic_shutdown_super(struct super_block *sb)``: what every ->kill_sb does: dentries, inodes, ->put_super.

    Inodes that are still used are reported ("VFS: Busy inodes after unmount of ..."). Context: s_umount held for writing; it is
    released.
    """
    sop = sb.s_op

    if sb.s_root is not None:
        shrink_dcache_for_umount(sb)
        sync_filesystem(sb)
        sb.s_flags &= ~SB_ACTIVE
        evict_inodes(sb)
        if sop.put_super is not None:
            sop.put_super(sb)
        if sb.s_inodes:
            WARN(1, "VFS: Busy inodes after unmount of %s (%s)\n", sb.s_id, sb.s_type.name)
            if this.watch is not None:
                this.watch.event("busy_inodes", sb=sb, inodes=list(sb.s_inodes))
    super_wake(sb, SB_DYING)
    up_write(sb.s_umount)
    if sb.s_bdi is not noop_backing_dev_info:
        if sb.s_iflags & SB_I_PERSB_BDI:
            bdi_unregister(sb.s_bdi)
        bdi_put(sb.s_bdi)
        sb.s_bdi = noop_backing_dev_info


@dup(C)
def mount_capable(fc: FsContext) -> bool:
    """``bool mount_capable(struct fs_context *fc)``"""
    if not fc.fs_type.fs_flags & FS_USERNS_MOUNT:
        return capable(CAP_SYS_ADMIN)
    return ns_capable(fc.user_ns, CAP_SYS_ADMIN)


@dup(C)
def sget_fc(fc: FsContext, test: Test | None, set: Test) -> Any:
    """``struct super_block *sget_fc(struct fs_context *fc, int (*test)(), int (*set)())``

    A live superblock for which ``test(sb, fc)`` is true, or a new one after ``set(sb, fc)``; locked for writing. A new one takes
    fc->s_fs_info. Return: ERR_PTR of -ENOMEM, -EBUSY (may not be shared), -EPERM, or what ``set`` says.
    """
    s: SuperBlock | None = None
    user_ns = init_user_ns if fc.global_ else fc.user_ns

    if user_ns is not init_user_ns and not fc.fs_type.fs_flags & (FS_USERNS_MOUNT | FS_USERNS_DELEGATABLE):
        errorfc(fc, "VFS: Mounting from non-initial user namespace is not allowed")
        return ERR_PTR(-EPERM)
    while True:
        spin_lock(g.sb_lock)
        if test is not None:
            for old in reversed(g.fs_supers.get(fc.fs_type, ())):
                if old.s_flags & SB_DEAD or not test(old, fc):
                    continue
                break
            else:
                old = None
            if old is not None:
                if user_ns is not old.s_user_ns or fc.exclusive:
                    spin_unlock(g.sb_lock)
                    destroy_unused_super(s)
                    if fc.exclusive:
                        warnfc(fc, "reusing existing filesystem not allowed")
                    else:
                        warnfc(fc, "reusing existing filesystem in another namespace not allowed")
                    return ERR_PTR(-EBUSY)
                if not grab_super(old):
                    continue
                destroy_unused_super(s)
                return old
        if s is not None:
            break
        spin_unlock(g.sb_lock)
        s = alloc_super(fc.fs_type, fc.sb_flags, user_ns)
        if s is None:
            return ERR_PTR(-ENOMEM)

    s.s_fs_info = fc.s_fs_info
    err = set(s, fc)
    if err:
        s.s_fs_info = None
        spin_unlock(g.sb_lock)
        destroy_unused_super(s)
        return ERR_PTR(err)
    fc.s_fs_info = None
    s.s_type = fc.fs_type
    s.s_iflags |= fc.s_iflags
    s.s_id = s.s_type.name[:31]
    g.super_blocks[s] = None
    g.fs_supers.setdefault(s.s_type, []).append(s)
    spin_unlock(g.sb_lock)
    get_filesystem(s.s_type)
    if this.watch is not None:
        this.watch.ref("super", s, 1)
    return s


@dup(C)
def drop_super(sb: SuperBlock) -> None:
    """``void drop_super(struct super_block *sb)``: unlock (shared) and drop a passive reference."""
    up_read(sb.s_umount)
    put_super(sb)


def _each(supers: list[SuperBlock], excl: bool) -> Iterator[SuperBlock]:
    """The live ones of ``supers``, each locked and passively referenced while the caller has it."""
    spin_lock(g.sb_lock)
    p = None
    for sb in supers:
        if sb.s_flags & SB_DYING or not sb.s_passive:
            continue
        sb.s_passive += 1
        if this.watch is not None:
            this.watch.ref("super", sb, 1)
        spin_unlock(g.sb_lock)
        if super_lock(sb, excl):
            yield sb
            super_unlock(sb, excl)
        if p is not None:
            put_super(p)
        p = sb
        spin_lock(g.sb_lock)
    spin_unlock(g.sb_lock)
    if p is not None:
        put_super(p)


@dup(C)
def iterate_supers(f: Callable[[SuperBlock, Any], None], arg: Any) -> None:
    """``void iterate_supers(void (*f)(struct super_block *, void *), void *arg)``: oldest first, each locked (shared)."""
    for sb in _each(list(g.super_blocks), False):
        f(sb, arg)


@dup(C)
def iterate_supers_type(type: Any, f: Callable[[SuperBlock, Any], None], arg: Any) -> None:
    """``void iterate_supers_type(struct file_system_type *type, void (*f)(), void *arg)``: newest first, each locked (shared)."""
    for sb in _each(list(reversed(g.fs_supers.get(type, ()))), False):
        f(sb, arg)


@dup(C)
def reconfigure_super(fc: FsContext) -> int:
    """``int reconfigure_super(struct fs_context *fc)``: remount. Context: s_umount held for writing.

    Return: 0; -EINVAL for flags that cannot change; -EBUSY while something is written; -EACCES if the device is read-only; what
    ->reconfigure says.
    """
    assert fc.root is not None
    sb = fc.root.d_sb
    force = fc.sb_flags & SB_FORCE
    remount_ro = remount_rw = False

    if fc.sb_flags_mask & ~MS_RMT_MASK:
        return -EINVAL
    if fc.sb_flags_mask & SB_RDONLY:
        if not fc.sb_flags & SB_RDONLY and sb.s_bdev is not None:
            if bdev_read_only(sb.s_bdev):
                return -EACCES
        remount_rw = not fc.sb_flags & SB_RDONLY and bool(sb.s_flags & SB_RDONLY)
        remount_ro = bool(fc.sb_flags & SB_RDONLY) and not sb.s_flags & SB_RDONLY
    shrink_dcache_sb(sb)
    if remount_ro:
        if force:
            sb.s_readonly_remount = 1
        else:
            from kemu.linux.fs.namespace import sb_prepare_remount_readonly  # noqa: PLC0415  (circle: fs/namespace.c needs this)

            retval = sb_prepare_remount_readonly(sb)
            if retval:
                return retval
    elif remount_rw:
        sb.s_readonly_remount = 1
    if fc.ops.reconfigure is not None:
        retval = fc.ops.reconfigure(fc)
        if retval:
            if not force:
                sb.s_readonly_remount = 0
                return int(retval)
            WARN(1, "forced remount of a %s fs returned %i\n", sb.s_type.name, retval)
    sb.s_flags = sb.s_flags & ~fc.sb_flags_mask | fc.sb_flags & fc.sb_flags_mask
    sb.s_readonly_remount = 0
    # what was written past the device's own page cache would be missed by who reads the device next
    if remount_ro and sb.s_bdev is not None:
        from kemu.linux.block.bdev import invalidate_bdev  # noqa: PLC0415  (circle: block/bdev.c needs this)

        invalidate_bdev(sb.s_bdev)
    return 0


@dup(C)
def get_anon_bdev(p: Any) -> int:
    """``int get_anon_bdev(dev_t *p)``: a device number without a device; ``p`` is a Ref.

    Return: 0, -EMFILE if there is none left.
    """
    used = g.unnamed_dev_ida
    i = next((i for i, u in enumerate(used) if not u), len(used))
    if i >> MINORBITS:
        return -EMFILE
    if i == len(used):
        used.append(True)
    else:
        used[i] = True
    p.v = i
    return 0


@dup(C)
def free_anon_bdev(dev: int) -> None:
    """``void free_anon_bdev(dev_t dev)``"""
    used = g.unnamed_dev_ida
    used[dev] = False
    while not used[-1]:
        used.pop()


@dup(C)
def kill_anon_super(sb: SuperBlock) -> None:
    """``void kill_anon_super(struct super_block *sb)``: ->kill_sb of file systems without device."""
    dev = sb.s_dev
    generic_shutdown_super(sb)
    kill_super_notify(sb)
    free_anon_bdev(dev)


@dup(C)
def set_anon_super_fc(sb: SuperBlock, fc: FsContext) -> int:
    """``int set_anon_super_fc(struct super_block *sb, struct fs_context *fc)``: the ``set`` of sget_fc() for file systems without
    device.
    """
    dev = Ref(0)
    err = get_anon_bdev(dev)
    if not err:
        sb.s_dev = dev.v
    return err


def test_keyed_super(sb: SuperBlock, fc: FsContext) -> bool:
    return sb.s_fs_info is fc.s_fs_info


def test_single_super(s: SuperBlock, fc: FsContext) -> bool:
    return True


def vfs_get_super(fc: FsContext, test: Test | None, fill_super: Fill) -> int:
    sb = sget_fc(fc, test, set_anon_super_fc)
    if IS_ERR(sb):
        return PTR_ERR(sb)
    if sb.s_root is None:
        err = fill_super(sb, fc)
        if err:
            deactivate_locked_super(sb)
            return err
        sb.s_flags |= SB_ACTIVE
    fc.root = dget(sb.s_root)
    return 0


@dup(C)
def get_tree_nodev(fc: FsContext, fill_super: Fill) -> int:
    """``int get_tree_nodev(struct fs_context *fc, int (*fill_super)())``: always a new superblock."""
    return vfs_get_super(fc, None, fill_super)


@dup(C)
def get_tree_single(fc: FsContext, fill_super: Fill) -> int:
    """``int get_tree_single(struct fs_context *fc, int (*fill_super)())``: one superblock for all."""
    return vfs_get_super(fc, test_single_super, fill_super)


@dup(C)
def get_tree_keyed(fc: FsContext, fill_super: Fill, key: Any) -> int:
    """``int get_tree_keyed(struct fs_context *fc, int (*fill_super)(), void *key)``: one superblock for each key."""
    fc.s_fs_info = key
    return vfs_get_super(fc, test_keyed_super, fill_super)


def super_s_dev_set(s: SuperBlock, fc: FsContext) -> int:
    s.s_dev = fc.sget_key
    return 0


def super_s_dev_test(s: SuperBlock, fc: FsContext) -> bool:
    return not s.s_iflags & SB_I_RETIRED and s.s_dev == fc.sget_key


@dup(C)
def sget_dev(fc: FsContext, dev: int) -> Any:
    """``struct super_block *sget_dev(struct fs_context *fc, dev_t dev)``: the superblock of a device, new or shared; see
    sget_fc().
    """
    fc.sget_key = dev
    return sget_fc(fc, super_s_dev_test, super_s_dev_set)


def bdev_super_lock(bdev: Any, excl: bool) -> SuperBlock | None:
    """Lock the superblock that holds the device; None if it is not (or no longer) in use. bd_holder_lock is held and released."""
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
    evict_inodes(sb)
    if sb.s_op.shutdown is not None:
        sb.s_op.shutdown(sb)
    super_unlock(sb, False)


def fs_bdev_sync(bdev: Any) -> None:
    sb = bdev_super_lock(bdev, False)
    if sb is not None:
        sync_filesystem(sb)
        super_unlock(sb, False)


fs_holder_ops = blk_holder_ops(mark_dead=fs_bdev_mark_dead, sync=fs_bdev_sync)


@dup(C)
def setup_bdev_super(sb: SuperBlock, sb_flags: int, fc: FsContext | None) -> int:
    """``int setup_bdev_super(struct super_block *sb, int sb_flags, struct fs_context *fc)``: open the device sb->s_dev for this
    superblock.

    Devices are never frozen here. Return: 0; -EACCES for a read-only device mounted writable; what opening says.
    """
    from kemu.linux.block.bdev import bdev_file_open_by_dev, block_size, file_bdev, sb_set_blocksize  # noqa: PLC0415  (circle: block/bdev.c needs this)

    mode = sb_open_mode(sb_flags)
    bdev_file = bdev_file_open_by_dev(sb.s_dev, mode, sb, fs_holder_ops)
    if IS_ERR(bdev_file):
        if fc is not None:
            errorf(fc, "%s: Can't open blockdev", fc.source)
        return PTR_ERR(bdev_file)
    bdev = file_bdev(bdev_file)
    if mode & BLK_OPEN_WRITE and bdev_read_only(bdev):
        from kemu.linux.block.bdev import bdev_fput  # noqa: PLC0415  (circle: block/bdev.c needs this)

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


@dup(C)
def get_tree_bdev_flags(fc: FsContext, fill_super: Fill, flags: int) -> int:
    """``int get_tree_bdev_flags(struct fs_context *fc, int (*fill_super)(), unsigned int flags)``

    The superblock of the device fc->source; a mounted one is shared if it has the same read-only state. Return: 0; -EINVAL
    without source; what lookup_bdev() says (-ENOENT, -ENOTBLK, -EACCES; logged unless GET_TREE_BDEV_QUIET_LOOKUP); -EBUSY for
    another read-only state; what opening and ``fill_super`` say.
    """
    from kemu.linux.block.bdev import lookup_bdev  # noqa: PLC0415  (circle: block/bdev.c needs this)

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


@dup(C)
def get_tree_bdev(fc: FsContext, fill_super: Fill) -> int:
    """``int get_tree_bdev(struct fs_context *fc, int (*fill_super)())``"""
    return get_tree_bdev_flags(fc, fill_super, 0)


@dup(C)
def kill_block_super(sb: SuperBlock) -> None:
    """``void kill_block_super(struct super_block *sb)``: ->kill_sb of file systems on a device."""
    bdev = sb.s_bdev
    generic_shutdown_super(sb)
    if bdev is not None:
        from kemu.linux.block.bdev import bdev_fput, sync_blockdev  # noqa: PLC0415  (circle: block/bdev.c needs this)

        sync_blockdev(bdev)
        bdev_fput(sb.s_bdev_file)


@dup(C)
def vfs_get_tree(fc: FsContext) -> int:
    """``int vfs_get_tree(struct fs_context *fc)``: fc->root of a new or shared superblock, locked for writing.

    Return: 0, -EBUSY if there is a root already, or what ->get_tree says.
    """
    if fc.root is not None:
        return -EBUSY
    error = fc.ops.get_tree(fc)
    if error < 0:
        return int(error)
    if fc.root is None:
        pr_err("Filesystem %s get_tree() didn't set fc->root, returned %i\n", fc.fs_type.name, error)
        BUG()
    assert fc.root is not None
    sb = fc.root.d_sb
    WARN_ON(sb.s_bdi is None)
    super_wake(sb, SB_BORN)
    WARN(sb.s_maxbytes < 0, "%s set sb->s_maxbytes to negative value (%lld)\n", fc.fs_type.name, sb.s_maxbytes)
    return 0


@dup(C)
def super_setup_bdi_name(sb: SuperBlock, fmt: str, *args: Any) -> int:
    """``int super_setup_bdi_name(struct super_block *sb, char *fmt, ...)``: a backing device info of its own.

    Return: 0, -ENOMEM, -EEXIST.
    """
    bdi = bdi_alloc()
    if bdi is None:
        return -ENOMEM
    err = bdi_register(bdi, fmt, *args)
    if err:
        bdi_put(bdi)
        return err
    WARN_ON(sb.s_bdi is not noop_backing_dev_info)
    sb.s_bdi = bdi
    sb.s_iflags |= SB_I_PERSB_BDI
    return 0


@dup(C)
def super_setup_bdi(sb: SuperBlock) -> int:
    """``int super_setup_bdi(struct super_block *sb)``. Return: 0, -ENOMEM, -EEXIST."""
    g.bdi_seq += 1
    return super_setup_bdi_name(sb, "%.28s-%ld", sb.s_type.name, g.bdi_seq)
