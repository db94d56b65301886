# SPDX-License-Identifier: GPL-2.0-only
"""Sleeping for a time (kernel/time/sleep_timeout.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.sched import NSEC_PER_JIFFY

C = "kernel/time/sleep_timeout.c"


@custom(C, "schedule_timeout_uninterruptible", "the machine's scheduler and clock")
def schedule_timeout_uninterruptible(timeout: int) -> int:
    """``long schedule_timeout_uninterruptible(long timeout)``: jiffies."""
    this.sched.sleep(timeout * NSEC_PER_JIFFY)
    return 0


@custom(C, "msleep", "the machine's scheduler and clock")
def msleep(msecs: int) -> None:
    """``void msleep(unsigned int msecs)``"""
    this.sched.sleep(msecs * 1_000_000)
