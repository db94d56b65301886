# SPDX-License-Identifier: GPL-2.0-only
"""Wait queues (include/linux/wait.h)."""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.sched import NSEC_PER_JIFFY, WaitQueue

P = "include/linux/wait.h"

WaitQueueHead = WaitQueue
wait_queue_head_t = WaitQueue


@dup(P)
def init_waitqueue_head(wq: WaitQueue) -> None:
    """``init_waitqueue_head(wq_head)``"""
    wq.tasks = []


@custom(P, "wait_event", "the condition is a function")
def wait_event(wq: WaitQueue, condition: Callable[[], object]) -> None:
    """``wait_event(wq_head, condition)``. Context: may sleep."""
    might_sleep("wait_event")
    while not condition():
        this.sched.block(wq)


@custom(P, "wait_event_timeout", "the condition is a function")
def wait_event_timeout(wq: WaitQueue, condition: Callable[[], object], timeout: int) -> int:
    """``wait_event_timeout(wq_head, condition, timeout)``: jiffies left (at least 1), 0 if it timed out with the condition false.
    """
    end = this.machine.clock.jiffies + timeout
    while not condition():
        left = end - this.machine.clock.jiffies
        if left <= 0:
            return 0
        this.sched.block(wq, left * NSEC_PER_JIFFY)
    return max(1, end - this.machine.clock.jiffies)


@dup(P)
def wake_up(wq: WaitQueue) -> None:
    """``wake_up(x)``: all waiters here are non-exclusive."""
    wq.wake()


wake_up_all = wake_up


@custom("include/linux/kernel.h", "might_sleep", "told to the watch, which knows the context")
def might_sleep(what: str = "") -> None:
    """``might_sleep()``"""
    if this.watch is not None:
        this.watch.event("might_sleep", what=what)


names("custom", P, "wait_queue_head_t", "WaitQueueHead", how="a list of tasks; what it waits for has a name, for reports")
names("dup", P, "wake_up_all")
