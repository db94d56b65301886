# SPDX-License-Identifier: GPL-2.0-only
"""/sys/firmware (drivers/base/firmware.c)."""
from __future__ import annotations

from kemu.linux.fs.sysfs.file import g as sysfs_g
from kemu.linux.include.kobject import kobject
from kemu.linux.port.honesty import custom

C = "drivers/base/firmware.c"


@custom(C, "firmware_init", "the kobject only")
def firmware_init() -> int:
    """``int firmware_init(void)``: makes /sys/firmware."""
    k = kobject()
    k.name = "firmware"
    k.refs = 1
    sysfs_g.firmware_kobj = k
    return 0
