# SPDX-License-Identifier: GPL-2.0-only
"""Where firmware is looked for (drivers/base/firmware_loader/main.c)."""
from __future__ import annotations

UTS_RELEASE = "7.2.0"
fw_path = ("/lib/firmware/updates/" + UTS_RELEASE, "/lib/firmware/updates", "/lib/firmware/" + UTS_RELEASE, "/lib/firmware")
