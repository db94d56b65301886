# SPDX-License-Identifier: GPL-2.0-only
"""The current task (include/linux/sched.h, include/linux/sched/mm.h, include/linux/preempt.h)."""
from __future__ import annotations

from kemu.linux.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.sched import HZ, NSEC_PER_JIFFY, PF_KTHREAD, Task

PF_MEMALLOC_NOIO, PF_MEMALLOC_NOFS = 0x00080000, 0x00040000


@dup("include/asm-generic/current.h")
def current() -> Task:
    """``current``"""
    return this.task


@custom("include/linux/sched.h", "cond_resched", "another task runs if the Chooser says so, and at every 256th call: loops poll with this")
def cond_resched() -> int:
    """``int cond_resched(void)``. Context: may sleep."""
    if this.watch is not None:
        this.watch.event("might_sleep", what="cond_resched")
    sched = this.sched
    sched.polls += 1
    if not sched.polls & 255 and (sched.runnable or sched.sleepers):
        sched.relax("cond_resched")
    elif this.chooser is not None:
        sched.yield_("cond_resched")
    return 0


@custom("include/asm-generic/processor.h", "cpu_relax", "lets other tasks run, or the loop would never end")
def cpu_relax() -> None:
    """``cpu_relax()``"""
    this.sched.relax("cpu_relax")


@dup("include/linux/sched/signal.h")
def fatal_signal_pending(task: Task) -> bool:
    """``int fatal_signal_pending(struct task_struct *p)``"""
    return task.pending_signal


@dup("include/linux/sched/signal.h")
def signal_pending(task: Task) -> bool:
    """``int signal_pending(struct task_struct *p)``"""
    return task.pending_signal


@custom("include/linux/sched/signal.h", "signal_pending_state", "every signal here is fatal")
def signal_pending_state(state: int, p: Task) -> bool:
    """``int signal_pending_state(unsigned int state, struct task_struct *p)``: ``state`` is TASK_KILLABLE or TASK_INTERRUPTIBLE"""
    return signal_pending(p)


@dup("include/linux/sched/mm.h")
def memalloc_noio_save() -> int:
    """``unsigned int memalloc_noio_save(void)``"""
    old = this.task.memalloc
    this.task.memalloc = old | PF_MEMALLOC_NOIO
    return old


@dup("include/linux/sched/mm.h")
def memalloc_noio_restore(flags: int) -> None:
    """``void memalloc_noio_restore(unsigned int flags)``"""
    this.task.memalloc = flags


@dup("include/linux/sched/mm.h")
def memalloc_nofs_save() -> int:
    """``unsigned int memalloc_nofs_save(void)``"""
    old = this.task.memalloc
    this.task.memalloc = old | PF_MEMALLOC_NOFS
    return old


@dup("include/linux/sched/mm.h")
def memalloc_nofs_restore(flags: int) -> None:
    """``void memalloc_nofs_restore(unsigned int flags)``"""
    this.task.memalloc = flags


@dup("include/linux/preempt.h")
def preempt_disable() -> None:
    """``preempt_disable()``"""
    this.task.preempt_count += 1


@dup("include/linux/preempt.h")
def preempt_enable() -> None:
    """``preempt_enable()``"""
    this.task.preempt_count -= 1


@custom("kernel/sched/core.c", "migrate_disable", "the machine's scheduler and clock")
def migrate_disable() -> None:
    """``void migrate_disable(void)``"""


@custom("kernel/sched/core.c", "migrate_enable", "the machine's scheduler and clock")
def migrate_enable() -> None:
    """``void migrate_enable(void)``"""


@dup("include/linux/preempt.h")
def preemptible() -> bool:
    """``preemptible()``"""
    return this.task.preempt_count == 0


@dup("include/linux/rcupdate.h")
def rcu_preempt_depth() -> int:
    """``int rcu_preempt_depth(void)``"""
    return this.task.rcu_depth


@dup("include/linux/smp.h")
def raw_smp_processor_id() -> int:
    """``raw_smp_processor_id()``: there is one CPU."""
    return 0


@dup("include/linux/cpumask.h")
def num_possible_cpus() -> int:
    """``num_possible_cpus()``"""
    return 1


@custom("kernel/time/sleep_timeout.c", "schedule_timeout_uninterruptible", "the machine's scheduler and clock")
def schedule_timeout_uninterruptible(timeout: int) -> int:
    """``long schedule_timeout_uninterruptible(long timeout)``: jiffies."""
    this.sched.sleep(timeout * NSEC_PER_JIFFY)
    return 0


@custom("kernel/time/sleep_timeout.c", "msleep", "the machine's scheduler and clock")
def msleep(msecs: int) -> None:
    """``void msleep(unsigned int msecs)``"""
    this.sched.sleep(msecs * 1_000_000)


@dup("include/linux/delay.h", "ssleep")
def ssleep(seconds: int) -> None:
    """``void ssleep(unsigned int seconds)``"""
    msleep(seconds * 1000)


@custom("kernel/time/timekeeping.c", "ktime_get", "the machine's scheduler and clock")
def ktime_get() -> int:
    """``ktime_t ktime_get(void)``: nanoseconds of virtual time."""
    return this.machine.clock.now_ns


@dup("include/asm-generic/preempt.h")
def preempt_count() -> int:
    """``preempt_count()``"""
    return this.task.preempt_count


@dup("include/asm-generic/preempt.h")
def preempt_count_set(pc: int) -> None:
    """``preempt_count_set(pc)``"""
    this.task.preempt_count = pc


@dup("include/linux/jiffies.h", "jiffies")
def jiffies() -> int:
    """``jiffies``"""
    return this.machine.clock.jiffies


names("custom", "include/linux/sched.h", "Task", how="struct task_struct as far as ported code and the scheduler use it")

__all__ = ["HZ", "PF_KTHREAD", "PF_MEMALLOC_NOFS", "PF_MEMALLOC_NOIO", "Task", "cond_resched", "cpu_relax", "current", "fatal_signal_pending", "jiffies",
           "memalloc_nofs_restore", "memalloc_nofs_save", "memalloc_noio_restore", "memalloc_noio_save", "migrate_disable", "migrate_enable", "msleep",
           "ktime_get", "num_possible_cpus", "preempt_count", "preempt_count_set", "preempt_disable", "preempt_enable", "preemptible", "raw_smp_processor_id", "rcu_preempt_depth",
           "schedule_timeout_uninterruptible", "signal_pending", "signal_pending_state", "ssleep"]
