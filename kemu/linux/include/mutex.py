# SPDX-License-Identifier: GPL-2.0-only
"""struct mutex (include/linux/mutex.h): taking one; giving it back is in kernel/locking/mutex.py."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EINTR
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/mutex.h"


@dup("include/linux/mutex_types.h")
class mutex:
    """``struct mutex``: ``owner`` is the task that holds it."""

    __slots__ = ("name", "owner", "wq")

    def __init__(self, name: str = "mutex"):
        self.owner: Any = None
        self.wq: WaitQueue | None = None
        self.name = name


@dup(P)
def mutex_init(lock: mutex) -> None:
    """``mutex_init(mutex)``"""
    lock.owner = None


@custom(P, "mutex_lock", "a scheduler queue, without optimistic spinning")
def mutex_lock(lock: mutex) -> None:
    """``void mutex_lock(struct mutex *lock)``. Context: may sleep; taking one's own again is a report."""
    if this.watch is not None:
        this.watch.event("might_sleep", what="mutex_lock")
    if this.chooser is not None:
        this.sched.yield_("mutex_lock")
    task = this.task
    while lock.owner is not None:
        if lock.owner is task:
            func = caller_function()[0]
            raise KernelBug(f"WARNING: possible recursive locking detected in {func}",
                            [f"{lock.name} already held by {task.comm}/{task.pid}"], function=func)
        if lock.wq is None:
            lock.wq = WaitQueue(lock.name, lambda: lock.owner)
        this.sched.block(lock.wq)
    lock.owner = task
    if this.watch is not None:
        this.watch.lock("mutex", lock)


@custom(P, "mutex_lock_killable", "a scheduler queue; a signal is seen only before the wait")
def mutex_lock_killable(lock: mutex) -> int:
    """``int mutex_lock_killable(struct mutex *lock)``: -EINTR if a fatal signal is pending."""
    if this.task.pending_signal:
        return -EINTR
    mutex_lock(lock)
    return 0


@custom(P, "mutex_trylock", "knows who holds it")
def mutex_trylock(lock: mutex) -> bool:
    """``int mutex_trylock(struct mutex *lock)``"""
    if lock.owner is not None:
        return False
    lock.owner = this.task
    if this.watch is not None:
        this.watch.lock("mutex", lock)
    return True


@dup(P)
def mutex_is_locked(lock: mutex) -> bool:
    """``bool mutex_is_locked(struct mutex *lock)``"""
    return lock.owner is not None
