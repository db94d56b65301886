# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/firmware.h: its types, constants and inline functions."""
from __future__ import annotations

UTS_RELEASE = "7.2.0"
fw_path = ("/lib/firmware/updates/" + UTS_RELEASE, "/lib/firmware/updates", "/lib/firmware/" + UTS_RELEASE, "/lib/firmware")
