# SPDX-License-Identifier: GPL-2.0-only
"""RCU (include/linux/rcupdate.h): callbacks run when every task has passed a quiescent point, here: at the machine's idle points.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.machine import IdleWork
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/rcupdate.h"


class _Rcu:
    """Pending callbacks of one machine."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending: list[tuple[Any, Callable[[Any], None]]] = []
        this.machine.part(IdleWork).drain_rcu = self.drain

    def drain(self) -> None:
        if any(t.rcu_depth for t in this.sched.tasks):
            return
        while self.pending:
            batch, self.pending = self.pending, []
            for head, fn in batch:
                fn(head)


def _rcu() -> _Rcu:
    return this.machine.part(_Rcu)


@custom("include/linux/types.h", "rcu_head", "knows its container")
class rcu_head:
    """``struct rcu_head``"""

    __slots__ = ("container",)

    def __init__(self, container: Any = None):
        self.container = container


@dup(P)
def rcu_read_lock() -> None:
    """``void rcu_read_lock(void)``"""
    this.task.rcu_depth += 1


@dup(P)
def rcu_read_unlock() -> None:
    """``void rcu_read_unlock(void)``"""
    task = this.task
    if task.rcu_depth <= 0:
        raise KernelBug(f"WARNING: bad unlock balance detected in {caller_function()[0]}: rcu_read_lock",
                        function=caller_function()[0])
    task.rcu_depth -= 1


@custom(P, "call_rcu", "the callback runs at the next idle point or rcu_barrier(); with a Chooser attached, when it says so")
def call_rcu(head: Any, func: Callable[[Any], None]) -> None:
    """``void call_rcu(struct rcu_head *head, rcu_callback_t func)``"""
    _rcu().pending.append((head, func))
