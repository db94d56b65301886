# SPDX-License-Identifier: GPL-2.0-only
"""Files in sysfs (include/linux/sysfs.h): binary attributes below a kobject, without a mounted sysfs."""
from __future__ import annotations

from kemu.linux.drivers.base.firmware import firmware_init  # noqa: F401
from kemu.linux.fs.sysfs.file import g as sysfs_g
from kemu.linux.fs.sysfs.file import sysfs_bin_attr_simple_read, sysfs_create_bin_file, sysfs_files  # noqa: F401
from kemu.linux.include.kobject import kobject
from kemu.linux.include.sysfs import bin_attribute  # noqa: F401
from kemu.linux.port.honesty import custom

P = "include/linux/firmware.h"


@custom(P, "firmware_kobj", "made by driver_init() of the machine's boot")
def firmware_kobj() -> kobject:
    """``firmware_kobj``: None before driver_init()."""
    return sysfs_g.firmware_kobj          # type: ignore[no-any-return]
