# SPDX-License-Identifier: GPL-2.0-only
"""Work that a task does for itself before it returns to user space (kernel/task_work.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.errno import ESRCH
from kemu.linux.include.sched import cond_resched
from kemu.linux.include.task_work import TWA_RESUME
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.sched import Task

C = "kernel/task_work.c"


@custom(C, "task_work_add", "takes the function and its argument instead of a callback_head")
def task_work_add(task: Task, func: Callable[[Any], None], arg: Any, notify: int = TWA_RESUME) -> int:
    """``int task_work_add(struct task_struct *task, struct callback_head *work, enum task_work_notify_mode notify)``

    Return: 0, or -ESRCH if the task is dead.
    """
    if task.state == "dead":
        return -ESRCH
    task.task_works.append((func, arg))
    return 0


@custom(C, "task_work_run", "nobody cancels work: pi_lock, which waits for task_work_cancel_match(), is not taken")
def task_work_run() -> None:
    """``void task_work_run(void)``: the current task's work, the newest first, then what that has added. Context: may sleep."""
    task = this.task
    while task.task_works:
        works, task.task_works = task.task_works, []
        for func, arg in reversed(works):
            func(arg)
            cond_resched()
