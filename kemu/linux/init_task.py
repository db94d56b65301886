# SPDX-License-Identifier: GPL-2.0-only
"""The first tasks, and what the boot loader and the architecture hand over (init/init_task.c, kernel/fork.c, arch/*/kernel/setup.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.errno import EINVAL
from kemu.linux.honesty import custom
from kemu.linux.init import early_param
from kemu.linux.initrd import initrd
from kemu.linux.string_helpers import memparse
from kemu.linux.task_work import task_work_run
from kemu.machine.current import this
from kemu.machine.sched import PF_KTHREAD, WaitQueue


@early_param("mem")
@custom("arch/x86/kernel/e820.c", "parse_memopt", "whoever makes the machine has given it no more memory than that")
def parse_memopt(p: str | None) -> int:
    """``mem=SIZE``: no memory beyond SIZE is used. Return: 0, -EINVAL."""
    if not p or not memparse(p)[0]:
        return -EINVAL
    return 0


@custom("arch/um/kernel/um_arch.c", "setup_arch",
        "the machine says where the initrd lies (parts 'initrd': physical address and size), as a device tree or a boot loader does")
def setup_arch() -> str:
    """``void setup_arch(char **cmdline_p)``: reserves the initrd and gives the command line."""
    m = this.machine
    addr, size = m.parts.get("initrd", (0, 0))
    if size:
        initrd.phys_initrd_start, initrd.phys_initrd_size = addr, size
    builtin = m.parts.get("builtin")
    if builtin is not None:
        initrd.initramfs_start, initrd.initramfs_size = builtin.addr, builtin.size
    crash = m.parts.get("crashk_res")
    if crash is not None:
        initrd.crashk_start, initrd.crashk_end = crash
    from kemu.linux.init import _exports

    reserve = _exports.get("reserve_initrd_mem")
    if reserve is not None and m.config.get("CONFIG_BLK_DEV_INITRD"):
        reserve()
    return m.cmdline


@custom("kernel/fork.c", "user_mode_thread", "the scheduler makes the task: no copy_process()")
def kernel_thread_fn(fn: Callable[[Any], int], arg: Any, comm: str) -> int:
    """``pid_t user_mode_thread(fn, arg, CLONE_FS)``: shares init's fs_struct and is no PF_KTHREAD; it runs task_work when ``fn`` returns."""
    def body() -> None:
        me = this.task
        me.exit_code = fn(arg)
        # return to user mode
        task_work_run()
        done = this.machine.parts.get("boot_done")
        if done is not None:
            done.wake()
        this.sched.block(WaitQueue(f"{comm} is in user space"))

    return this.sched.spawn(comm, body, 0).pid


@custom("kernel/fork.c", "kernel_thread", "the scheduler makes the task: no copy_process()")
def kernel_thread(fn: Callable[[Any], int], arg: Any, name: str) -> int:
    """``pid_t kernel_thread(int (*fn)(void *), void *arg, const char *name, unsigned long flags)``: PF_KTHREAD, shares init's fs_struct."""
    return this.sched.spawn(name, lambda: (fn(arg), None)[1], PF_KTHREAD).pid


@custom("kernel/kthread.c", "kthreadd", "sleeps: kernel threads are made by the scheduler itself")
def kthreadd(unused: Any) -> int:
    """``int kthreadd(void *unused)``"""
    wq = WaitQueue("work for kthreadd")
    while True:
        this.sched.block(wq)


@custom("kernel/workqueue.c", "workqueue_init", "kworkers are made when work is queued")
def workqueue_init() -> None:
    """``void workqueue_init(void)``: from here on queued work runs."""


@custom("kernel/sched/idle.c", "cpu_startup_entry", "ends when PID 1 has reached user space")
def cpu_startup_entry() -> None:
    """``void cpu_startup_entry(enum cpuhp_state state)``: the idle loop of the boot CPU."""
    done = this.machine.parts["boot_done"] = WaitQueue("PID 1 to reach user space")
    this.sched.block(done)
