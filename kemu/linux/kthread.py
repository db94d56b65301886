# SPDX-License-Identifier: GPL-2.0-only
"""Kernel threads (include/linux/kthread.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import ENOMEM
from kemu.linux.port.honesty import dup
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.printk import vsprintf
from kemu.machine.sched import PF_KTHREAD

P = "include/linux/kthread.h"


@dup(P)
def kthread_run(threadfn: Callable[[Any], int], data: Any, namefmt: str, *args: Any) -> Any:
    """``kthread_run(threadfn, data, namefmt, ...)``: the task, or ERR_PTR(-ENOMEM)."""
    if this.chooser is not None and should_fail("failslab", "kthread_run"):
        return ERR_PTR(-ENOMEM)

    def body() -> None:
        this.task.exit_code = threadfn(data)

    return this.sched.spawn(vsprintf(namefmt, args), body, PF_KTHREAD)
