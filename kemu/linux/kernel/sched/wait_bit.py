# SPDX-License-Identifier: GPL-2.0-only
"""Waking who waits on a bit (kernel/sched/wait_bit.c)."""
from __future__ import annotations

from kemu.linux.bitops import Bits
from kemu.linux.port.honesty import custom

C = "kernel/sched/wait_bit.c"


@custom(C, "wake_up_bit", "a scheduler queue instead of a hashed wait queue with a lock")
def wake_up_bit(word: Bits, bit: int) -> None:
    """``void wake_up_bit(unsigned long *word, int bit)``"""
    if word.waiters is not None:
        word.waiters.wake()
