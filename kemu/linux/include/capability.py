# SPDX-License-Identifier: GPL-2.0-only
"""File capabilities as an attribute has them (include/uapi/linux/capability.h)."""
from __future__ import annotations

XATTR_CAPS_SZ_2, XATTR_CAPS_SZ_3 = 20, 24
VFS_CAP_REVISION_2, VFS_CAP_REVISION_3 = 0x02000000, 0x03000000
VFS_CAP_FLAGS_EFFECTIVE = 1
