# SPDX-License-Identifier: GPL-2.0-only
"""initerofs as posted on 2025-12-31 ("[PATCH] Add initerofs for EROFS-backed early rootfs"): init/initerofs.c, its changes to
init/initramfs.c, and the initcall levels of erofs and overlayfs.

Brought to 7.2, nothing else is changed; what the bench finds here is a finding about the posted patch. String literals are passed
by address, as in C.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kemu.linux.async_ import async_schedule_domain
from kemu.linux.byteorder import le32_to_cpup
from kemu.linux.errno import EEXIST, ENODEV, ENOMEM
from kemu.linux.fs import get_fs_type, put_filesystem
from kemu.linux.init import __setup
from kemu.linux.init_syscalls import init_chdir, init_chroot, init_mkdir, init_mount, init_rmdir, init_umount
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.magic import EROFS_SUPER_MAGIC_V1
from kemu.linux.mount import MS_MOVE, MS_RDONLY
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import port_of
from kemu.linux.port.series import Series
from kemu.linux.port.statics import statics
from kemu.linux.printk import KERN_EMERG, KERN_INFO, pr_err, pr_info, pr_warn, printk
from kemu.linux.rodata import literal
from kemu.linux.sched import ktime_get
from kemu.linux.security import security_initramfs_populated
from kemu.linux.sysfs import firmware_kobj, sysfs_create_bin_file
from kemu.linux.umh import usermodehelper_enable
from kemu.machine.initcalls import Entry

from initramfs import initramfs as base
from initramfs.do_mounts_h import init_flush_fput
from initramfs.initerofs_blkdev_rfc import initerofs_blkdev_create, initerofs_blkdev_destroy

POSTED = "2025-12-31"
P = "init/initerofs.c"
# EROFS superblock offset from fs/erofs/erofs_fs.h
INITEROFS_SB_OFFSET = 1024

# Retain the memory if requested
@statics
class g:
    do_retain_initerofs = 0


series = Series("initerofs-rfc", ("initramfs",), "EROFS-backed early root file system, as posted 2025-12-31")
config = {"CONFIG_INITEROFS": True}


@__setup("retain_initerofs")
@port_of(P, "retain_initerofs_param", posted=POSTED)
def retain_initerofs_param(str: str) -> int:
    if not IS_ENABLED("CONFIG_INITEROFS"):
        return 0                    # this file is not compiled
    if str:
        return 0
    g.do_retain_initerofs = 1
    return 1


@port_of(P, "initerofs_detect", posted=POSTED)
def initerofs_detect() -> bool:
    if not initrd.initrd_start or not initrd.initrd_end:
        return False

    # Need at least superblock offset + magic size
    if initrd.initrd_end - initrd.initrd_start < INITEROFS_SB_OFFSET + 4:
        return False

    magic = le32_to_cpup(initrd.initrd_start + INITEROFS_SB_OFFSET)
    if magic == EROFS_SUPER_MAGIC_V1:
        pr_info("initerofs: detected EROFS format in initrd\n")
        return True

    return False


@port_of(P, "initerofs_mount_root", posted=POSTED)
def initerofs_mount_root() -> int:
    if not initrd.initrd_start or not initrd.initrd_end:
        return -ENODEV

    size = initrd.initrd_end - initrd.initrd_start

    start_time = ktime_get()

    pr_info("initerofs: mounting EROFS from initrd at 0x%lx (size %lu bytes)\n", initrd.initrd_start, size)

    out = Labels()

    @out.label
    def err_unmount_tmpfs() -> None:
        init_umount("/overlay_upper", 0)

    @out.label
    def err_rmdir_merged() -> None:
        init_rmdir("/overlay_merged")

    @out.label
    def err_rmdir_work() -> None:
        init_rmdir("/overlay_work")

    @out.label
    def err_rmdir_upper() -> None:
        init_rmdir("/overlay_upper")

    @out.label
    def err_unmount_erofs() -> None:
        init_umount("/root", 0)

    @out.label
    def err_blkdev() -> None:
        initerofs_blkdev_destroy()

    # Create the memory-backed block device
    blkdev_path = initerofs_blkdev_create(initrd.initrd_start, size)
    if not blkdev_path:
        pr_err("initerofs: failed to create block device\n")
        return -ENOMEM

    # Create mount point
    err = init_mkdir("/root", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create /root directory: %d\n", err)
        return out.goto(err_blkdev, err)

    # Verify EROFS filesystem is registered (at fs_initcall, before rootfs_initcall)
    fs_type = get_fs_type("erofs")
    if fs_type:
        put_filesystem(fs_type)
        pr_info("initerofs: EROFS filesystem available\n")
    else:
        pr_err("initerofs: EROFS filesystem not registered\n")
        err = -ENODEV
        return out.goto(err_blkdev, err)

    # Mount EROFS from the memory-backed block device
    pr_info("initerofs: attempting mount from '%s' to '/root'\n", blkdev_path)
    err = init_mount(blkdev_path, "/root", "erofs", MS_RDONLY, None)
    if err:
        pr_err("initerofs: failed to mount EROFS from %s: %d\n", blkdev_path, err)
        return out.goto(err_blkdev, err)

    end_time = ktime_get()
    elapsed_ns = end_time - start_time
    pr_info("initerofs: EROFS mounted in %lld.%06lld ms (zero-copy)\n", elapsed_ns // 1000000, elapsed_ns % 1000000)

    # Create directories for overlayfs
    err = init_mkdir("/overlay_upper", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create overlay upper dir: %d\n", err)
        return out.goto(err_unmount_erofs, err)

    err = init_mkdir("/overlay_work", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create overlay work dir: %d\n", err)
        return out.goto(err_rmdir_upper, err)

    err = init_mkdir("/overlay_merged", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create overlay merged dir: %d\n", err)
        return out.goto(err_rmdir_work, err)

    # Mount tmpfs for the writable upper layer
    err = init_mount("tmpfs", "/overlay_upper", "tmpfs", 0, literal("mode=0755"))
    if err:
        pr_err("initerofs: failed to mount tmpfs for upper layer: %d\n", err)
        return out.goto(err_rmdir_merged, err)

    # Create work and upper directories inside tmpfs
    err = init_mkdir("/overlay_upper/work", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create work subdir: %d\n", err)
        return out.goto(err_unmount_tmpfs, err)

    err = init_mkdir("/overlay_upper/upper", 0o755)
    if err and err != -EEXIST:
        pr_err("initerofs: failed to create upper subdir: %d\n", err)
        return out.goto(err_unmount_tmpfs, err)

    # Mount overlayfs combining EROFS (lower) and tmpfs (upper)
    err = init_mount("overlay", "/overlay_merged", "overlay", 0,
                     literal("lowerdir=/root,upperdir=/overlay_upper/upper,workdir=/overlay_upper/work"))
    if err:
        pr_err("initerofs: failed to mount overlayfs: %d\n", err)
        return out.goto(err_unmount_tmpfs, err)

    # Move overlayfs mount to root
    init_chdir("/overlay_merged")
    err = init_mount(".", "/", None, MS_MOVE, None)
    if err:
        pr_err("initerofs: failed to move mount: %d\n", err)
        return err
    init_chroot(".")

    end_time = ktime_get()
    elapsed_ns = end_time - start_time
    pr_info("initerofs: root filesystem ready in %lld.%06lld ms (no cpio extraction)\n", elapsed_ns // 1000000,
            elapsed_ns % 1000000)

    return 0


@port_of(P, "initerofs_should_retain", posted=POSTED)
def initerofs_should_retain() -> bool:
    return bool(g.do_retain_initerofs)


# ---- init/initramfs.c

@series.replaces(base.do_populate_rootfs)
@port_of("init/initramfs.c", "do_populate_rootfs", posted=POSTED)
def do_populate_rootfs(unused: Any, cookie: int) -> None:
    # Load the built in initramfs
    err = base.unpack_to_rootfs(initrd.initramfs_start, initrd.initramfs_size)
    if err:
        base.panic_show_mem("%s", err)       # Failed to decompress INTERNAL initramfs

    def done() -> None:
        security_initramfs_populated()
        initrd.initrd_start = 0
        initrd.initrd_end = 0

        init_flush_fput()

    if not initrd.initrd_start or IS_ENABLED("CONFIG_INITRAMFS_FORCE"):
        return done()

    # Check if the initrd is in EROFS format. If so, mount it directly instead of unpacking as cpio.
    if IS_ENABLED("CONFIG_INITEROFS") and initerofs_detect():
        ret = initerofs_mount_root()

        if not ret:
            pr_info("initerofs: using EROFS as initial rootfs\n")
            # Do NOT free initrd memory - the memory-backed block device reads directly from it.
            return done()
        pr_warn("initerofs: mount failed (%d), trying cpio unpack\n", ret)

    if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
        printk(KERN_INFO + "Trying to unpack rootfs image as initramfs...\n")
    else:
        printk(KERN_INFO + "Unpacking initramfs...\n")

    err = base.unpack_to_rootfs(initrd.initrd_start, initrd.initrd_end - initrd.initrd_start)
    if err:
        if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
            base.populate_initrd_image(err)
        else:
            printk(KERN_EMERG + "Initramfs unpacking failed: %s\n", err)

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel
    # region.
    if not base.g.do_retain_initrd and initrd.initrd_start and not base.kexec_free_initrd():
        base.free_initrd_mem(initrd.initrd_start, initrd.initrd_end)
    elif base.g.do_retain_initrd and initrd.initrd_start:
        base.g.bin_attr_initrd.size = initrd.initrd_end - initrd.initrd_start
        base.g.bin_attr_initrd.private = initrd.initrd_start
        if sysfs_create_bin_file(firmware_kobj(), base.g.bin_attr_initrd):
            pr_err("Failed to create initrd sysfs file")
    return done()


@series.replaces(base.populate_rootfs)
@port_of("init/initramfs.c", "populate_rootfs", posted=POSTED)
def populate_rootfs() -> int:
    # Check for EROFS-based initrd synchronously BEFORE scheduling the async task.
    if IS_ENABLED("CONFIG_INITEROFS") and initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE") and initerofs_detect():
        if initerofs_mount_root() == 0:
            pr_info("initerofs: using EROFS as initial rootfs\n")
            security_initramfs_populated()
            usermodehelper_enable()
            return 0
        pr_warn("initerofs: mount failed, falling back to cpio\n")

    base.g.initramfs_cookie = async_schedule_domain(base.do_populate_rootfs, None, base.g.initramfs_domain)
    usermodehelper_enable()
    if not base.g.initramfs_async.v:
        base.wait_for_initramfs()
    return 0


# ---- fs/erofs/super.c, fs/overlayfs/super.c: fs_initcall() where module_init() was

def initcalls(table: Iterable[Entry]) -> list[Entry]:
    """The build's table with the two registrations at level fs, in link order: both lie behind ramfs in fs/Makefile."""
    moved = [e._replace(level="fs", suffix="5") for e in table if e.name in ("ovl_init", "erofs_module_init")]
    out = []
    for e in table:
        if e in moved or e.name in ("ovl_init", "erofs_module_init"):
            continue
        out.append(e)
        if e.name == "init_ramfs_fs":
            out += sorted(moved, key=lambda m: m.name == "erofs_module_init")
    return out
