# SPDX-License-Identifier: GPL-2.0-only
"""A lock and a count in one (include/linux/lockref.h, lib/lockref.c)."""
from __future__ import annotations

from kemu.linux.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t


@dup("include/linux/lockref.h")
class lockref:
    """``struct lockref``"""

    __slots__ = ("count", "lock")

    def __init__(self) -> None:
        self.lock = spinlock_t()
        self.count = 0


@dup("include/linux/lockref.h")
def lockref_init(r: lockref) -> None:
    """``void lockref_init(struct lockref *lockref)``: one reference."""
    r.lock.owner = None
    r.count = 1


@custom("lib/lockref.c", "lockref_get", "the count changes in one step, as the C does it with cmpxchg")
def lockref_get(r: lockref) -> None:
    """``void lockref_get(struct lockref *lockref)``"""
    r.count += 1


@custom("lib/lockref.c", "lockref_get_not_zero", "the count changes in one step, as the C does it with cmpxchg")
def lockref_get_not_zero(r: lockref) -> bool:
    """``bool lockref_get_not_zero(struct lockref *lockref)``: False if the count was 0 or the reference is dead."""
    if r.count <= 0:
        return False
    r.count += 1
    return True


@dup("lib/lockref.c")
def lockref_put_or_lock(r: lockref) -> bool:
    """``bool lockref_put_or_lock(struct lockref *lockref)``: True if dropped without the lock; False: count <= 1 and the lock is held."""
    if r.count > 1:
        r.count -= 1
        return True
    spin_lock(r.lock)
    if r.count <= 1:
        return False
    r.count -= 1
    spin_unlock(r.lock)
    return True


@dup("lib/lockref.c")
def lockref_mark_dead(r: lockref) -> None:
    """``void lockref_mark_dead(struct lockref *lockref)``"""
    r.count = -128


@dup("include/linux/lockref.h")
def __lockref_is_dead(r: lockref) -> bool:
    """``bool __lockref_is_dead(const struct lockref *l)``"""
    return r.count < 0
