# SPDX-License-Identifier: GPL-2.0-only
"""Firmware from the file system (include/linux/firmware.h): what drivers/base/firmware_loader/main.c does first, and
fs/kernel_read_file.c.
"""
from kemu.linux.drivers.base.firmware_loader.main import request_firmware  # noqa: F401
from kemu.linux.fs.kernel_read_file import kernel_read_file, kernel_read_file_from_path_initns  # noqa: F401
from kemu.linux.include.firmware import UTS_RELEASE, fw_path  # noqa: F401
