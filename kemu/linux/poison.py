# SPDX-License-Identifier: GPL-2.0-only
"""What freed memory is filled with (include/linux/poison.h)."""
from kemu.machine.region import POISON_FREE_INITMEM  # noqa: F401
