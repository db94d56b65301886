# SPDX-License-Identifier: GPL-2.0-only
"""Reader/writer semaphores (kernel/locking/rwsem.c)."""
from __future__ import annotations

from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.port.honesty import custom, names
from kemu.machine.current import this
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, caller_function

C = "kernel/locking/rwsem.c"


def _wait(sem: rw_semaphore) -> None:
    if sem.writer is this.task:
        func = caller_function()[0]
        raise KernelBug(f"WARNING: possible recursive locking detected in {func}", [f"{sem.name} already held for writing"],
                        function=func)
    if sem.wq is None:
        sem.wq = WaitQueue(sem.name, lambda: sem.writer)
    this.sched.block(sem.wq)


@custom(C, "down_read", "a scheduler queue: no handoff, no optimistic spinning")
def down_read(sem: rw_semaphore) -> None:
    """``void down_read(struct rw_semaphore *sem)``. Context: may sleep."""
    if this.watch is not None:
        this.watch.event("might_sleep", what="down_read")
    while sem.writer is not None:
        _wait(sem)
    sem.readers += 1
    if this.watch is not None:
        this.watch.lock("rwsem-read", sem)


@custom(C, "down_read_trylock", "a scheduler queue: no handoff, no optimistic spinning")
def down_read_trylock(sem: rw_semaphore) -> bool:
    """``int down_read_trylock(struct rw_semaphore *sem)``"""
    if sem.writer is not None:
        return False
    down_read(sem)
    return True


@custom(C, "up_read", "a scheduler queue: no handoff, no optimistic spinning")
def up_read(sem: rw_semaphore) -> None:
    """``void up_read(struct rw_semaphore *sem)``"""
    if sem.readers <= 0:
        func = caller_function()[0]
        raise KernelBug(f"WARNING: bad unlock balance detected in {func}", [f"{sem.name} has no reader"], function=func)
    sem.readers -= 1
    if not sem.readers and sem.wq is not None:
        sem.wq.wake()
    if this.watch is not None:
        this.watch.unlock("rwsem-read", sem)


@custom(C, "down_write", "a scheduler queue: no handoff, no optimistic spinning")
def down_write(sem: rw_semaphore) -> None:
    """``void down_write(struct rw_semaphore *sem)``. Context: may sleep."""
    if this.watch is not None:
        this.watch.event("might_sleep", what="down_write")
    while sem.writer is not None or sem.readers:
        _wait(sem)
    sem.writer = this.task
    if this.watch is not None:
        this.watch.lock("rwsem-write", sem)


@custom(C, "down_write_killable", "a scheduler queue: who waits is not killed")
def down_write_killable(sem: rw_semaphore) -> int:
    """``int down_write_killable(struct rw_semaphore *sem)``. Context: may sleep. Return: 0."""
    down_write(sem)
    return 0


@custom(C, "down_write_trylock", "a scheduler queue: no handoff, no optimistic spinning")
def down_write_trylock(sem: rw_semaphore) -> bool:
    """``int down_write_trylock(struct rw_semaphore *sem)``"""
    if sem.writer is not None or sem.readers:
        return False
    down_write(sem)
    return True


@custom(C, "up_write", "a scheduler queue: no handoff, no optimistic spinning")
def up_write(sem: rw_semaphore) -> None:
    """``void up_write(struct rw_semaphore *sem)``"""
    if sem.writer is None:
        func = caller_function()[0]
        raise KernelBug(f"WARNING: bad unlock balance detected in {func}", [f"{sem.name} has no writer"], function=func)
    sem.writer = None
    if sem.wq is not None:
        sem.wq.wake()
    if this.watch is not None:
        this.watch.unlock("rwsem-write", sem)


@custom(C, "downgrade_write", "a scheduler queue: no handoff, no optimistic spinning")
def downgrade_write(sem: rw_semaphore) -> None:
    """``void downgrade_write(struct rw_semaphore *sem)``: from writing to reading, with nobody in between."""
    if sem.writer is None:
        func = caller_function()[0]
        raise KernelBug(f"WARNING: bad unlock balance detected in {func}", [f"{sem.name} has no writer"], function=func)
    sem.writer = None
    sem.readers += 1
    if sem.wq is not None:
        sem.wq.wake()
    if this.watch is not None:
        this.watch.unlock("rwsem-write", sem)
        this.watch.lock("rwsem-read", sem)


down_write_nested = down_write


names("custom", C, "down_write_nested", how="as down_write(): there are no lockdep subclasses")
