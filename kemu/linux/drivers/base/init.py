# SPDX-License-Identifier: GPL-2.0-only
"""The first things of the driver model (drivers/base/init.c)."""
from __future__ import annotations

from kemu.linux.drivers.base.devtmpfs import devtmpfs_init
from kemu.linux.drivers.base.firmware import firmware_init
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.port.honesty import custom

C = "drivers/base/init.c"


@custom(C, "driver_init", "devtmpfs and the firmware kobject")
def driver_init() -> None:
    """``void driver_init(void)``"""
    if IS_ENABLED("CONFIG_DEVTMPFS"):
        devtmpfs_init()
    firmware_init()
