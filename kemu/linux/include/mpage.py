# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/mpage.h: its types, constants and inline functions."""
from __future__ import annotations

from kemu.linux.include.buffer_head import BH_Boundary, BH_Mapped, BH_Uptodate

_Mapped, _Uptodate, _Boundary = 1 << BH_Mapped, 1 << BH_Uptodate, 1 << BH_Boundary
