# SPDX-License-Identifier: GPL-2.0-only
"""Work items, delayed ones, and queueing them (include/linux/workqueue.h)."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail
from kemu.machine.sched import NSEC_PER_JIFFY, PF_KTHREAD, Task, WaitQueue
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/workqueue.h"

WQ_BH, WQ_UNBOUND, WQ_FREEZABLE, WQ_MEM_RECLAIM, WQ_HIGHPRI = 1, 2, 4, 8, 16
WQ_SYSFS = 64


@custom("include/linux/workqueue_types.h", "work_struct", "knows its container")
class work_struct:
    """``struct work_struct``: ``func(work)`` runs in a kworker."""

    __slots__ = ("container", "func", "pending", "running", "wq")

    def __init__(self, container: Any = None):
        self.container = container
        self.func: Callable[[Any], None] | None = None
        self.pending = False
        self.running: Task | None = None
        self.wq: workqueue_struct | None = None


@dup(P)
class delayed_work(work_struct):
    """``struct delayed_work``: ``timer`` is a token while the timer runs."""

    __slots__ = ("timer",)

    def __init__(self, container: Any = None):
        super().__init__(container)
        self.timer: object = None


@custom(P, "workqueue_struct", "items and the kworkers that serve them")
class workqueue_struct:
    """``struct workqueue_struct``"""

    __slots__ = ("destroyed", "flags", "idle", "items", "max_active", "name", "running", "waiters", "workers")

    def __init__(self, name: str, flags: int, max_active: int):
        self.name = name
        self.flags = flags
        self.max_active = max_active or 256
        self.items: deque[work_struct] = deque()
        self.idle = WaitQueue(f"work on {name}")
        self.workers: list[Task] = []
        self.running = 0
        self.waiters = WaitQueue(f"flush of {name}")
        self.destroyed = False


@dup(P)
def alloc_workqueue(fmt: str, flags: int = 0, max_active: int = 0, *args: Any) -> workqueue_struct:
    """``struct workqueue_struct *alloc_workqueue(const char *fmt, unsigned int flags, int max_active, ...)``: None on failure."""
    if this.chooser is not None and should_fail("failslab", "alloc_workqueue"):
        return NULL             # type: ignore[no-any-return]
    wq = workqueue_struct(fmt % args if args else fmt, flags, max_active)
    if this.watch is not None:
        this.watch.alloc("workqueue", wq, 0)
    return wq


@dup(P)
def INIT_WORK(work: work_struct, func: Callable[[Any], None]) -> None:
    """``INIT_WORK(work, func)``: initialising a pending item is a report."""
    if work.pending:
        f = caller_function()[0]
        raise KernelBug(f"ODEBUG: init active (active state 0) object: work_struct in {f}", function=f)
    work.func = func


def _worker(wq: workqueue_struct) -> None:
    sched = this.sched
    me = this.task
    while True:
        if not wq.items:
            if wq.destroyed:
                return
            sched.block(wq.idle)
            continue
        work = wq.items.popleft()
        work.pending = False
        func = work.func
        assert func is not None
        work.running = me
        wq.running += 1
        before = (me.preempt_count, me.rcu_depth)
        func(work)                  # may free the item: it is not touched again unless it still says it runs here
        wq.running -= 1
        if work.running is me:
            work.running = None
        if (me.preempt_count, me.rcu_depth) != before:
            raise KernelBug(f"BUG: workqueue leaked atomic, lock or RCU: {me.comm}[{me.pid}] preempt={me.preempt_count} "
                            f"func={func.__name__}",
                            function=func.__name__)
        if wq.waiters.tasks:
            wq.waiters.wake()


@custom(P, "queue_work", "one kworker for each workqueue; work is a list")
def queue_work(wq: workqueue_struct, work: work_struct) -> bool:
    """``bool queue_work(struct workqueue_struct *wq, struct work_struct *work)``: False if it is already queued."""
    if work.pending:
        return False
    if wq.destroyed:
        f = caller_function()[0]
        raise KernelBug(f"WARNING: work queued on destroyed workqueue {wq.name} in {f}", function=f)
    work.pending = True
    work.wq = wq
    wq.items.append(work)
    if wq.idle.tasks:
        wq.idle.wake(1)
    elif len(wq.workers) < wq.max_active and len(wq.workers) < len(wq.items) + wq.running:
        unbound = wq.flags & WQ_UNBOUND
        n = len(wq.workers)
        t = this.sched.spawn(f"kworker/u4:{n}" if unbound else f"kworker/0:{n}", lambda: _worker(wq), PF_KTHREAD)
        wq.workers.append(t)
    if this.chooser is not None:
        this.sched.yield_("queue_work")
    return True


class _Events(workqueue_struct):
    """``system_wq`` of one machine."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("events", 0, 0)


def _system_wq() -> workqueue_struct:
    return this.machine.part(_Events)


@dup(P)
def schedule_work(work: work_struct) -> bool:
    """``bool schedule_work(struct work_struct *work)``"""
    return queue_work(_system_wq(), work)


@custom(P, "schedule_delayed_work", "a timer of the machine, then system_percpu_wq")
def schedule_delayed_work(work: delayed_work, delay: int) -> bool:
    """``bool schedule_delayed_work(struct delayed_work *dwork, unsigned long delay)``: delay in jiffies."""
    if work.pending:
        return False
    work.pending = True
    work.timer = token = object()

    def later() -> None:
        this.sched.sleep(delay * NSEC_PER_JIFFY)
        if work.timer is token:             # else flush_delayed_work() came first
            work.timer = None
            work.pending = False
            queue_work(_system_wq(), work)

    this.sched.spawn("timer", later, PF_KTHREAD)
    return True


@dup(P)
def flush_workqueue(wq: workqueue_struct) -> None:
    """``flush_workqueue(wq)``. Context: may sleep."""
    while wq.items or wq.running:
        this.sched.block(wq.waiters)
