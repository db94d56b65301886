# SPDX-License-Identifier: GPL-2.0-only
"""Tasks, locks, work and waiting."""
from __future__ import annotations

import pytest

from kemu.linux.completion import complete, completion, wait_for_completion, wait_for_completion_timeout
from kemu.linux.kthread import kthread_run
from kemu.linux.mutex import mutex, mutex_lock, mutex_trylock, mutex_unlock
from kemu.linux.port.statics import statics
from kemu.linux.rcupdate import call_rcu, rcu_barrier, rcu_head
from kemu.linux.rwsem import down_read, down_write, down_write_trylock, rw_semaphore, up_read, up_write
from kemu.linux.sched import cond_resched, msleep
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.workqueue import INIT_WORK, alloc_workqueue, destroy_workqueue, flush_workqueue, queue_work, work_struct
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.splat import Deadlock
from tests.conftest import raises_splat


def test_work_runs_when_the_task_waits(machine):
    log = []
    wq = alloc_workqueue("w")
    done = completion()
    work = work_struct()

    def fn(w):
        log.append(this.task.comm)
        complete(done)

    INIT_WORK(work, fn)
    assert queue_work(wq, work) and not queue_work(wq, work)
    assert log == []
    wait_for_completion(done)
    assert log == ["kworker/0:0"]
    destroy_workqueue(wq)


def test_init_of_a_pending_item_is_reported(machine):
    wq, work = alloc_workqueue("w"), work_struct()
    INIT_WORK(work, lambda w: None)
    queue_work(wq, work)
    with raises_splat("ODEBUG"):
        INIT_WORK(work, lambda w: None)


def test_leaked_lock_in_a_work_item(machine):
    wq, work, lock = alloc_workqueue("w"), work_struct(), spinlock_t()
    INIT_WORK(work, lambda w: spin_lock(lock))
    queue_work(wq, work)
    with raises_splat("workqueue leaked"):
        flush_workqueue(wq)


def test_deadlock_names_who_waits_for_whom(machine):
    a, b = mutex("a"), mutex("b")

    def other(data):
        mutex_lock(b)
        msleep(1)
        mutex_lock(a)
        return 0

    kthread_run(other, None, "other")
    mutex_lock(a)
    msleep(1)
    with pytest.raises(Deadlock) as e:
        mutex_lock(b)
    text = str(e.value)
    assert "init/1 waits for b, held by other/2" in text and "other/2 waits for a, held by init/1" in text


def test_recursion_and_bad_unlock(machine):
    m, s = mutex(), spinlock_t()
    mutex_lock(m)
    assert not mutex_trylock(m)
    with raises_splat("recursive locking"):
        mutex_lock(m)
    mutex_unlock(m)
    with raises_splat("bad unlock balance"):
        mutex_unlock(m)
    spin_lock(s)
    with raises_splat("spinlock recursion"):
        spin_lock(s)
    spin_unlock(s)
    with raises_splat("already unlocked"):
        spin_unlock(s)


def test_rwsem_writer_waits_for_readers(machine):
    sem, log = rw_semaphore(), []
    down_read(sem)
    assert not down_write_trylock(sem)

    def writer(data):
        down_write(sem)
        log.append("writer")
        up_write(sem)
        return 0

    kthread_run(writer, None, "w")
    machine.idle()
    assert log == []
    up_read(sem)
    machine.idle()
    assert log == ["writer"]


def test_timeout_moves_the_virtual_clock(machine):
    x = completion()
    assert wait_for_completion_timeout(x, 50) == 0
    assert machine.clock.jiffies == 50


def test_rcu_callbacks_run_at_the_barrier(machine):
    seen = []
    call_rcu(rcu_head("obj"), lambda head: seen.append(head.container))
    assert not seen
    rcu_barrier()
    assert seen == ["obj"]


def test_a_chooser_decides_who_runs():
    class Last:
        def task(self, runnable, current, where):
            return len(runnable) - 1

        def fault(self, kind, what):
            return False

        def value(self, name, low, high):
            return low

    order = []

    def body(name):
        order.append(name)
        cond_resched()
        order.append(name)
        return 0

    with Machine(chooser=Last()) as m:
        for n in "ab":
            kthread_run(body, n, n)
        m.idle()
    assert order == ["b", "a", "b", "a"]
    with Machine() as m:
        order.clear()
        for n in "ab":
            kthread_run(body, n, n)
        m.idle()
    assert order == ["a", "a", "b", "b"]


def test_a_splat_in_a_kworker_surfaces(machine):
    wq, work = alloc_workqueue("w"), work_struct()
    INIT_WORK(work, lambda w: this.mem.ld8(0x10))
    queue_work(wq, work)
    with raises_splat("null-ptr-deref"):
        flush_workqueue(wq)
    assert this.task is machine.first_task


def test_statics_are_per_machine():
    @statics
    class g:
        n = 0
        seen: list[int] = []

    with Machine():
        g.n = 5
        g.seen.append(1)
        with Machine():
            assert g.n == 0 and g.seen == []
        assert g.n == 5
    with Machine():
        assert g.n == 0


def test_what_tasks_do_while_they_are_dropped_is_no_report():
    """One task oopses while another is inside a window: the oops is what is told, not how the window was left."""
    def inside(_):
        addr = this.kmap.map(5)
        try:
            msleep(10)
        finally:
            this.kmap.unmap(addr)
            this.mem.ld8(0x10)
        return 0

    def oopses():
        None.bd_nr_sectors  # noqa: B018

    with pytest.raises(AttributeError, match="bd_nr_sectors"), Machine() as m:
        kthread_run(inside, None, "inside")
        kthread_run(lambda _: oopses(), None, "oopses")
        m.idle()
    assert m.kmap.stacks.get(2, []) == []
