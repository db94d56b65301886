# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/string_helpers.h: its types, constants and inline functions."""
from __future__ import annotations

_DIGITS = "0123456789abcdef"
