# SPDX-License-Identifier: GPL-2.0-only
"""Copying to user space (include/linux/uaccess.h). A user pointer is a writable Python buffer; what lies behind its end is not
mapped.
"""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.machine import should_fail

P = "include/linux/uaccess.h"


@custom(P, "copy_to_user", "the user pointer is a Python buffer, which its copy fills from the start")
def copy_to_user(to: bytearray | memoryview, from_: int, n: int) -> int:
    """``unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)``

    Return: bytes that could not be copied (fail_usercopy, or a buffer that is too small).
    """
    if should_fail("fail_usercopy", "copy_to_user"):
        return n
    fits = min(n, len(to))
    to[:fits] = this.mem.give(from_, fits)
    return n - fits


@custom(P, "clear_user", "the user pointer is a Python buffer")
def clear_user(to: bytearray | memoryview, n: int) -> int:
    """``unsigned long clear_user(void __user *to, unsigned long n)``: bytes that could not be cleared."""
    if should_fail("fail_usercopy", "clear_user"):
        return n
    fits = min(n, len(to))
    to[:fits] = bytes(fits)
    return n - fits
