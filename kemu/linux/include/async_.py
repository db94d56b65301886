# SPDX-License-Identifier: GPL-2.0-only
"""Domains of asynchronous calls (include/linux/async.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.port.honesty import custom, dup
from kemu.linux.types import list_head

P = "include/linux/async.h"

async_func_t = Callable[[Any, int], None]       # typedef void (*async_func_t)(void *data, async_cookie_t cookie)
MAX_WORK = 32768
ASYNC_COOKIE_MAX = (1 << 64) - 1                # infinity cookie


@dup(P, "struct async_domain")
class async_domain:
    """``struct async_domain``; ``name`` is for reports. ASYNC_DOMAIN: registered, part of async_synchronize_full()."""

    __slots__ = ("name", "pending", "registered")

    def __init__(self, name: str = "", registered: bool = True):
        self.name = name
        self.pending = list_head()
        self.registered = registered


@custom(P, "ASYNC_DOMAIN_EXCLUSIVE", "a factory for statics()")
def ASYNC_DOMAIN_EXCLUSIVE(name: str) -> Callable[[], async_domain]:
    """``ASYNC_DOMAIN_EXCLUSIVE(name)``: not covered by async_synchronize_full()."""
    return lambda: async_domain(name, False)


@custom(P, "ASYNC_DOMAIN", "a factory for statics()")
def ASYNC_DOMAIN(name: str) -> Callable[[], async_domain]:
    """``ASYNC_DOMAIN(name)``"""
    return lambda: async_domain(name, True)
