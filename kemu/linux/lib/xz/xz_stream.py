# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of the .xz format (lib/xz/xz_stream.h)."""
from __future__ import annotations

VLI_UNKNOWN = (1 << 64) - 1
