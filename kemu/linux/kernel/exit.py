# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a task that ends (kernel/exit.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.linux.types import Ref
from kemu.linux.wait import WaitQueueHead
from kemu.machine.current import this

C = "kernel/exit.c"


@custom(C, "exit_notify", "instead of a zombie: what user_mode_thread() made and has ended")
class Ended:
    """Tasks of one machine that have ended and that nobody has waited for: pid -> wait status."""

    __slots__ = ("status", "wait")

    def __init__(self) -> None:
        self.status: dict[int, int] = {}
        self.wait = WaitQueueHead("the exit of a usermode helper")


@custom(C, "kernel_wait", "of a task made by user_mode_thread()")
def kernel_wait(pid: int, stat: Ref) -> int:
    """``int kernel_wait(pid_t pid, int *stat)``: sleeps until it has ended; its wait status (the exit code << 8), if not 0, in
    ``stat``. Return: ``pid``.
    """
    ended = this.machine.part(Ended)
    while pid not in ended.status:
        this.sched.block(ended.wait)
    wo_stat = ended.status.pop(pid)
    if wo_stat:
        stat.v = wo_stat
    return pid
