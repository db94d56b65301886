# SPDX-License-Identifier: GPL-2.0-only
"""Waiting on a bit of a flag word (include/linux/wait_bit.h)."""
from __future__ import annotations

from kemu.linux.bitops import Bits
from kemu.linux.errno import EINTR
from kemu.linux.honesty import custom, dup
from kemu.linux.wait import might_sleep
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue

TASK_UNINTERRUPTIBLE, TASK_KILLABLE, TASK_INTERRUPTIBLE = 2, 0x102, 1


@dup("include/linux/wait_bit.h")
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


@custom("kernel/sched/wait_bit.c", "wake_up_bit", "a scheduler queue instead of a hashed wait queue with a lock")
def wake_up_bit(word: Bits, bit: int) -> None:
    """``void wake_up_bit(unsigned long *word, int bit)``"""
    if word.waiters is not None:
        word.waiters.wake()


@dup("include/linux/wait_bit.h")
def clear_and_wake_up_bit(bit: int, word: Bits) -> None:
    """``void clear_and_wake_up_bit(int bit, unsigned long *word)``"""
    word.v &= ~(1 << bit)
    if this.watch is not None:
        this.watch.unlock("bit", (word, bit))
    if word.waiters is not None:
        word.waiters.wake()
