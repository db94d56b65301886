# SPDX-License-Identifier: GPL-2.0-only
"""Asynchronous function calls (include/linux/async.h): a port of kernel/async.c.

Cookies are monotonic over all domains. Where an entry cannot be had, the function runs at once in its caller: the synchronous
fallback.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import atomic_dec, atomic_inc, atomic_read, atomic_t
from kemu.linux.bug import BUG_ON
from kemu.linux.include.async_ import ASYNC_COOKIE_MAX, ASYNC_DOMAIN, MAX_WORK, async_domain, async_func_t
from kemu.linux.include.gfp import GFP_ATOMIC, GFP_KERNEL
from kemu.linux.include.sched import current
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.include.workqueue import INIT_WORK, WQ_UNBOUND, alloc_workqueue, queue_work, work_struct, workqueue_struct
from kemu.linux.list import list_add_tail, list_del_init, list_empty, list_first_entry
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import dup, names, port_of
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.types import list_head
from kemu.linux.wait import WaitQueueHead, wait_event, wake_up
from kemu.machine.current import NULL, this
from kemu.machine.statics import per_machine, statics

C = "kernel/async.c"


class async_entry:
    """``struct async_entry``"""

    __slots__ = ("cookie", "data", "domain", "domain_list", "func", "global_list", "work")

    def __init__(self) -> None:
        self.domain_list = list_head(self)
        self.global_list = list_head(self)
        self.work = work_struct(self)
        self.cookie = 0
        self.func: async_func_t = None              # type: ignore[assignment]
        self.data: Any = None
        self.domain: async_domain = None            # type: ignore[assignment]


def async_owner() -> Any:
    """Who must finish first before a waiter of async_done goes on; for deadlock reports."""
    for t in this.sched.tasks:
        if isinstance(t.extra, async_entry):
            return t
    return None


@statics
class g:
    next_cookie = 1
    async_global_pending: list_head
    async_dfl_domain = per_machine(ASYNC_DOMAIN("async_dfl_domain"))
    async_lock = per_machine(lambda: spinlock_t("async_lock"))
    async_wq: workqueue_struct = NULL
    async_done = per_machine(lambda: WaitQueueHead("async_done", async_owner))
    entry_count: atomic_t


@port_of(C, "lowest_in_progress")
def lowest_in_progress(domain: async_domain | None) -> int:
    """``async_cookie_t lowest_in_progress(struct async_domain *domain)``:
    the lowest cookie that has not ended, ASYNC_COOKIE_MAX if all have.
    """
    first = None
    ret = ASYNC_COOKIE_MAX

    spin_lock(g.async_lock)
    if domain is not None:
        if not list_empty(domain.pending):
            first = list_first_entry(domain.pending)
    else:
        if not list_empty(g.async_global_pending):
            first = list_first_entry(g.async_global_pending)

    if first is not None:
        ret = first.cookie

    spin_unlock(g.async_lock)
    return ret


@dup(C, "async_run_entry_fn")
def async_run_entry_fn(work: work_struct) -> None:
    """Pick the first pending entry and run it."""
    entry: async_entry = work.container
    task = current()

    # 1) run (and print duration)
    outer, task.extra = task.extra, entry
    entry.func(entry.data, entry.cookie)
    task.extra = outer

    # 2) remove self from the pending queues
    spin_lock(g.async_lock)
    list_del_init(entry.domain_list)
    list_del_init(entry.global_list)

    # 3) free the entry
    kfree(entry)
    atomic_dec(g.entry_count)
    spin_unlock(g.async_lock)

    # 4) wake up any waiters
    wake_up(g.async_done)


@port_of(C, "__async_schedule_node_domain")
def __async_schedule_node_domain(func: async_func_t, data: Any, node: int, domain: async_domain, entry: async_entry) -> int:
    """``async_cookie_t __async_schedule_node_domain(async_func_t func, void *data, int node, struct async_domain *domain,
    struct async_entry *entry)``:
    numbers the entry and queues it.
    """
    INIT_WORK(entry.work, async_run_entry_fn)
    entry.func = func
    entry.data = data
    entry.domain = domain

    spin_lock(g.async_lock)

    # allocate cookie and queue
    newcookie = entry.cookie = g.next_cookie
    g.next_cookie += 1

    list_add_tail(entry.domain_list, domain.pending)
    if domain.registered:
        list_add_tail(entry.global_list, g.async_global_pending)

    atomic_inc(g.entry_count)
    spin_unlock(g.async_lock)

    # schedule for execution
    queue_work(g.async_wq, entry.work)

    return int(newcookie)


@port_of(C, "async_schedule_node_domain")
def async_schedule_node_domain(func: async_func_t, data: Any, node: int, domain: async_domain) -> int:
    # allow irq-off callers
    """``async_cookie_t async_schedule_node_domain(async_func_t func, void *data, int node, struct async_domain *domain)``:
    the cookie; without memory, or with more than MAX_WORK pending, func has run when this returns.
    """
    entry = kzalloc_obj(async_entry, GFP_ATOMIC)

    # If we're out of memory or if there's too much work pending already, we execute synchronously.
    if entry is None or atomic_read(g.entry_count) > MAX_WORK:
        kfree(entry)
        spin_lock(g.async_lock)
        newcookie = g.next_cookie
        g.next_cookie += 1
        spin_unlock(g.async_lock)

        # low on memory.. run synchronously
        func(data, newcookie)
        return int(newcookie)

    return __async_schedule_node_domain(func, data, node, domain, entry)


@port_of(C, "async_schedule_dev_nocall")
def async_schedule_dev_nocall(func: async_func_t, dev: Any) -> bool:
    """``bool async_schedule_dev_nocall(async_func_t func, struct device *dev)``:
    false, and func not called, without memory or with more than MAX_WORK pending.
    """
    entry = kzalloc_obj(async_entry, GFP_KERNEL)

    # Give up if there is no memory or too much work.
    if entry is None or atomic_read(g.entry_count) > MAX_WORK:
        kfree(entry)
        return False

    __async_schedule_node_domain(func, dev, -1, g.async_dfl_domain, entry)
    return True


@port_of(C, "async_synchronize_full")
def async_synchronize_full() -> None:
    """``void async_synchronize_full(void)``: waits for every domain that is registered"""
    async_synchronize_full_domain(None)


@port_of(C, "async_synchronize_full_domain")
def async_synchronize_full_domain(domain: async_domain | None) -> None:
    """``void async_synchronize_full_domain(struct async_domain *domain)``: waits for all of one domain"""
    async_synchronize_cookie_domain(ASYNC_COOKIE_MAX, domain)


@dup(C, "async_synchronize_cookie_domain")
def async_synchronize_cookie_domain(cookie: int, domain: async_domain | None) -> None:
    """``void async_synchronize_cookie_domain(async_cookie_t cookie, struct async_domain *domain)``:
    waits for what was scheduled into the domain before the cookie.
    """
    mine = current().extra
    if (this.watch is not None and isinstance(mine, async_entry)
        and (mine.domain is domain or (domain is None and mine.domain.registered))):
        this.watch.event("async_self_wait", entry=mine, domain=domain)
    wait_event(g.async_done, lambda: lowest_in_progress(domain) >= cookie)


@port_of(C, "async_synchronize_cookie")
def async_synchronize_cookie(cookie: int) -> None:
    """``void async_synchronize_cookie(async_cookie_t cookie)``: waits for what was scheduled before the cookie"""
    async_synchronize_cookie_domain(cookie, g.async_dfl_domain)


@dup(C, "current_is_async")
def current_is_async() -> bool:
    """``bool current_is_async(void)``: whether a worker runs an async call now"""
    return isinstance(current().extra, async_entry)


@port_of(C, "async_init")
def async_init() -> None:
    """``void async_init(void)``: makes the workqueue"""
    g.async_wq = alloc_workqueue("async", WQ_UNBOUND, 0)
    BUG_ON(g.async_wq is None)


names("dup", C, "async_entry")
names("custom", C, "async_owner", how="for reports: who must finish first")
