# SPDX-License-Identifier: GPL-2.0-only
"""Where the boot CPU ends (kernel/sched/idle.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue

C = "kernel/sched/idle.c"


@custom(C, "do_idle", "what the boot CPU waits for")
class BootDone:
    """PID 1 of one machine has reached user space."""

    __slots__ = ("wait",)

    def __init__(self) -> None:
        self.wait = WaitQueue("PID 1 to reach user space")


@custom(C, "cpu_startup_entry", "ends when PID 1 has reached user space")
def cpu_startup_entry() -> None:
    """``void cpu_startup_entry(enum cpuhp_state state)``: the idle loop of the boot CPU."""
    this.sched.block(this.machine.part(BootDone).wait)
