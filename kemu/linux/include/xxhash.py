# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/xxhash.h: its types, constants and inline functions."""
from __future__ import annotations

_P1, _P2, _P3, _P4, _P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
_M = 0xFFFF_FFFF
