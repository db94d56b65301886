# SPDX-License-Identifier: GPL-2.0-only
"""BUG and WARN (include/linux/bug.h, include/linux/build_bug.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.printk import printk
from kemu.machine.current import this
from kemu.machine.splat import KernelBug, call_trace, caller_function

P = "include/asm-generic/bug.h"


@custom(P, "BUG", "raises KernelBug")
def BUG() -> None:
    """``BUG()``"""
    func, where = caller_function()
    raise KernelBug(f"kernel BUG in {func}", [where, "Call Trace:", *call_trace()], function=func)


@custom(P, "BUG_ON", "raises KernelBug")
def BUG_ON(condition: object) -> None:
    """``BUG_ON(condition)``"""
    if condition:
        BUG()


@custom(P, "WARN_ON", "logs the warning and tells the watch")
def WARN_ON(condition: object) -> bool:
    """``bool WARN_ON(condition)``"""
    if condition:
        func, where = caller_function()
        printk("\x014WARNING: in %s\n", func)
        if this.watch is not None:
            this.watch.event("warn", function=func, where=where)
        return True
    return False


@custom(P, "WARN", "logs the warning and tells the watch")
def WARN(condition: object, fmt: str, *args: object) -> bool:
    """``bool WARN(condition, format, ...)``"""
    if condition:
        printk("\x014" + fmt, *args)
    return WARN_ON(condition)


WARN_ON_ONCE = WARN_ON
VM_BUG_ON = BUG_ON


@dup("include/linux/build_bug.h")
def BUILD_BUG_ON(condition: object) -> None:
    """``BUILD_BUG_ON(condition)``: when the port's module is loaded."""
    if condition:
        raise AssertionError("BUILD_BUG_ON")


names("custom", P, "WARN_ON_ONCE", "VM_BUG_ON", how="as WARN_ON and BUG_ON")
