# SPDX-License-Identifier: GPL-2.0-only
"""Workqueues (include/linux/workqueue.h): work items run on kworker tasks."""
from kemu.linux.include.gfp import GFP_KERNEL  # noqa: F401
from kemu.linux.include.workqueue import (  # noqa: F401
    INIT_WORK,
    WQ_BH,
    WQ_FREEZABLE,
    WQ_HIGHPRI,
    WQ_MEM_RECLAIM,
    WQ_SYSFS,
    WQ_UNBOUND,
    alloc_workqueue,
    delayed_work,
    flush_workqueue,
    queue_work,
    schedule_delayed_work,
    schedule_work,
    work_struct,
    workqueue_struct,
)
from kemu.linux.kernel.workqueue import destroy_workqueue, flush_delayed_work, flush_work  # noqa: F401
