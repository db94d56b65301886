# SPDX-License-Identifier: GPL-2.0-only
"""Per-CPU reader/writer semaphores (include/linux/percpu-rwsem.h): here there is one CPU."""
from __future__ import annotations

from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.kernel.locking.rwsem import down_read, down_read_trylock, up_read
from kemu.linux.port.honesty import custom

P = "include/linux/percpu-rwsem.h"

HOW = "an ordinary rw_semaphore"


@custom(P, "percpu_rw_semaphore", HOW)
class percpu_rw_semaphore(rw_semaphore):
    """``struct percpu_rw_semaphore``"""

    __slots__ = ()


@custom(P, "percpu_down_read", HOW)
def percpu_down_read(sem: percpu_rw_semaphore) -> None:
    """``void percpu_down_read(struct percpu_rw_semaphore *sem)``. Context: may sleep."""
    down_read(sem)


@custom(P, "percpu_down_read_trylock", HOW)
def percpu_down_read_trylock(sem: percpu_rw_semaphore) -> bool:
    """``bool percpu_down_read_trylock(struct percpu_rw_semaphore *sem)``"""
    return down_read_trylock(sem)


@custom(P, "percpu_up_read", HOW)
def percpu_up_read(sem: percpu_rw_semaphore) -> None:
    """``void percpu_up_read(struct percpu_rw_semaphore *sem)``"""
    up_read(sem)
