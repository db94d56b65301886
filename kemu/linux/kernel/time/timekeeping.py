# SPDX-License-Identifier: GPL-2.0-only
"""The clock (kernel/time/timekeeping.c): the machine's."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "kernel/time/timekeeping.c"


@custom(C, "ktime_get", "the machine's scheduler and clock")
def ktime_get() -> int:
    """``ktime_t ktime_get(void)``: nanoseconds of virtual time."""
    return this.machine.clock.now_ns
