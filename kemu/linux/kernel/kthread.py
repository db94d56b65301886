# SPDX-License-Identifier: GPL-2.0-only
"""kthreadd (kernel/kthread.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue

C = "kernel/kthread.c"


@custom(C, "kthreadd", "sleeps: kernel threads are made by the scheduler itself")
def kthreadd(unused: Any) -> int:
    """``int kthreadd(void *unused)``"""
    wq = WaitQueue("work for kthreadd")
    while True:
        this.sched.block(wq)
