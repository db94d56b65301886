# SPDX-License-Identifier: GPL-2.0-only
"""struct rw_semaphore (include/linux/rwsem.h): taking and giving back are in kernel/locking/rwsem.py."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup
from kemu.machine.sched import WaitQueue

P = "include/linux/rwsem.h"


@dup(P)
class rw_semaphore:
    """``struct rw_semaphore``: a writer or any number of readers."""

    __slots__ = ("name", "readers", "writer", "wq")

    def __init__(self, name: str = "rwsem"):
        self.readers = 0
        self.writer: Any = None
        self.wq: WaitQueue | None = None
        self.name = name


@dup(P)
def init_rwsem(sem: rw_semaphore) -> None:
    """``init_rwsem(sem)``"""
    sem.readers = 0
    sem.writer = None
