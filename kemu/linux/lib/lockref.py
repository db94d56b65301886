# SPDX-License-Identifier: GPL-2.0-only
"""A lock and a count in one (lib/lockref.c)."""
from __future__ import annotations

from kemu.linux.include.lockref import lockref
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock

C = "lib/lockref.c"


@custom(C, "lockref_get", "the count changes in one step, as the C does it with cmpxchg")
def lockref_get(r: lockref) -> None:
    """``void lockref_get(struct lockref *lockref)``"""
    r.count += 1


@custom(C, "lockref_get_not_zero", "the count changes in one step, as the C does it with cmpxchg")
def lockref_get_not_zero(r: lockref) -> bool:
    """``bool lockref_get_not_zero(struct lockref *lockref)``: False if the count was 0 or the reference is dead."""
    if r.count <= 0:
        return False
    r.count += 1
    return True


@dup(C)
def lockref_put_or_lock(r: lockref) -> bool:
    """``bool lockref_put_or_lock(struct lockref *lockref)``: True if dropped without the lock; False: count <= 1 and the lock is
    held.
    """
    if r.count > 1:
        r.count -= 1
        return True
    spin_lock(r.lock)
    if r.count <= 1:
        return False
    r.count -= 1
    spin_unlock(r.lock)
    return True


@dup(C)
def lockref_mark_dead(r: lockref) -> None:
    """``void lockref_mark_dead(struct lockref *lockref)``"""
    r.count = -128
