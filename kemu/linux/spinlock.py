# SPDX-License-Identifier: GPL-2.0-only
"""Spinlocks (include/linux/spinlock.h).

One CPU runs at a time, so a held spinlock is met only when its holder was switched out, which holding it forbids: then the report
is a deadlock. With a Chooser attached taking one is a scheduling point, as another CPU could run first.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/spinlock.h"


@dup("include/linux/spinlock_types.h")
class spinlock_t:
    """``spinlock_t``: ``owner`` is the task that holds it; ``name`` the class of its locks, if it has one."""

    __slots__ = ("name", "owner")

    def __init__(self, name: str = "") -> None:
        self.owner: Any = None
        self.name = name


@custom(P, "spin_lock", "a lock held by another task is waited for, by this task it is a report")
def spin_lock(lock: spinlock_t) -> None:
    """``void spin_lock(spinlock_t *lock)``"""
    if this.chooser is not None:
        this.sched.yield_("spin_lock")
    task = this.task
    while lock.owner is not None:
        if lock.owner is task:
            func = caller_function()[0]
            raise KernelBug(f"BUG: spinlock recursion in {func}", [f"lock already held by {task.comm}/{task.pid}"], function=func)
        this.sched.relax("spin_lock")
    lock.owner = task
    task.preempt_count += 1
    if this.watch is not None:
        this.watch.lock("spinlock", lock)


@custom(P, "spin_unlock", "reports an unlock by a task that does not hold it")
def spin_unlock(lock: spinlock_t) -> None:
    """``void spin_unlock(spinlock_t *lock)``"""
    task = this.task
    if lock.owner is not task:
        func = caller_function()[0]
        raise KernelBug(f"BUG: spinlock already unlocked in {func}", function=func)
    lock.owner = None
    task.preempt_count -= 1
    if this.watch is not None:
        this.watch.unlock("spinlock", lock)


@custom(P, "spin_trylock", "knows who holds it")
def spin_trylock(lock: spinlock_t) -> bool:
    """``int spin_trylock(spinlock_t *lock)``"""
    if this.chooser is not None:
        this.sched.yield_("spin_trylock")
    if lock.owner is not None:
        return False
    lock.owner = this.task
    this.task.preempt_count += 1
    if this.watch is not None:
        this.watch.lock("spinlock", lock)
    return True


@custom("include/linux/spinlock_rt.h", "spin_lock_init", "knows who holds it")
def spin_lock_init(lock: spinlock_t) -> None:
    """``spin_lock_init(lock)``"""
    lock.owner = None


@dup(P)
def spin_is_locked(lock: spinlock_t) -> bool:
    """``int spin_is_locked(spinlock_t *lock)``"""
    return lock.owner is not None


spin_lock_irq, spin_unlock_irq, spin_lock_bh, spin_unlock_bh = spin_lock, spin_unlock, spin_lock, spin_unlock


names("custom", P, "spin_lock_irq", "spin_unlock_irq", "spin_lock_bh", "spin_unlock_bh",
      how="as spin_lock; there are no interrupts")
