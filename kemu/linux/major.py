# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of devices that Linux has given away (include/uapi/linux/major.h)."""
BLOCK_EXT_MAJOR = 259
RAMDISK_MAJOR = 1
