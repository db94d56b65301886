# SPDX-License-Identifier: GPL-2.0-only
"""The current task: preemption, signals, memory flags (include/linux/sched.h, include/linux/sched/mm.h, include/linux/preempt.h).
"""
from __future__ import annotations

from kemu.linux.include.fs_struct import FsStruct
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.sched import Task

P = "include/linux/sched/mm.h"

TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, TASK_KILLABLE = 1, 2, 0x102
PF_MEMALLOC_NOIO, PF_MEMALLOC_NOFS = 0x00080000, 0x00040000


@dup("include/asm-generic/current.h")
def current() -> Task:
    """``current``"""
    return this.task


@custom("include/linux/sched.h", "cond_resched",
        "another task runs if the Chooser says so, and at every 256th call: loops poll with this")
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
    """``int signal_pending_state(unsigned int state, struct task_struct *p)``: ``state`` is TASK_KILLABLE or TASK_INTERRUPTIBLE
    """
    return signal_pending(p)


@dup(P)
def memalloc_noio_save() -> int:
    """``unsigned int memalloc_noio_save(void)``"""
    old = this.task.memalloc
    this.task.memalloc = old | PF_MEMALLOC_NOIO
    return old


@dup(P)
def memalloc_noio_restore(flags: int) -> None:
    """``void memalloc_noio_restore(unsigned int flags)``"""
    this.task.memalloc = flags


@dup(P)
def memalloc_nofs_save() -> int:
    """``unsigned int memalloc_nofs_save(void)``"""
    old = this.task.memalloc
    this.task.memalloc = old | PF_MEMALLOC_NOFS
    return old


@dup(P)
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


@custom("include/linux/sched.h", "current->fs", "tasks without their own share init's; the first use makes the mount tree")
def current_fs() -> FsStruct:
    """The current task's fs_struct."""
    fs = this.task.fs
    if fs is None:
        from kemu.linux.fs.fs_struct import g as fs_struct_g  # noqa: PLC0415  (up into fs/fs_struct.c)

        fs = fs_struct_g.init_fs
        if fs.root.mnt is None:
            from kemu.linux.fs.namespace import mnt_init  # noqa: PLC0415  (up into fs/namespace.c)

            mnt_init()
    return fs                                           # type: ignore[no-any-return]
