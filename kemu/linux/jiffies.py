# SPDX-License-Identifier: GPL-2.0-only
"""Time in ticks (include/linux/jiffies.h)."""
from kemu.linux.sched import HZ, jiffies

__all__ = ["HZ", "jiffies"]
