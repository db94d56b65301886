# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for a completion, and completing it (kernel/sched/completion.c)."""
from __future__ import annotations

from kemu.linux.include.completion import completion
from kemu.linux.port.honesty import custom, names
from kemu.linux.types import UINT_MAX
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue

C = "kernel/sched/completion.c"


@custom(C, "complete", "a scheduler queue instead of a wait queue with a lock")
def complete(x: completion) -> None:
    """``void complete(struct completion *x)``"""
    if x.done != UINT_MAX:
        x.done += 1
    if x.wq is not None:
        x.wq.wake(1)


@custom(C, "complete_all", "a scheduler queue instead of a wait queue with a lock")
def complete_all(x: completion) -> None:
    """``void complete_all(struct completion *x)``"""
    x.done = UINT_MAX
    if x.wq is not None:
        x.wq.wake()


@custom(C, "wait_for_completion", "a scheduler queue instead of a wait queue with a lock")
def wait_for_completion(x: completion) -> None:
    """``void wait_for_completion(struct completion *x)``. Context: may sleep."""
    if this.watch is not None:
        this.watch.event("might_sleep", what="wait_for_completion")
    while not x.done:
        if x.wq is None:
            x.wq = WaitQueue("completion", lambda: x.by)
        this.sched.block(x.wq)
    if x.done != UINT_MAX:
        x.done -= 1


wait_for_completion_io = wait_for_completion


@custom(C, "completion_done", "a scheduler queue instead of a wait queue with a lock")
def completion_done(x: completion) -> bool:
    """``bool completion_done(struct completion *x)``"""
    return x.done > 0


names("custom", C, "wait_for_completion_io", how="as wait_for_completion(): nobody counts the wait as I/O")
