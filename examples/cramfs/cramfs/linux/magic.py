# SPDX-License-Identifier: GPL-2.0-only
"""Magic numbers (include/uapi/linux/magic.h)."""

CRAMFS_MAGIC = 0x28CD3D45  # some random number
CRAMFS_MAGIC_WEND = 0x453DCD28  # magic number with the wrong endianess
