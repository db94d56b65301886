# SPDX-License-Identifier: GPL-2.0-only
"""Devices and drivers (include/linux/device.h): waiting until they have been probed."""
from kemu.linux.drivers.base.dd import driver_probe_done, wait_for_device_probe  # noqa: F401
from kemu.linux.drivers.base.devtmpfs import devtmpfs_mount  # noqa: F401
from kemu.linux.drivers.base.init import driver_init  # noqa: F401
