# SPDX-License-Identifier: GPL-2.0-only
"""/dev/null and its like (drivers/char/mem.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.drivers.base.devtmpfs import devtmpfs_create_node
from kemu.linux.drivers.tty.tty_io import write_console
from kemu.linux.fs.char_dev import cdev_add
from kemu.linux.include.fs.types import file_operations
from kemu.linux.include.init import fs_initcall
from kemu.linux.kdev_t import MKDEV
from kemu.linux.port.honesty import custom, names
from kemu.linux.stat import S_IFCHR

C = "drivers/char/mem.c"


def read_null(file: Any, buf: Any, count: int, ppos: Any) -> int:
    """``ssize_t read_null(struct file *file, char __user *buf, size_t count, loff_t *ppos)``: the end of the file"""
    return 0


def write_null(file: Any, buf: Any, count: int, ppos: Any) -> int:
    """``ssize_t write_null(struct file *file, const char __user *buf, size_t count, loff_t *ppos)``: all of it, nowhere"""
    return count


null_fops = file_operations(read=read_null, write=write_null)
console_fops = file_operations(read=read_null, write=write_console)

# drivers/char/mem.c's devlist, and tty_init()'s console
devlist = ((1, 3, "null", 0o666, null_fops), (1, 5, "zero", 0o666, null_fops), (1, 7, "full", 0o666, null_fops),
           (5, 1, "console", 0o600, console_fops))


@fs_initcall
@custom(C, "chr_dev_init", "null, zero and full (which read as null does), and the console")
def chr_dev_init() -> int:
    """``static int __init chr_dev_init(void)``: 0."""
    for major, minor, name, mode, fops in devlist:
        cdev_add(fops, MKDEV(major, minor))
        devtmpfs_create_node(name, S_IFCHR | mode, MKDEV(major, minor))
    return 0


names("dup", C, "read_null", "write_null")
