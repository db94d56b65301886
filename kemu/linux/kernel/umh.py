# SPDX-License-Identifier: GPL-2.0-only
"""Usermode helpers (include/linux/umh.h): a port of kernel/umh.c.

There are no programs here: what a helper's execve() does is decided by the machine's ``helpers`` (path -> function), and every
helper that is not among them is looked for in the tree, as execve() looks for it, and then exits with 0.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import atomic_dec_and_test, atomic_inc, atomic_read, atomic_t, xchg
from kemu.linux.errno import EAGAIN, EBUSY, EINVAL, ENOMEM
from kemu.linux.fs.exec import kernel_execve
from kemu.linux.include.completion import completion
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.init import wait_for_initramfs
from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.include.sched import current_fs
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.include.umh import RUNNING_HELPERS_TIMEOUT, UMH_DISABLED, UMH_ENABLED, UMH_NO_WAIT, UMH_WAIT_PROC, subprocess_info
from kemu.linux.include.workqueue import INIT_WORK, WQ_UNBOUND, queue_work, work_struct, workqueue_struct
from kemu.linux.kernel.exit import kernel_wait
from kemu.linux.kernel.fork import user_mode_thread
from kemu.linux.kernel.locking.rwsem import down_read, down_write, up_read, up_write
from kemu.linux.kernel.sched.completion import complete, wait_for_completion
from kemu.linux.kernel.signal import SIG_DFL, SIG_IGN, SIGCHLD, kernel_sigaction
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import dup, port_of
from kemu.linux.types import ptr_to
from kemu.linux.wait import WaitQueueHead, wait_event_timeout, wake_up
from kemu.machine.current import this
from kemu.machine.statics import per_machine, statics

C = "kernel/umh.c"

@statics
class g:
    umhelper_sem: rw_semaphore
    usermodehelper_disabled = UMH_DISABLED
    running_helpers: atomic_t
    running_helpers_waitq = per_machine(lambda: WaitQueueHead("running helpers"))
    usermodehelper_disabled_waitq = per_machine(lambda: WaitQueueHead("usermode helpers"))
    system_dfl_wq = per_machine(lambda: workqueue_struct("events_unbound", WQ_UNBOUND, 0))


@port_of(C, "call_usermodehelper_freeinfo")
def call_usermodehelper_freeinfo(info: subprocess_info) -> None:
    """``void call_usermodehelper_freeinfo(struct subprocess_info *info)``"""
    if info.cleanup is not None:
        info.cleanup(info)
    kfree(info)


@port_of(C, "umh_complete")
def umh_complete(sub_info: subprocess_info) -> None:
    """``void umh_complete(struct subprocess_info *sub_info)``"""
    comp = xchg(sub_info, "complete", None)
    # If xchg() returns NULL we own sub_info, the UMH_KILLABLE caller has gone away or the caller used UMH_NO_WAIT.
    if comp is not None:
        complete(comp)
    else:
        call_usermodehelper_freeinfo(sub_info)


@dup(C, "call_usermodehelper_exec_async")
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


@port_of(C, "call_usermodehelper_exec_sync")
def call_usermodehelper_exec_sync(sub_info: subprocess_info) -> None:
    """Handles UMH_WAIT_PROC."""
    # If SIGCLD is ignored do_wait won't populate the status.
    kernel_sigaction(SIGCHLD, SIG_DFL)
    pid = user_mode_thread(call_usermodehelper_exec_async, sub_info, SIGCHLD)
    if pid < 0:
        sub_info.retval = pid
    else:
        kernel_wait(pid, ptr_to(sub_info, "retval"))

    # Restore default kernel sig handler
    kernel_sigaction(SIGCHLD, SIG_IGN)
    umh_complete(sub_info)


@port_of(C, "call_usermodehelper_exec_work")
def call_usermodehelper_exec_work(work: work_struct) -> None:
    """``void call_usermodehelper_exec_work(struct work_struct *work)``"""
    sub_info: subprocess_info = work.container

    if sub_info.wait & UMH_WAIT_PROC:
        call_usermodehelper_exec_sync(sub_info)
    else:
        pid = user_mode_thread(call_usermodehelper_exec_async, sub_info, SIGCHLD)
        if pid < 0:
            sub_info.retval = pid
            umh_complete(sub_info)


@dup(C, "usermodehelper_read_trylock")
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


@port_of(C, "usermodehelper_read_unlock")
def usermodehelper_read_unlock() -> None:
    """``void usermodehelper_read_unlock(void)``"""
    up_read(g.umhelper_sem)


@port_of(C, "__usermodehelper_set_disable_depth")
def __usermodehelper_set_disable_depth(depth: int) -> None:
    """``void __usermodehelper_set_disable_depth(enum umh_disable_depth depth)``"""
    down_write(g.umhelper_sem)
    g.usermodehelper_disabled = depth
    wake_up(g.usermodehelper_disabled_waitq)
    up_write(g.umhelper_sem)


@port_of(C, "__usermodehelper_disable")
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


@port_of(C, "helper_lock")
def helper_lock() -> None:
    """``void helper_lock(void)``"""
    atomic_inc(g.running_helpers)


@port_of(C, "helper_unlock")
def helper_unlock() -> None:
    """``void helper_unlock(void)``"""
    if atomic_dec_and_test(g.running_helpers):
        wake_up(g.running_helpers_waitq)


@port_of(C, "call_usermodehelper_setup")
def call_usermodehelper_setup(path: str | None, argv: list[str], envp: list[str], gfp_mask: int, init: Any, cleanup: Any,
                              data: Any) -> Any:
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


@dup(C, "call_usermodehelper_exec")
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


@port_of(C, "call_usermodehelper")
def call_usermodehelper(path: str, argv: list[str], envp: list[str], wait: int) -> int:
    """``int call_usermodehelper(const char *path, char **argv, char **envp, int wait)``:
    -ENOMEM, or as call_usermodehelper_exec().
    """
    gfp_mask = GFP_KERNEL

    info = call_usermodehelper_setup(path, argv, envp, gfp_mask, None, None, None)
    if info is None:
        return -ENOMEM
    return call_usermodehelper_exec(info, wait)
