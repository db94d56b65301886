# SPDX-License-Identifier: GPL-2.0-only
"""Completions (include/linux/completion.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.sched import NSEC_PER_JIFFY, WaitQueue

UINT_MAX = 0xFFFFFFFF


@dup("include/linux/completion.h")
class completion:
    """``struct completion``: ``by`` may name who is to complete it, for reports."""

    __slots__ = ("by", "done", "wq")

    def __init__(self, by: Any = ""):
        self.done = 0
        self.wq: WaitQueue | None = None
        self.by = by


@dup("include/linux/completion.h")
def init_completion(x: completion) -> None:
    """``init_completion(x)``"""
    x.done = 0


reinit_completion = init_completion
names("dup", "include/linux/completion.h", "reinit_completion")


@custom("kernel/sched/completion.c", "complete", "a scheduler queue instead of a wait queue with a lock")
def complete(x: completion) -> None:
    """``void complete(struct completion *x)``"""
    if x.done != UINT_MAX:
        x.done += 1
    if x.wq is not None:
        x.wq.wake(1)


@custom("kernel/sched/completion.c", "complete_all", "a scheduler queue instead of a wait queue with a lock")
def complete_all(x: completion) -> None:
    """``void complete_all(struct completion *x)``"""
    x.done = UINT_MAX
    if x.wq is not None:
        x.wq.wake()


@custom("kernel/sched/completion.c", "wait_for_completion", "a scheduler queue instead of a wait queue with a lock")
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
names("custom", "kernel/sched/completion.c", "wait_for_completion_io", how="as wait_for_completion(): nobody counts the wait as I/O")


@dup("include/linux/completion.h")
def wait_for_completion_timeout(x: completion, timeout: int) -> int:
    """``unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout)``: jiffies left, 0 if timed out."""
    end = this.machine.clock.jiffies + timeout
    while not x.done:
        left = end - this.machine.clock.jiffies
        if left <= 0:
            return 0
        if x.wq is None:
            x.wq = WaitQueue("completion", lambda: x.by)
        this.sched.block(x.wq, left * NSEC_PER_JIFFY)
    if x.done != UINT_MAX:
        x.done -= 1
    return max(1, end - this.machine.clock.jiffies)


@custom("kernel/sched/completion.c", "completion_done", "a scheduler queue instead of a wait queue with a lock")
def completion_done(x: completion) -> bool:
    """``bool completion_done(struct completion *x)``"""
    return x.done > 0
