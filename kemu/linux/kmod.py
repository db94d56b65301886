# SPDX-License-Identifier: GPL-2.0-only
"""Asking user space for a module (include/linux/kmod.h): a port of kernel/module/kmod.c."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.kmod import MODULE_NAME_LEN, request_module  # noqa: F401
from kemu.linux.kernel.module.kmod import __request_module, call_modprobe, free_modprobe_argv  # noqa: F401
from kemu.linux.port.honesty import dup

P = "include/linux/kmod.h"


@dup(P)
def request_module_nowait(fmt: str, *args: Any) -> int:
    """``request_module_nowait(mod...)``"""
    return __request_module(False, fmt, *args)
