# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for RCU (kernel/rcu/tree.c)."""
from __future__ import annotations

from kemu.linux.include.rcupdate import _rcu
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "kernel/rcu/tree.c"


@custom(C, "rcu_barrier", "callbacks run at the machine's idle points")
def rcu_barrier() -> None:
    """``void rcu_barrier(void)``: all callbacks queued so far have run. Context: may sleep."""
    _rcu().drain()


@custom(C, "synchronize_rcu", "callbacks run at the machine's idle points")
def synchronize_rcu() -> None:
    """``void synchronize_rcu(void)``: waits for readers. Context: may sleep."""
    while any(t.rcu_depth for t in this.sched.tasks if t is not this.task):
        this.sched.relax("synchronize_rcu")
