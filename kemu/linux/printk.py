# SPDX-License-Identifier: GPL-2.0-only
"""The kernel log (include/linux/printk.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import this
from kemu.machine.printk import KERN_SOH, VaFormat, vsprintf  # noqa: F401
from kemu.machine.roles import logs

P = "include/linux/printk.h"

F = TypeVar("F", bound=Callable[..., Any])

KERN_EMERG, KERN_ALERT, KERN_CRIT, KERN_ERR, KERN_WARNING, KERN_NOTICE, KERN_INFO, KERN_DEBUG = (f"\x01{i}" for i in range(8))
KERN_DEFAULT, KERN_CONT = "", "\x01c"


@custom("include/linux/compiler_attributes.h", "__printf",
        "says that the function writes into the log for its caller, whom reports then name")
def __printf(a: int, b: int) -> Callable[[F], F]:
    """``__printf(a, b)``: argument ``a`` is a format, from ``b`` on are what it formats"""
    return logs


@dup(P)
def printk(fmt: str, *args: Any) -> int:
    """``int printk(const char *fmt, ...)``: level prefixes, C conversions, %pe, %pV, %pd."""
    text = vsprintf(fmt, args)
    this.machine.log.emit(text)
    return len(text)


@dup(P)
def printk_get_level(fmt: str) -> str:
    """``int printk_get_level(const char *buffer)``: the level character, or ''."""
    return fmt[1:2] if fmt.startswith(KERN_SOH) else ""


@dup(P)
def printk_skip_level(fmt: str) -> str:
    """``const char *printk_skip_level(const char *buffer)``"""
    return fmt[2:] if fmt.startswith(KERN_SOH) else fmt


@dup(P)
def pr_emerg(fmt: str, *args: Any) -> None:
    """``pr_emerg(fmt, ...)``"""
    printk(KERN_EMERG + fmt, *args)


@dup(P)
def pr_crit(fmt: str, *args: Any) -> None:
    """``pr_crit(fmt, ...)``"""
    printk(KERN_CRIT + fmt, *args)


@dup(P)
def pr_err(fmt: str, *args: Any) -> None:
    """``pr_err(fmt, ...)``"""
    printk(KERN_ERR + fmt, *args)


@dup(P)
def pr_warn(fmt: str, *args: Any) -> None:
    """``pr_warn(fmt, ...)``"""
    printk(KERN_WARNING + fmt, *args)


@dup(P)
def pr_notice(fmt: str, *args: Any) -> None:
    """``pr_notice(fmt, ...)``"""
    printk(KERN_NOTICE + fmt, *args)


@dup(P)
def pr_info(fmt: str, *args: Any) -> None:
    """``pr_info(fmt, ...)``"""
    printk(KERN_INFO + fmt, *args)


@dup(P)
def pr_cont(fmt: str, *args: Any) -> None:
    """``pr_cont(fmt, ...)``: goes on with the last line if that has not ended."""
    printk(KERN_CONT + fmt, *args)


@dup(P)
def pr_debug(fmt: str, *args: Any) -> None:
    """``pr_debug(fmt, ...)``: as with DYNAMIC_DEBUG off."""


@custom(P, "pr_warn_once", "once for each machine")
def pr_warn_once(fmt: str, *args: Any) -> None:
    """``pr_warn_once(fmt, ...)``"""
    once = this.machine.log.once
    if fmt not in once:
        once.add(fmt)
        pr_warn(fmt, *args)


@custom("include/linux/once_lite.h", "DO_ONCE_LITE_IF", "once for each machine; func is called with the rest")
def DO_ONCE_LITE_IF(condition: bool, func: Any, *args: Any) -> bool:
    """``DO_ONCE_LITE_IF(condition, func, ...)``"""
    if condition:
        once = this.machine.log.once
        key = f"{func.__name__}:{args[-1] if args else ''}"
        if key not in once:
            once.add(key)
            func(*args)
    return condition


names("custom", P, "VaFormat", "vsprintf", how="C formats and arguments as Python objects")
