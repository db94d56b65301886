# SPDX-License-Identifier: GPL-2.0-only
"""Sequence locks (include/linux/seqlock.h): a spinlock for writers, and a count by which readers see that there was one."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.machine.current import this

P = "include/linux/seqlock.h"


@custom("include/linux/seqlock_types.h", "seqlock_t", "the count is an int")
class seqlock_t:
    """``seqlock_t``: ``sequence`` is odd while somebody writes."""

    __slots__ = ("lock", "name", "sequence")

    def __init__(self, name: str = "") -> None:
        self.lock = spinlock_t(name)
        self.sequence = 0
        self.name = name


@custom(P, "read_seqbegin", "waits for a writer by letting it run")
def read_seqbegin(sl: seqlock_t) -> int:
    """``unsigned read_seqbegin(const seqlock_t *sl)``"""
    while sl.sequence & 1:
        this.sched.relax("read_seqbegin")
    return sl.sequence


@custom(P, "read_seqretry", "the count is compared as it is")
def read_seqretry(sl: seqlock_t, start: int) -> bool:
    """``unsigned read_seqretry(const seqlock_t *sl, unsigned start)``"""
    return sl.sequence != start


@custom(P, "write_seqlock", "the count is an int")
def write_seqlock(sl: seqlock_t) -> None:
    """``void write_seqlock(seqlock_t *sl)``"""
    spin_lock(sl.lock)
    sl.sequence += 1


@custom(P, "write_sequnlock", "the count is an int")
def write_sequnlock(sl: seqlock_t) -> None:
    """``void write_sequnlock(seqlock_t *sl)``"""
    sl.sequence += 1
    spin_unlock(sl.lock)


@dup(P)
def read_seqlock_excl(sl: seqlock_t) -> None:
    """``void read_seqlock_excl(seqlock_t *sl)``: no writer and no other such reader until read_sequnlock_excl()."""
    spin_lock(sl.lock)


@dup(P)
def read_sequnlock_excl(sl: seqlock_t) -> None:
    """``void read_sequnlock_excl(seqlock_t *sl)``"""
    spin_unlock(sl.lock)
