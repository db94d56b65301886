# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/noinitramfs.c (Linux 7.2): the rootfs of a kernel without CONFIG_BLK_DEV_INITRD."""
from __future__ import annotations

from kemu.linux.init import only_if, rootfs_initcall
from kemu.linux.init_syscalls import init_mkdir, init_mknod
from kemu.linux.kdev_t import MKDEV, new_encode_dev
from kemu.linux.port.honesty import port_of
from kemu.linux.printk import KERN_WARNING, printk
from kemu.linux.stat import S_IFCHR, S_IRUSR, S_IWUSR
from kemu.linux.umh import usermodehelper_enable


@only_if("!CONFIG_BLK_DEV_INITRD")
@rootfs_initcall
@port_of("init/noinitramfs.c", "default_rootfs")
def default_rootfs() -> int:
    """Create a simple rootfs that is similar to the default initramfs"""
    usermodehelper_enable()
    err = init_mkdir("/dev", 0o755)
    if not err:
        err = init_mknod("/dev/console", S_IFCHR | S_IRUSR | S_IWUSR, new_encode_dev(MKDEV(5, 1)))
    if not err:
        err = init_mkdir("/root", 0o700)
    if err:
        printk(KERN_WARNING + "Failed to create a rootfs\n")
    return err
