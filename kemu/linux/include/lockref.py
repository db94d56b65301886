# SPDX-License-Identifier: GPL-2.0-only
"""struct lockref (include/linux/lockref.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import dup
from kemu.linux.spinlock import spinlock_t

P = "include/linux/lockref.h"


@dup(P)
class lockref:
    """``struct lockref``"""

    __slots__ = ("count", "lock")

    def __init__(self) -> None:
        self.lock = spinlock_t()
        self.count = 0


@dup(P)
def lockref_init(r: lockref) -> None:
    """``void lockref_init(struct lockref *lockref)``: one reference."""
    r.lock.owner = None
    r.count = 1


@dup(P)
def __lockref_is_dead(r: lockref) -> bool:
    """``bool __lockref_is_dead(const struct lockref *l)``"""
    return r.count < 0
