# SPDX-License-Identifier: GPL-2.0-only
"""New tasks (kernel/fork.c): the scheduler makes them."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.errno import ENOMEM
from kemu.linux.fs.fs_struct import copy_fs_struct, free_fs_struct
from kemu.linux.include.sched import current_fs
from kemu.linux.kernel.exit import Ended
from kemu.linux.kernel.sched.idle import BootDone
from kemu.linux.kernel.task_work import task_work_run
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.sched import PF_KTHREAD, WaitQueue

C = "kernel/fork.c"


@custom(C, "kernel_thread", "the scheduler makes the task: no copy_process()")
def kernel_thread(fn: Callable[[Any], int], arg: Any, name: str) -> int:
    """``pid_t kernel_thread(int (*fn)(void *), void *arg, const char *name, unsigned long flags)``: PF_KTHREAD, shares init's
    fs_struct.
    """
    return this.sched.spawn(name, lambda: (fn(arg), None)[1], PF_KTHREAD).pid


@custom(C, "user_mode_thread", "the scheduler makes the task: no copy_process()")
def kernel_thread_fn(fn: Callable[[Any], int], arg: Any, comm: str) -> int:
    """``pid_t user_mode_thread(fn, arg, CLONE_FS)``: shares init's fs_struct and is no PF_KTHREAD; it runs task_work when ``fn``
    returns.
    """
    def body() -> None:
        me = this.task
        me.exit_code = fn(arg)
        # return to user mode
        task_work_run()
        this.machine.part(BootDone).wait.wake()
        this.sched.block(WaitQueue(f"{comm} is in user space"))

    return this.sched.spawn(comm, body, 0).pid


@custom(C, "user_mode_thread", "a task with its own copy of fs_struct; 'comm' names it in reports")
def user_mode_thread(fn: Callable[[Any], int], arg: Any, flags: int = 0, comm: str = "kworker/u4") -> int:
    """``pid_t user_mode_thread(int (*fn)(void *), void *arg, unsigned long flags)``: not PF_KTHREAD.

    Return: a pid, or -ENOMEM.
    """
    if this.chooser is not None and should_fail("failslab", "user_mode_thread"):
        return -ENOMEM
    fs = copy_fs_struct(current_fs())
    if fs is None:
        return -ENOMEM

    def body() -> None:
        me = this.task
        fn(arg)                     # what a program exits with is in exit_code then
        task_work_run()
        me.fs, mine = None, me.fs
        free_fs_struct(mine)
        task_work_run()
        ended = this.machine.part(Ended)
        ended.status[me.pid] = me.exit_code
        ended.wait.wake()

    t = this.sched.spawn(comm, body, 0)
    t.fs = fs
    return t.pid
