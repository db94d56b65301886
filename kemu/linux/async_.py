# SPDX-License-Identifier: GPL-2.0-only
"""Asynchronous function calls (include/linux/async.h): a port of kernel/async.c.

Cookies are monotonic over all domains. Where an entry cannot be had, the function runs at once in its caller: the synchronous
fallback.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.include.async_ import (  # noqa: F401
    ASYNC_COOKIE_MAX,
    ASYNC_DOMAIN,
    ASYNC_DOMAIN_EXCLUSIVE,
    MAX_WORK,
    async_domain,
    async_func_t,
)
from kemu.linux.kernel.async_ import (  # noqa: F401
    async_entry,
    async_init,
    async_owner,
    async_run_entry_fn,
    async_schedule_dev_nocall,
    async_schedule_node_domain,
    async_synchronize_cookie,
    async_synchronize_cookie_domain,
    async_synchronize_full,
    async_synchronize_full_domain,
    current_is_async,
    g,
    lowest_in_progress,
)
from kemu.linux.kernel.async_ import g as async_g
from kemu.linux.port.honesty import dup

P = "include/linux/async.h"


@dup(P)
def async_schedule_domain(func: async_func_t, data: Any, domain: async_domain) -> int:
    """``async_cookie_t async_schedule_domain(async_func_t func, void *data, struct async_domain *domain)``

    Context: any. Return: a cookie for later checkpointing; the function has run already where no entry could be allocated.
    """
    return async_schedule_node_domain(func, data, -1, domain)


@dup(P)
def async_schedule(func: async_func_t, data: Any) -> int:
    """``async_cookie_t async_schedule(async_func_t func, void *data)``"""
    return async_schedule_node_domain(func, data, -1, async_g.async_dfl_domain)
