# SPDX-License-Identifier: GPL-2.0-only
"""panic() (kernel/panic.c)."""
from __future__ import annotations

from typing import Any, NoReturn

from kemu.linux.port.honesty import custom
from kemu.linux.printk import pr_emerg
from kemu.machine.printk import vsprintf
from kemu.machine.splat import KernelPanic, call_trace, caller_function

C = "kernel/panic.c"


@custom(C, "panic", "raises KernelPanic")
def panic(fmt: str, *args: Any) -> NoReturn:
    """``void panic(const char *fmt, ...)``: logs and ends the boot."""
    text = vsprintf(fmt, args)
    pr_emerg("Kernel panic - not syncing: %s\n", text)
    raise KernelPanic(f"Kernel panic - not syncing: {text}", ["Call Trace:", *call_trace()], function=caller_function()[0])
