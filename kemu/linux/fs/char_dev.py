# SPDX-License-Identifier: GPL-2.0-only
"""Character devices: a number leads to file operations (fs/char_dev.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EBUSY, ENXIO
from kemu.linux.fs.read_write import noop_llseek
from kemu.linux.include.fs.types import File, Inode, file_operations
from kemu.linux.port.honesty import custom, dup
from kemu.machine.statics import statics

C = "fs/char_dev.c"


@statics
class g:
    cdev_map: dict[int, file_operations] = {}


def chrdev_open(inode: Inode, filp: File) -> int:
    fops = g.cdev_map.get(inode.i_rdev)
    if fops is None:
        return -ENXIO
    filp.f_op = fops
    inode.i_cdev = fops
    if fops.open is not None:
        return int(fops.open(inode, filp))
    return 0


@custom(C, "cdev_add", "takes the operations and one number")
def cdev_add(fops: Any, dev: int) -> int:
    """``int cdev_add(struct cdev *p, dev_t dev, unsigned count)``. Return: 0, or -EBUSY if the number is taken."""
    if dev in g.cdev_map:
        return -EBUSY
    g.cdev_map[dev] = fops
    return 0


@dup(C)
def cdev_del(dev: int) -> None:
    """``void cdev_del(struct cdev *p)``"""
    g.cdev_map.pop(dev, None)


def_chr_fops = file_operations(open=chrdev_open, llseek=noop_llseek)
