# SPDX-License-Identifier: GPL-2.0-only
"""The current task (include/linux/sched.h, include/linux/sched/mm.h, include/linux/preempt.h)."""
from __future__ import annotations

from kemu.linux.include.sched import (  # noqa: F401
    PF_MEMALLOC_NOFS,
    PF_MEMALLOC_NOIO,
    TASK_INTERRUPTIBLE,
    TASK_KILLABLE,
    TASK_UNINTERRUPTIBLE,
    cond_resched,
    cpu_relax,
    current,
    fatal_signal_pending,
    jiffies,
    memalloc_nofs_restore,
    memalloc_nofs_save,
    memalloc_noio_restore,
    memalloc_noio_save,
    num_possible_cpus,
    preempt_count,
    preempt_count_set,
    preempt_disable,
    preempt_enable,
    preemptible,
    raw_smp_processor_id,
    rcu_preempt_depth,
    signal_pending,
    signal_pending_state,
)
from kemu.linux.kernel.sched.core import migrate_disable, migrate_enable  # noqa: F401
from kemu.linux.kernel.time.sleep_timeout import msleep, schedule_timeout_uninterruptible  # noqa: F401
from kemu.linux.kernel.time.timekeeping import ktime_get  # noqa: F401
from kemu.linux.port.honesty import dup, names
from kemu.machine.sched import HZ, PF_KTHREAD, Task  # noqa: F401

P = "include/linux/delay.h"


@dup(P, "ssleep")
def ssleep(seconds: int) -> None:
    """``void ssleep(unsigned int seconds)``"""
    msleep(seconds * 1000)


names("custom", "include/linux/sched.h", "Task", how="struct task_struct as far as ported code and the scheduler use it")
