# SPDX-License-Identifier: GPL-2.0-only
"""kernel/exit.c, as far as ported code uses it."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.linux.types import Ref
from kemu.linux.wait import WaitQueueHead
from kemu.machine.current import this

C = "kernel/exit.c"


@custom(C, "kernel_wait", "of a task made by user_mode_thread()")
def kernel_wait(pid: int, stat: Ref) -> int:
    """``int kernel_wait(pid_t pid, int *stat)``: sleeps until it has ended; its wait status (the exit code << 8), if not 0, in ``stat``. Return: ``pid``."""
    parts = this.machine.parts
    wq = parts.get("umh_exit_wq")
    if wq is None:
        wq = parts["umh_exit_wq"] = WaitQueueHead("the exit of a usermode helper")
    while pid not in parts.setdefault("umh_exits", {}):
        this.sched.block(wq)
    wo_stat = int(parts["umh_exits"].pop(pid))
    if wo_stat:
        stat.v = wo_stat
    return pid
