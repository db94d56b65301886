# SPDX-License-Identifier: GPL-2.0-only
"""Waiting on a bit of a flag word (include/linux/wait_bit.h)."""
from __future__ import annotations

from kemu.linux.bitops import Bits
from kemu.linux.errno import EINTR
from kemu.linux.include.sched import TASK_UNINTERRUPTIBLE
from kemu.linux.port.honesty import dup
from kemu.linux.wait import might_sleep
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue

P = "include/linux/wait_bit.h"


@dup(P)
def wait_on_bit_lock(word: Bits, bit: int, mode: int) -> int:
    """``int wait_on_bit_lock(unsigned long *word, int bit, unsigned mode)``

    Context: may sleep. Return: 0 with the bit set by the caller; -EINTR if a signal that the mode allows came first.
    """
    might_sleep("wait_on_bit_lock")
    while word.v >> bit & 1:
        if mode != TASK_UNINTERRUPTIBLE and this.task.pending_signal:
            return -EINTR
        if word.waiters is None:
            word.waiters = WaitQueue(f"bit {bit}")
        this.sched.block(word.waiters)
    word.v |= 1 << bit
    if this.watch is not None:
        this.watch.lock("bit", (word, bit))
    return 0


@dup(P)
def clear_and_wake_up_bit(bit: int, word: Bits) -> None:
    """``void clear_and_wake_up_bit(int bit, unsigned long *word)``"""
    word.v &= ~(1 << bit)
    if this.watch is not None:
        this.watch.unlock("bit", (word, bit))
    if word.waiters is not None:
        word.waiters.wake()
