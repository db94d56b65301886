# SPDX-License-Identifier: GPL-2.0-only
"""Character devices: a number leads to file operations (fs/char_dev.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EBUSY
from kemu.linux.fs.pipe import g as pipe_g
from kemu.linux.port.honesty import custom, dup

C = "fs/char_dev.c"


@custom(C, "cdev_add", "takes the operations and one number")
def cdev_add(fops: Any, dev: int) -> int:
    """``int cdev_add(struct cdev *p, dev_t dev, unsigned count)``. Return: 0, or -EBUSY if the number is taken."""
    if dev in pipe_g.cdev_map:
        return -EBUSY
    pipe_g.cdev_map[dev] = fops
    return 0


@dup(C)
def cdev_del(dev: int) -> None:
    """``void cdev_del(struct cdev *p)``"""
    pipe_g.cdev_map.pop(dev, None)
