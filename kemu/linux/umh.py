# SPDX-License-Identifier: GPL-2.0-only
"""Usermode helpers (include/linux/umh.h): a port of kernel/umh.c.

There are no programs here: what a helper's execve() does is decided by the machine's ``helpers`` (path -> function), and every helper that
is not among them is looked for in the tree, as execve() looks for it, and then exits with 0.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.atomic import atomic_dec_and_test, atomic_inc, atomic_read, atomic_t, xchg
from kemu.linux.completion import complete, completion, wait_for_completion
from kemu.linux.errno import EAGAIN, EBUSY, EINVAL, ENOMEM
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup, port_of
from kemu.linux.init import kernel_execve, wait_for_initramfs
from kemu.linux.rwsem import down_read, down_write, rw_semaphore, up_read, up_write
from kemu.linux.sched import HZ
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.statics import statics
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.wait import WaitQueueHead, wait_event_timeout, wake_up
from kemu.linux.workqueue import INIT_WORK, WQ_UNBOUND, Workqueue, queue_work, work_struct
from kemu.machine.current import this
from kemu.machine.machine import should_fail

UMH_NO_WAIT, UMH_WAIT_EXEC, UMH_WAIT_PROC, UMH_KILLABLE, UMH_FREEZABLE = 0, 1, 2, 4, 8
UMH_ENABLED, UMH_FREEZING, UMH_DISABLED = range(3)
RUNNING_HELPERS_TIMEOUT = 5 * HZ

g = statics(umhelper_sem=rw_semaphore, usermodehelper_disabled=UMH_DISABLED, running_helpers=atomic_t,
            running_helpers_waitq=lambda: WaitQueueHead("running helpers"), usermodehelper_disabled_waitq=lambda: WaitQueueHead("usermode helpers"),
            system_dfl_wq=lambda: Workqueue("events_unbound", WQ_UNBOUND, 0))


@dup("include/linux/umh.h")
class subprocess_info:
    """``struct subprocess_info``"""

    __slots__ = ("argv", "cleanup", "complete", "data", "envp", "init", "path", "retval", "wait", "work")

    def __init__(self) -> None:
        self.work = work_struct(self)
        self.complete: completion | None = None
        self.path: str | None = None
        self.argv: list[str] = []
        self.envp: list[str] = []
        self.wait = 0
        self.retval = 0
        self.init: Callable[[Any, Any], int] | None = None
        self.cleanup: Callable[[Any], None] | None = None
        self.data: Any = None


@port_of("kernel/umh.c", "call_usermodehelper_freeinfo")
def call_usermodehelper_freeinfo(info: subprocess_info) -> None:
    """``void call_usermodehelper_freeinfo(struct subprocess_info *info)``"""
    if info.cleanup is not None:
        info.cleanup(info)
    kfree(info)


@port_of("kernel/umh.c", "umh_complete")
def umh_complete(sub_info: subprocess_info) -> None:
    """``void umh_complete(struct subprocess_info *sub_info)``"""
    comp = xchg(sub_info, "complete", None)
    # If xchg() returns NULL we own sub_info, the UMH_KILLABLE caller has gone away or the caller used UMH_NO_WAIT.
    if comp is not None:
        complete(comp)
    else:
        call_usermodehelper_freeinfo(sub_info)


@custom("kernel/fork.c", "user_mode_thread", "a task with its own copy of fs_struct; 'comm' names it in reports")
def user_mode_thread(fn: Callable[[Any], int], arg: Any, comm: str = "kworker/u4") -> int:
    """``pid_t user_mode_thread(int (*fn)(void *), void *arg, unsigned long flags)``: not PF_KTHREAD. Return: a pid, or -ENOMEM."""
    if this.chooser is not None and should_fail("failslab", "user_mode_thread"):
        return -ENOMEM
    from kemu.linux.task_work import task_work_run
    from kemu.linux.vfs.fs_struct import copy_fs_struct, free_fs_struct

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
        ended = this.machine.parts.setdefault("umh_exits", {})
        ended[me.pid] = me.exit_code
        wq = this.machine.parts.get("umh_exit_wq")
        if wq is not None:
            wq.wake()

    t = this.sched.spawn(comm, body, 0)
    t.fs = fs
    return t.pid


@custom("kernel/exit.c", "kernel_wait", "of a task made by user_mode_thread()")
def kernel_wait(pid: int) -> int:
    """``int kernel_wait(pid_t pid, int *stat)``: sleeps until it has ended; its wait status (the exit code << 8)."""
    parts = this.machine.parts
    wq = parts.get("umh_exit_wq")
    if wq is None:
        wq = parts["umh_exit_wq"] = WaitQueueHead("the exit of a usermode helper")
    while pid not in parts.setdefault("umh_exits", {}):
        this.sched.block(wq)
    return int(parts["umh_exits"].pop(pid))


@dup("kernel/umh.c", "call_usermodehelper_exec_async")
def call_usermodehelper_exec_async(data: subprocess_info) -> int:
    """This is the task which runs the usermode application."""
    sub_info = data

    # Reset umask to the default.
    current_fs().umask = 0o022

    retval = -ENOMEM
    new: Any = kzalloc_obj(object, GFP_KERNEL)          # prepare_kernel_cred()
    if new is not None:
        retval = 0
        if sub_info.init is not None:
            retval = sub_info.init(sub_info, new)
        kfree(new)
        if not retval:
            wait_for_initramfs()
            retval = kernel_execve(sub_info.path or "", sub_info.argv, sub_info.envp)
    sub_info.retval = retval
    # call_usermodehelper_exec_sync() will call umh_complete if UHM_WAIT_PROC.
    if not sub_info.wait & UMH_WAIT_PROC:
        umh_complete(sub_info)
    return 0


@port_of("kernel/umh.c", "call_usermodehelper_exec_sync")
def call_usermodehelper_exec_sync(sub_info: subprocess_info) -> None:
    """Handles UMH_WAIT_PROC."""
    pid = user_mode_thread(call_usermodehelper_exec_async, sub_info)
    if pid < 0:
        sub_info.retval = pid
    else:
        stat = kernel_wait(pid)
        if stat:
            sub_info.retval = stat
    umh_complete(sub_info)


@port_of("kernel/umh.c", "call_usermodehelper_exec_work")
def call_usermodehelper_exec_work(work: work_struct) -> None:
    """``void call_usermodehelper_exec_work(struct work_struct *work)``"""
    sub_info: subprocess_info = work.container

    if sub_info.wait & UMH_WAIT_PROC:
        call_usermodehelper_exec_sync(sub_info)
    else:
        pid = user_mode_thread(call_usermodehelper_exec_async, sub_info)
        if pid < 0:
            sub_info.retval = pid
            umh_complete(sub_info)


@dup("kernel/umh.c", "usermodehelper_read_trylock")
def usermodehelper_read_trylock() -> int:
    """``int usermodehelper_read_trylock(void)``: 0, or -EAGAIN (disabled)"""
    down_read(g.umhelper_sem)
    while True:
        if not g.usermodehelper_disabled:
            return 0
        ret = -EAGAIN if g.usermodehelper_disabled == UMH_DISABLED else 0
        up_read(g.umhelper_sem)
        if ret:
            return ret
        this.sched.block(g.usermodehelper_disabled_waitq)
        down_read(g.umhelper_sem)


@port_of("kernel/umh.c", "usermodehelper_read_unlock")
def usermodehelper_read_unlock() -> None:
    """``void usermodehelper_read_unlock(void)``"""
    up_read(g.umhelper_sem)


@port_of("kernel/umh.c", "__usermodehelper_set_disable_depth")
def __usermodehelper_set_disable_depth(depth: int) -> None:
    """``void __usermodehelper_set_disable_depth(enum umh_disable_depth depth)``"""
    down_write(g.umhelper_sem)
    g.usermodehelper_disabled = depth
    wake_up(g.usermodehelper_disabled_waitq)
    up_write(g.umhelper_sem)


@dup("include/linux/umh.h")
def usermodehelper_enable() -> None:
    """``void usermodehelper_enable(void)``: helpers may run from now on; wakes who waits for that."""
    __usermodehelper_set_disable_depth(UMH_ENABLED)


@port_of("kernel/umh.c", "__usermodehelper_disable")
def __usermodehelper_disable(depth: int) -> int:
    """``int __usermodehelper_disable(enum umh_disable_depth depth)``: -EINVAL for depth 0, -EAGAIN if helpers ran on for 5 s"""
    if not depth:
        return -EINVAL

    down_write(g.umhelper_sem)
    g.usermodehelper_disabled = depth
    up_write(g.umhelper_sem)

    # From now on call_usermodehelper_exec() won't start any new helpers
    retval = wait_event_timeout(g.running_helpers_waitq, lambda: atomic_read(g.running_helpers) == 0, RUNNING_HELPERS_TIMEOUT)
    if retval:
        return 0

    __usermodehelper_set_disable_depth(UMH_ENABLED)
    return -EAGAIN


@port_of("kernel/umh.c", "helper_lock")
def helper_lock() -> None:
    """``void helper_lock(void)``"""
    atomic_inc(g.running_helpers)


@port_of("kernel/umh.c", "helper_unlock")
def helper_unlock() -> None:
    """``void helper_unlock(void)``"""
    if atomic_dec_and_test(g.running_helpers):
        wake_up(g.running_helpers_waitq)


@port_of("kernel/umh.c", "call_usermodehelper_setup")
def call_usermodehelper_setup(path: str | None, argv: list[str], envp: list[str], gfp_mask: int, init: Any, cleanup: Any, data: Any) -> Any:
    """``struct subprocess_info *call_usermodehelper_setup(const char *path, char **argv, char **envp, gfp_t gfp_mask, int
    (*init)(struct subprocess_info *info, struct cred *new), void (*cleanup)(struct subprocess_info *info), void *data)``:
    NULL without memory.
    """
    sub_info = kzalloc_obj(subprocess_info, gfp_mask)
    if sub_info is None:
        return None

    INIT_WORK(sub_info.work, call_usermodehelper_exec_work)
    sub_info.path = path
    sub_info.argv = argv
    sub_info.envp = envp

    sub_info.cleanup = cleanup
    sub_info.init = init
    sub_info.data = data
    return sub_info


@dup("kernel/umh.c", "call_usermodehelper_exec")
def call_usermodehelper_exec(sub_info: subprocess_info, wait: int) -> int:
    """``int call_usermodehelper_exec(struct subprocess_info *sub_info, int wait)``:
    -EINVAL without a path, -EBUSY while disabled, -ENOMEM of the completion's work; else what the wait asked for.
    """
    done = completion(by=f"the usermode helper {sub_info.path}")
    retval = 0

    if sub_info.path is None:
        call_usermodehelper_freeinfo(sub_info)
        return -EINVAL
    helper_lock()
    try:
        if g.usermodehelper_disabled:
            retval = -EBUSY
            call_usermodehelper_freeinfo(sub_info)
            return retval

        # If there is no binary for us to call, then just return and get out of here.
        if not sub_info.path:
            call_usermodehelper_freeinfo(sub_info)
            return retval

        # Set the completion pointer only if there is a waiter.
        sub_info.complete = None if wait == UMH_NO_WAIT else done
        sub_info.wait = wait

        queue_work(g.system_dfl_wq, sub_info.work)
        if wait == UMH_NO_WAIT:     # task has freed sub_info
            return retval

        wait_for_completion(done)
        retval = sub_info.retval
        call_usermodehelper_freeinfo(sub_info)
        return retval
    finally:
        helper_unlock()


@port_of("kernel/umh.c", "call_usermodehelper")
def call_usermodehelper(path: str, argv: list[str], envp: list[str], wait: int) -> int:
    """``int call_usermodehelper(const char *path, char **argv, char **envp, int wait)``:
    -ENOMEM, or as call_usermodehelper_exec().
    """
    gfp_mask = GFP_KERNEL

    info = call_usermodehelper_setup(path, argv, envp, gfp_mask, None, None, None)
    if info is None:
        return -ENOMEM
    return call_usermodehelper_exec(info, wait)
