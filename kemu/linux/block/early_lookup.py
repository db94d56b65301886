# SPDX-License-Identifier: GPL-2.0-only
"""Block devices by name before there is a /dev (block/early-lookup.c)."""
from __future__ import annotations

import re

from kemu.linux.block.genhd import _disks
from kemu.linux.errno import EINVAL, ENODEV
from kemu.linux.include.blkdev import GENHD_FL_HIDDEN, get_capacity
from kemu.linux.kdev_t import MAJOR, MINOR, MKDEV, new_decode_dev
from kemu.linux.lib.vsprintf import simple_strtoull
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.printk import printk
from kemu.linux.types import Ref

C = "block/early-lookup.c"


def devt_from_devname(name: str, devt: Ref) -> int:
    """``int devt_from_devname(const char *name, dev_t *devt)``:
    -ENODEV: no disk or partition of that name; -EINVAL: a longer name than a disk can have.
    """
    if len(name) > 31:
        return -EINVAL
    for disk in _disks().values():
        if disk.disk_name == name.replace("/", "!"):
            devt.v = MKDEV(disk.major, disk.first_minor)
            return 0
    return -ENODEV


def devt_from_devnum(name: str, devt: Ref) -> int:
    """``int devt_from_devnum(const char *name, dev_t *devt)``: -EINVAL: neither major:minor nor a number"""
    m = re.fullmatch(r"\s*(\d+):\s*(\d+)", name, re.ASCII) or re.fullmatch(r"\s*(\d+):\s*(\d+):\s*\d+:.", name, re.ASCII)
    if m:
        maj, mnr = int(m[1]), int(m[2])
        devt.v = MKDEV(maj, mnr)
        if maj != MAJOR(devt.v) or mnr != MINOR(devt.v):
            return -EINVAL
        return 0
    value, rest = simple_strtoull(name, 16)
    devt.v = new_decode_dev(value)
    return -EINVAL if rest else 0


@dup(C)
def early_lookup_bdev(name: str, devt: Ref) -> int:
    """``int early_lookup_bdev(const char *name, dev_t *devt)``. Return: 0, -ENODEV, -EINVAL."""
    if name.startswith(("PARTUUID=", "PARTLABEL=")):
        return -ENODEV
    if name.startswith("/dev/"):
        return devt_from_devname(name[5:], devt)
    return devt_from_devnum(name, devt)


@custom(C, "printk_all_partitions", "whole disks")
def printk_all_partitions() -> None:
    """``void printk_all_partitions(void)``"""
    for disk in _disks().values():
        if get_capacity(disk) == 0 or disk.flags & GENHD_FL_HIDDEN:
            continue
        # partitions are not scanned, and no disk has a parent with a driver
        printk("%-9s %10llu %s %s", f"{disk.major:02x}{disk.first_minor:02x}", get_capacity(disk) >> 1, disk.disk_name, "")
        printk(" (driver?)\n")


names("dup", C, "devt_from_devname", "devt_from_devnum")
