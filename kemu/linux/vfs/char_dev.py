# SPDX-License-Identifier: GPL-2.0-only
"""Character devices: a number leads to file operations (fs/char_dev.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EBUSY, ENXIO
from kemu.linux.honesty import custom, dup
from kemu.linux.statics import statics
from kemu.linux.vfs.types import File, Inode, file_operations

g = statics(cdev_map={})


def chrdev_open(inode: Inode, filp: File) -> int:
    fops = g.cdev_map.get(inode.i_rdev)
    if fops is None:
        return -ENXIO
    filp.f_op = fops
    inode.i_cdev = fops
    if fops.open is not None:
        return int(fops.open(inode, filp))
    return 0


def noop_llseek(file: File, offset: int, whence: int) -> int:
    return file.f_pos


def fifo_open(inode: Inode, filp: File) -> int:
    return -ENXIO


def_chr_fops = file_operations(open=chrdev_open, llseek=noop_llseek)
pipefifo_fops = file_operations(open=fifo_open)


@custom("fs/char_dev.c", "cdev_add", "takes the operations and one number")
def cdev_add(fops: Any, dev: int) -> int:
    """``int cdev_add(struct cdev *p, dev_t dev, unsigned count)``. Return: 0, or -EBUSY if the number is taken."""
    if dev in g.cdev_map:
        return -EBUSY
    g.cdev_map[dev] = fops
    return 0


@dup("fs/char_dev.c")
def cdev_del(dev: int) -> None:
    """``void cdev_del(struct cdev *p)``"""
    g.cdev_map.pop(dev, None)
