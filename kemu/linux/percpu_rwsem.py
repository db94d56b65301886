# SPDX-License-Identifier: GPL-2.0-only
"""Per-CPU reader/writer semaphores (include/linux/percpu-rwsem.h): here there is one CPU."""
from __future__ import annotations

from kemu.linux.honesty import custom
from kemu.linux.rwsem import down_read, down_read_trylock, rw_semaphore, up_read

HOW = "an ordinary rw_semaphore"


@custom("include/linux/percpu-rwsem.h", "percpu_rw_semaphore", HOW)
class percpu_rw_semaphore(rw_semaphore):
    """``struct percpu_rw_semaphore``"""

    __slots__ = ()


@custom("include/linux/percpu-rwsem.h", "percpu_down_read", HOW)
def percpu_down_read(sem: percpu_rw_semaphore) -> None:
    """``void percpu_down_read(struct percpu_rw_semaphore *sem)``. Context: may sleep."""
    down_read(sem)


@custom("include/linux/percpu-rwsem.h", "percpu_down_read_trylock", HOW)
def percpu_down_read_trylock(sem: percpu_rw_semaphore) -> bool:
    """``bool percpu_down_read_trylock(struct percpu_rw_semaphore *sem)``"""
    return down_read_trylock(sem)


@custom("include/linux/percpu-rwsem.h", "percpu_up_read", HOW)
def percpu_up_read(sem: percpu_rw_semaphore) -> None:
    """``void percpu_up_read(struct percpu_rw_semaphore *sem)``"""
    up_read(sem)
