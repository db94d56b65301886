# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/string_helpers.h: its types, constants and inline functions."""
from __future__ import annotations

ULLONG_MAX = (1 << 64) - 1
_DIGITS = "0123456789abcdef"
