# SPDX-License-Identifier: GPL-2.0-only
"""Waiting for work items, and the end of a queue (kernel/workqueue.c)."""
from __future__ import annotations

from kemu.linux.include.workqueue import _system_wq, delayed_work, flush_workqueue, queue_work, work_struct, workqueue_struct
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "kernel/workqueue.c"


@custom(C, "flush_work", "kworkers are tasks of the machine's scheduler")
def flush_work(work: work_struct) -> bool:
    """``bool flush_work(struct work_struct *work)``: True if it had to wait. Context: may sleep."""
    waited = False
    while work.pending or work.running is not None:
        waited = True
        assert work.wq is not None
        this.sched.block(work.wq.waiters)
    return waited


@custom(C, "flush_delayed_work", "kworkers are tasks of the machine's scheduler")
def flush_delayed_work(work: delayed_work) -> bool:
    """``bool flush_delayed_work(struct delayed_work *dwork)``: what still waits for its timer is queued at once.

    Context: may sleep.
    """
    if work.timer is not None:
        work.timer = None
        work.pending = False
        queue_work(_system_wq(), work)
    return flush_work(work)


@custom(C, "destroy_workqueue", "kworkers are tasks of the machine's scheduler")
def destroy_workqueue(wq: workqueue_struct) -> None:
    """``void destroy_workqueue(struct workqueue_struct *wq)``: drains it first."""
    flush_workqueue(wq)
    wq.destroyed = True
    wq.idle.wake()
    if this.watch is not None:
        this.watch.free("workqueue", wq)


@custom(C, "workqueue_init", "kworkers are made when work is queued")
def workqueue_init() -> None:
    """``void workqueue_init(void)``: from here on queued work runs."""
