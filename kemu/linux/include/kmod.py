# SPDX-License-Identifier: GPL-2.0-only
"""request_module() (include/linux/kmod.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/kmod.h"

MODULE_NAME_LEN = 64 - 8


@dup(P)
def request_module(fmt: str, *args: Any) -> int:
    """``request_module(mod...)``: waits until modprobe has ended.

    Return: its status; -EBUSY while helpers are disabled; -ENOENT without one.
    """
    from kemu.linux.kernel.module.kmod import __request_module  # noqa: PLC0415  (up into kernel/module/kmod.c)

    return __request_module(True, fmt, *args)
