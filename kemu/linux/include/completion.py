# SPDX-License-Identifier: GPL-2.0-only
"""struct completion (include/linux/completion.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup, names
from kemu.linux.types import UINT_MAX
from kemu.machine.current import this
from kemu.machine.sched import NSEC_PER_JIFFY, WaitQueue

P = "include/linux/completion.h"


@dup(P)
class completion:
    """``struct completion``: ``by`` may name who is to complete it, for reports."""

    __slots__ = ("by", "done", "wq")

    def __init__(self, by: Any = ""):
        self.done = 0
        self.wq: WaitQueue | None = None
        self.by = by


@dup(P)
def init_completion(x: completion) -> None:
    """``init_completion(x)``"""
    x.done = 0


reinit_completion = init_completion


@dup(P)
def wait_for_completion_timeout(x: completion, timeout: int) -> int:
    """``unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout)``: jiffies left, 0 if timed out.
    """
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


names("dup", P, "reinit_completion")
