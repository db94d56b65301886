# SPDX-License-Identifier: GPL-2.0-only
"""Time in ticks (include/linux/jiffies.h)."""
from kemu.linux.include.sched import jiffies  # noqa: F401
from kemu.machine.sched import HZ  # noqa: F401
