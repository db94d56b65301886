# SPDX-License-Identifier: GPL-2.0-only
"""lib.xz.xz_stream"""
from __future__ import annotations

VLI_UNKNOWN = (1 << 64) - 1
