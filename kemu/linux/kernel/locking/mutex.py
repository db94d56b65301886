# SPDX-License-Identifier: GPL-2.0-only
"""Giving a mutex back (kernel/locking/mutex.c); taking one is in include/mutex.py."""
from __future__ import annotations

from kemu.linux.include.mutex import mutex
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.splat import KernelBug, caller_function

C = "kernel/locking/mutex.c"


@custom(C, "mutex_unlock", "a scheduler queue: no handoff, no optimistic spinning")
def mutex_unlock(lock: mutex) -> None:
    """``void mutex_unlock(struct mutex *lock)``: only by its owner."""
    if lock.owner is not this.task:
        func = caller_function()[0]
        raise KernelBug(f"WARNING: bad unlock balance detected in {func}", [f"{lock.name} is held by {lock.owner!r}"],
                        function=func)
    lock.owner = None
    if lock.wq is not None:
        lock.wq.wake(1)
    if this.watch is not None:
        this.watch.unlock("mutex", lock)
