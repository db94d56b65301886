# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/do_mounts.c (Linux 7.2), without NFS and CIFS roots.

``fs_names`` is a list of strings here, where C has a page of strings one after the other.
"""
from __future__ import annotations

from kemu.linux.async_ import async_synchronize_full
from kemu.linux.blkdev import early_lookup_bdev, printk_all_partitions
from kemu.linux.device import devtmpfs_mount, driver_probe_done, wait_for_device_probe
from kemu.linux.errno import EACCES, EINVAL, ENOMEM
from kemu.linux.fs import FS_REQUIRES_DEV, FileSystemType, get_fs_type, kill_anon_super, list_bdev_fs_names, put_filesystem
from kemu.linux.fs_context import FsContext
from kemu.linux.fs_struct import current_fs
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.init import __setup, panic
from kemu.linux.init_syscalls import init_chdir, init_mount, init_pivot_root, init_umount
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MAJOR, MINOR
from kemu.linux.kstrtox import kstrtoint, kstrtouint
from kemu.linux.mount import MNT_DETACH, MS_RDONLY, MS_SILENT
from kemu.linux.page import arch
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.port.statics import statics
from kemu.linux.printk import KERN_INFO, pr_emerg, pr_err, pr_info, pr_warn, printk
from kemu.linux.ramfs import ramfs_init_fs_context
from kemu.linux.sched import jiffies, msleep, ssleep
from kemu.linux.shmem_fs import shmem_init_fs_context
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.string import put_string
from kemu.linux.super_types import SB_RDONLY, sb_rdonly
from kemu.linux.types import INT_MAX, NULL, Ref

from initramfs.do_mounts_h import Root_CIFS, Root_Generic, Root_NFS, Root_RAM0, create_dev, init_flush_fput
from initramfs.do_mounts_initrd import initrd_load

MSEC_PER_SEC = 1000


@statics
class g:
    root_mountflags = MS_RDONLY | MS_SILENT
    saved_root_name = ""
    root_wait = 0
    ROOT_DEV: Ref
    root_mount_data: str = NULL
    root_fs_names: str = NULL
    root_delay: Ref
    is_tmpfs = False
    initramfs_options: str = NULL


@__setup("ro")
@port_of("init/do_mounts.c", "readonly")
def readonly(str: str) -> int:
    if str:
        return 0
    g.root_mountflags |= MS_RDONLY
    return 1


@__setup("rw")
@port_of("init/do_mounts.c", "readwrite")
def readwrite(str: str) -> int:
    if str:
        return 0
    g.root_mountflags &= ~MS_RDONLY
    return 1


@__setup("root=")
@port_of("init/do_mounts.c", "root_dev_setup")
def root_dev_setup(line: str) -> int:
    g.saved_root_name = line[:63]
    return 1


@__setup("rootwait")
@port_of("init/do_mounts.c", "rootwait_setup")
def rootwait_setup(str: str) -> int:
    if str:
        return 0
    g.root_wait = -1
    return 1


@__setup("rootwait=")
@port_of("init/do_mounts.c", "rootwait_timeout_setup")
def rootwait_timeout_setup(str: str) -> int:
    sec = Ref(0)

    if kstrtoint(str, 0, sec) or sec.v < 0:
        pr_warn("ignoring invalid rootwait value\n")
    elif sec.v * MSEC_PER_SEC > INT_MAX:
        pr_warn("ignoring excessive rootwait value\n")
    else:
        g.root_wait = sec.v * MSEC_PER_SEC
        return 1

    # Fallback to indefinite wait
    g.root_wait = -1
    return 1


@__setup("rootflags=")
@port_of("init/do_mounts.c", "root_data_setup")
def root_data_setup(str: str) -> int:
    g.root_mount_data = str
    return 1


@__setup("rootfstype=")
@port_of("init/do_mounts.c", "fs_names_setup")
def fs_names_setup(str: str) -> int:
    g.root_fs_names = str
    return 1


@__setup("rootdelay=")
@port_of("init/do_mounts.c", "root_delay_setup")
def root_delay_setup(str: str) -> int:
    if kstrtouint(str, 0, g.root_delay):
        return 0
    return 1


@port_of("init/do_mounts.c", "split_fs_names")
def split_fs_names(size: int) -> list[str]:
    """This can return zero length strings. Caller should check."""
    return g.root_fs_names[:size - 1].split(",")


@port_of("init/do_mounts.c", "do_mount_root")
def do_mount_root(name: str, fs: str, flags: int, data: str) -> int:
    data_page = NULL

    if data:
        # init_mount() requires a full page as fifth argument
        data_page = kmalloc(arch.PAGE_SIZE, GFP_KERNEL)
        if not data_page:
            return -ENOMEM
        put_string(data_page, data, arch.PAGE_SIZE)

    ret = init_mount(name, "/root", fs, flags, data_page)
    if not ret:
        init_chdir("/root")
        s = current_fs().pwd.dentry.d_sb
        g.ROOT_DEV.v = s.s_dev
        printk(KERN_INFO + "VFS: Mounted root (%s filesystem)%s on device %u:%u.\n",
               s.s_type.name, " readonly" if sb_rdonly(s) else "", MAJOR(g.ROOT_DEV.v), MINOR(g.ROOT_DEV.v))

    kfree(data_page)
    return ret


@port_of("init/do_mounts.c", "mount_root_generic")
def mount_root_generic(name: str, pretty_name: str, flags: int) -> None:
    page = kmalloc(arch.PAGE_SIZE, GFP_KERNEL)
    if not page:
        panic("VFS: Unable to mount root fs: not enough memory")

    b = f"unknown-block({MAJOR(g.ROOT_DEV.v)},{MINOR(g.ROOT_DEV.v)})"
    fs_names = split_fs_names(arch.PAGE_SIZE) if g.root_fs_names is not None else list_bdev_fs_names()
    while True:
        # retry:
        for p in fs_names:
            if not p:
                continue
            err = do_mount_root(name, p, flags, g.root_mount_data)
            if err == 0:
                kfree(page)
                return
            if err in (-EACCES, -EINVAL):
                init_flush_fput()
                continue
            # Allow the user to distinguish between failed sys_open and bad superblock on root device.
            # and give them a list of the available devices
            printk("VFS: Cannot open root device \"%s\" or %s: error %d\n", pretty_name, b, err)
            printk("Please append a correct \"root=\" boot option; here are the available partitions:\n")
            printk_all_partitions()

            if g.root_fs_names is not None:
                fs_names = list_bdev_fs_names()
            if not fs_names:
                pr_err("Can't find any bdev filesystem to be used for mount!\n")
            else:
                pr_err("List of all bdev filesystems:\n")
                for p in fs_names:
                    pr_err(" %s", p)
                pr_err("\n")

            panic("VFS: Unable to mount root fs on %s", b)
        if not flags & SB_RDONLY:
            flags |= SB_RDONLY
            continue
        break

    printk("List of all partitions:\n")
    printk_all_partitions()
    printk("No filesystem could mount root, tried: ")
    for p in fs_names:
        printk(" %s", p)
    printk("\n")
    panic("VFS: Unable to mount root fs on \"%s\" or %s", pretty_name, b)


@custom("init/do_mounts.c", "mount_nfs_root", "without a network the server never answers")
def mount_nfs_root() -> None:
    if IS_ENABLED("CONFIG_ROOT_NFS"):
        pr_err("VFS: Unable to mount root fs via NFS.\n")


@custom("init/do_mounts.c", "mount_cifs_root", "without a network the server never answers")
def mount_cifs_root() -> None:
    if IS_ENABLED("CONFIG_CIFS_ROOT"):
        pr_err("VFS: Unable to mount root fs via SMB.\n")


@port_of("init/do_mounts.c", "fs_is_nodev")
def fs_is_nodev(fstype: str) -> bool:
    fs = get_fs_type(fstype)
    ret = False

    if fs is not None:
        ret = not fs.fs_flags & FS_REQUIRES_DEV
        put_filesystem(fs)

    return ret


@port_of("init/do_mounts.c", "mount_nodev_root")
def mount_nodev_root(root_device_name: str) -> int:
    err = -EINVAL

    page = kmalloc(arch.PAGE_SIZE, GFP_KERNEL)
    if not page:
        return -EINVAL
    for fstype in split_fs_names(arch.PAGE_SIZE):
        if not fstype:
            continue
        if not fs_is_nodev(fstype):
            continue
        err = do_mount_root(root_device_name, fstype, g.root_mountflags, g.root_mount_data)
        if not err:
            break

    kfree(page)
    return err


@port_of("init/do_mounts.c", "mount_block_root")
def mount_block_root(root_device_name: str) -> None:
    err = create_dev("/dev/root", g.ROOT_DEV.v)

    if err < 0:
        pr_emerg("Failed to create /dev/root: %d\n", err)
    mount_root_generic("/dev/root", root_device_name, g.root_mountflags)


@port_of("init/do_mounts.c", "mount_root")
def mount_root(root_device_name: str) -> None:
    if g.ROOT_DEV.v == Root_NFS:
        mount_nfs_root()
    elif g.ROOT_DEV.v == Root_CIFS:
        mount_cifs_root()
    elif g.ROOT_DEV.v == Root_Generic:
        mount_root_generic(root_device_name, root_device_name, g.root_mountflags)
    else:
        if g.ROOT_DEV.v == 0:
            # root_device_name is an array: never NULL
            if g.root_fs_names is not None and mount_nodev_root(root_device_name) == 0:
                return
        mount_block_root(root_device_name)


@port_of("init/do_mounts.c", "wait_for_root")
def wait_for_root(root_device_name: str) -> None:
    """Wait for any asynchronous scanning to complete."""
    if g.ROOT_DEV.v != 0:
        return

    pr_info("Waiting for root device %s...\n", root_device_name)

    end = jiffies() * 10 + g.root_wait
    while not driver_probe_done() or early_lookup_bdev(root_device_name, g.ROOT_DEV) < 0:
        msleep(5)
        if g.root_wait > 0 and jiffies() * 10 > end:
            break

    async_synchronize_full()


@port_of("init/do_mounts.c", "parse_root_device")
def parse_root_device(root_device_name: str) -> int:
    dev = Ref(0)

    if root_device_name[:3] in ("mtd", "ubi"):
        return Root_Generic
    if root_device_name == "/dev/nfs":
        return Root_NFS
    if root_device_name == "/dev/cifs":
        return Root_CIFS
    if root_device_name == "/dev/ram":
        return Root_RAM0

    error = early_lookup_bdev(root_device_name, dev)
    if error:
        if error == -EINVAL and g.root_wait:
            pr_err("Disabling rootwait; root= is invalid.\n")
            g.root_wait = 0
        return 0
    return dev.v


@port_of("init/do_mounts.c", "prepare_namespace")
def prepare_namespace() -> None:
    """Prepare the namespace - decide what/where to mount, load ramdisks, etc."""
    if g.root_delay.v:
        printk(KERN_INFO + "Waiting %d sec before mounting root device...\n", g.root_delay.v)
        ssleep(g.root_delay.v)

    # wait for the known devices to complete their probing
    wait_for_device_probe()

    if g.saved_root_name:
        g.ROOT_DEV.v = parse_root_device(g.saved_root_name)

    if IS_ENABLED("CONFIG_BLK_DEV_INITRD"):
        initrd_load()

    if g.root_wait:
        wait_for_root(g.saved_root_name)
    mount_root(g.saved_root_name)
    devtmpfs_mount()

    if init_pivot_root(".", "."):
        pr_err("VFS: Failed to pivot into new rootfs\n")
        return
    if init_umount(".", MNT_DETACH):
        pr_err("VFS: Failed to unmount old rootfs\n")
        return
    pr_info("VFS: Pivoted into new rootfs\n")


@__setup("initramfs_options=")
@port_of("fs/namespace.c", "initramfs_options_setup")
def initramfs_options_setup(str: str) -> int:
    g.initramfs_options = str
    return 1


@port_of("init/do_mounts.c", "rootfs_init_fs_context")
def rootfs_init_fs_context(fc: FsContext) -> int:
    if IS_ENABLED("CONFIG_TMPFS") and g.is_tmpfs:
        return shmem_init_fs_context(fc)

    return ramfs_init_fs_context(fc)


rootfs_fs_type = FileSystemType(name="rootfs", init_fs_context=rootfs_init_fs_context, kill_sb=kill_anon_super)


@port_of("init/do_mounts.c", "init_rootfs")
def init_rootfs() -> None:
    if IS_ENABLED("CONFIG_TMPFS"):
        if not g.saved_root_name and g.root_fs_names is None:
            g.is_tmpfs = True
        elif g.root_fs_names is not None and "tmpfs" in g.root_fs_names:
            g.is_tmpfs = True
