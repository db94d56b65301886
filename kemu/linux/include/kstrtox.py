# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/kstrtox.h: its types, constants and inline functions."""
from __future__ import annotations

_DIGITS = {c: i for i, c in enumerate("0123456789abcdef")} | {c: i + 10 for i, c in enumerate("ABCDEF")}
