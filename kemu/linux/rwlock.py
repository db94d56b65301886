# SPDX-License-Identifier: GPL-2.0-only
"""Spinning reader/writer locks (include/linux/rwlock.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/rwlock.h"

HOW = "a lock held by another task is waited for, by this task it is a report"


@custom("include/linux/rwlock_types.h", "rwlock_t", "knows who holds it")
class rwlock_t:
    """``rwlock_t``"""

    __slots__ = ("name", "readers", "writer")

    def __init__(self, name: str = "rwlock") -> None:
        self.readers = 0
        self.writer: Any = None
        self.name = name


def _spin(lock: rwlock_t, what: str) -> None:
    if lock.writer is this.task:
        func = caller_function()[0]
        raise KernelBug(f"BUG: rwlock recursion in {func}", [f"lock already held by {this.task.comm}/{this.task.pid}"],
                        function=func)
    this.sched.relax(what)


@custom(P, "read_lock", HOW)
def read_lock(lock: rwlock_t) -> None:
    """``read_lock(lock)``"""
    if this.chooser is not None:
        this.sched.yield_("read_lock")
    while lock.writer is not None:
        _spin(lock, "read_lock")
    lock.readers += 1
    this.task.preempt_count += 1
    if this.watch is not None:
        this.watch.lock("rwlock-read", lock)


@custom(P, "read_unlock", "reports an unlock without a reader")
def read_unlock(lock: rwlock_t) -> None:
    """``read_unlock(lock)``"""
    if lock.readers <= 0:
        func = caller_function()[0]
        raise KernelBug(f"BUG: rwlock wrong unlock in {func}", function=func)
    lock.readers -= 1
    this.task.preempt_count -= 1
    if this.watch is not None:
        this.watch.unlock("rwlock-read", lock)


@custom(P, "write_lock", HOW)
def write_lock(lock: rwlock_t) -> None:
    """``write_lock(lock)``"""
    if this.chooser is not None:
        this.sched.yield_("write_lock")
    while lock.writer is not None or lock.readers:
        _spin(lock, "write_lock")
    lock.writer = this.task
    this.task.preempt_count += 1
    if this.watch is not None:
        this.watch.lock("rwlock-write", lock)


@custom(P, "write_unlock", "reports an unlock by a task that does not hold it")
def write_unlock(lock: rwlock_t) -> None:
    """``write_unlock(lock)``"""
    if lock.writer is not this.task:
        func = caller_function()[0]
        raise KernelBug(f"BUG: rwlock wrong owner in {func}", function=func)
    lock.writer = None
    this.task.preempt_count -= 1
    if this.watch is not None:
        this.watch.unlock("rwlock-write", lock)
