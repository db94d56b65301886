# SPDX-License-Identifier: GPL-2.0-only
"""Initcalls of the small file systems that the emulated kernel has built in."""
from __future__ import annotations

from typing import Any

from kemu.linux.devtmpfs import devtmpfs_create_node
from kemu.linux.honesty import custom, dup, names
from kemu.linux.init import fs_initcall
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MKDEV
from kemu.linux.printk import printk
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.shmem import shmem_fs_type
from kemu.linux.stat import S_IFCHR
from kemu.linux.vfs.char_dev import cdev_add
from kemu.linux.vfs.filesystems import register_filesystem
from kemu.linux.vfs.types import file_operations


@fs_initcall
@dup("fs/ramfs/inode.c")
def init_ramfs_fs() -> int:
    """``static int __init init_ramfs_fs(void)``"""
    return register_filesystem(ramfs_fs_type)


@custom("mm/shmem.c", "shmem_init", "registers the file system; there is no internal mount")
def shmem_init() -> None:
    """``void __init shmem_init(void)``: called by mnt_init()."""
    if IS_ENABLED("CONFIG_TMPFS"):
        register_filesystem(shmem_fs_type)


# ------------------------------------------------------------------------- character devices that a boot opens

def read_null(file: Any, buf: Any, count: int, ppos: Any) -> int:
    """``ssize_t read_null(struct file *file, char __user *buf, size_t count, loff_t *ppos)``: the end of the file"""
    return 0


def write_null(file: Any, buf: Any, count: int, ppos: Any) -> int:
    """``ssize_t write_null(struct file *file, const char __user *buf, size_t count, loff_t *ppos)``: all of it, nowhere"""
    return count


def write_console(file: Any, buf: Any, count: int, ppos: Any) -> int:
    """What a program writes to the console is a line of the log."""
    printk("%s", bytes(buf[:count]).decode("utf-8", "replace"))
    return count


null_fops = file_operations(read=read_null, write=write_null)
console_fops = file_operations(read=read_null, write=write_console)
# drivers/char/mem.c's devlist, and tty_init()'s console
devlist = ((1, 3, "null", 0o666, null_fops), (1, 5, "zero", 0o666, null_fops), (1, 7, "full", 0o666, null_fops), (5, 1, "console", 0o600, console_fops))


@fs_initcall
@custom("drivers/char/mem.c", "chr_dev_init", "null, zero and full (which read as null does), and the console")
def chr_dev_init() -> int:
    """``static int __init chr_dev_init(void)``: 0."""
    for major, minor, name, mode, fops in devlist:
        cdev_add(fops, MKDEV(major, minor))
        devtmpfs_create_node(name, S_IFCHR | mode, MKDEV(major, minor))
    return 0

names("dup", "drivers/char/mem.c", "read_null", "write_null")
names("custom", "drivers/tty/tty_io.c", "write_console", how="a line of the kernel's log")
