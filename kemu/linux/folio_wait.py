# SPDX-License-Identifier: GPL-2.0-only
"""The folio lock and the end of a read (mm/filemap.c). Ports import it from kemu.linux.pagemap."""
from __future__ import annotations

from kemu.linux.errno import EINTR
from kemu.linux.honesty import custom, dup
from kemu.linux.mm import folio_put
from kemu.machine.current import this
from kemu.machine.pages import Page, PG_locked, PG_uptodate, PG_waiters
from kemu.machine.sched import WaitQueue
from kemu.machine.splat import KernelBug, call_trace, caller_function

C = "mm/filemap.c"
P = "include/linux/pagemap.h"
TASK_UNINTERRUPTIBLE, TASK_KILLABLE = 0x02, 0x102


@custom("mm/filemap.c", "wait_page_queue", "two queues in the folio instead of a hash of all folios' waiters")
class FolioWaiters:
    """Who sleeps on a folio's lock bit: those that want the lock, and those that only wait for it to be free."""

    __slots__ = ("exclusive", "shared")

    def __init__(self, folio: Page):
        what = f"the lock of folio pfn:{folio.pfn:#x} index:{folio.index:#x}"
        owner = "the end of its read"
        self.exclusive = WaitQueue(what, owner)
        self.shared = WaitQueue(what, owner)


@custom("include/linux/mmdebug.h", "VM_BUG_ON_FOLIO", "always on; raises KernelBug with the folio described")
def VM_BUG_ON_FOLIO(cond: object, folio: Page, what: str = "") -> None:
    """``VM_BUG_ON_FOLIO(cond, folio)``; ``what``: the condition's text."""
    if cond:
        func, where = caller_function()
        raise KernelBug(f"kernel BUG in {func}: page dumped because: VM_BUG_ON_FOLIO({what})", [repr(folio), where, "Call Trace:", *call_trace()],
                        function=func)


@dup(P)
def folio_trylock(folio: Page) -> bool:
    """``bool folio_trylock(struct folio *folio)``"""
    if folio.flags & PG_locked:
        return False
    folio.flags |= PG_locked
    w = this.watch
    if w is not None:
        w.lock("folio", folio)
    return True


@custom(C, "folio_wait_bit_common", "for PG_locked; the lock is never handed over, so a woken task may have to wait again")
def _wait_locked(folio: Page, state: int, exclusive: bool, drop: bool) -> int:
    waiters: FolioWaiters | None = folio.waiters
    if waiters is None:
        waiters = folio.waiters = FolioWaiters(folio)
    folio.flags |= PG_waiters
    if drop:
        folio_put(folio)
    task = this.task
    killable = state == TASK_KILLABLE
    queue = waiters.exclusive if exclusive else waiters.shared
    while True:
        if killable and task.pending_signal:
            return -EINTR
        this.sched.block(queue)
        if not exclusive:                   # it was free once: enough for who only waits
            return -EINTR if killable and task.pending_signal and folio.flags & PG_locked else 0
        if not folio.flags & PG_locked:
            folio.flags |= PG_locked
            if this.watch is not None:
                this.watch.lock("folio", folio)
            return 0
        folio.flags |= PG_waiters


@custom(P, "folio_lock", "a scheduler queue instead of a hashed wait queue with a lock")
def folio_lock(folio: Page) -> None:
    """``void folio_lock(struct folio *folio)``. Context: may sleep."""
    w = this.watch
    if w is not None:
        w.event("might_sleep", what="folio_lock")
    if folio.flags & PG_locked:
        _wait_locked(folio, TASK_UNINTERRUPTIBLE, True, False)
        return
    folio.flags |= PG_locked
    if w is not None:
        w.lock("folio", folio)


@dup(P)
def folio_lock_killable(folio: Page) -> int:
    """``int folio_lock_killable(struct folio *folio)``: -EINTR if a fatal signal came first."""
    if not folio_trylock(folio):
        return _wait_locked(folio, TASK_KILLABLE, True, False)
    return 0


@dup(P)
def lock_page(page: Page) -> None:
    """``void lock_page(struct page *page)``"""
    folio_lock(page.head or page)


@dup(P)
def trylock_page(page: Page) -> bool:
    """``bool trylock_page(struct page *page)``"""
    return folio_trylock(page.head or page)


def _wake(folio: Page) -> None:
    waiters: FolioWaiters | None = folio.waiters
    if waiters is None:
        folio.flags &= ~PG_waiters
        return
    waiters.shared.wake()
    waiters.exclusive.wake(1)
    if not waiters.exclusive.tasks:
        folio.flags &= ~PG_waiters


@custom(C, "folio_unlock", "a scheduler queue instead of a hashed wait queue with a lock")
def folio_unlock(folio: Page) -> None:
    """``void folio_unlock(struct folio *folio)``: wakes who waits. Context: any but NMI."""
    flags = folio.flags
    if not flags & PG_locked:
        VM_BUG_ON_FOLIO(True, folio, "!folio_test_locked(folio)")
    folio.flags = flags & ~PG_locked
    w = this.watch
    if w is not None:
        w.unlock("folio", folio)
    if flags & PG_waiters:
        _wake(folio)


@dup("mm/folio-compat.c")
def unlock_page(page: Page) -> None:
    """``void unlock_page(struct page *page)``"""
    folio_unlock(page.head or page)


@custom(C, "folio_end_read", "a scheduler queue instead of a hashed wait queue with a lock")
def folio_end_read(folio: Page, success: bool) -> None:
    """``void folio_end_read(struct folio *folio, bool success)``: no more reads are under way; unlocks, and marks uptodate on success.

    A folio that is not locked, or that is uptodate already, is a report. Context: any but NMI.
    """
    flags = folio.flags
    if not flags & PG_locked:
        VM_BUG_ON_FOLIO(True, folio, "!folio_test_locked(folio)")
    if success:
        if flags & PG_uptodate:
            VM_BUG_ON_FOLIO(True, folio, "success && folio_test_uptodate(folio)")
        folio.flags = (flags | PG_uptodate) & ~PG_locked
    else:
        folio.flags = flags & ~PG_locked
    w = this.watch
    if w is not None:
        w.event("folio_end_read", folio=folio, success=bool(success))
        w.unlock("folio", folio)
    if flags & PG_waiters:
        _wake(folio)


@dup(P)
def folio_wait_locked(folio: Page) -> None:
    """``void folio_wait_locked(struct folio *folio)``. Context: may sleep."""
    if folio.flags & PG_locked:
        _wait_locked(folio, TASK_UNINTERRUPTIBLE, False, False)


@dup(P)
def folio_wait_locked_killable(folio: Page) -> int:
    """``int folio_wait_locked_killable(struct folio *folio)``: -EINTR if a fatal signal came first."""
    if not folio.flags & PG_locked:
        return 0
    return _wait_locked(folio, TASK_KILLABLE, False, False)


@dup(C)
def folio_put_wait_locked(folio: Page, state: int) -> int:
    """``int folio_put_wait_locked(struct folio *folio, int state)``: the reference is dropped before the wait."""
    if not folio.flags & PG_locked:
        folio_put(folio)
        return 0
    return _wait_locked(folio, state, False, True)


__all__ = ["TASK_KILLABLE", "TASK_UNINTERRUPTIBLE", "VM_BUG_ON_FOLIO", "folio_end_read", "folio_lock", "folio_lock_killable", "folio_put_wait_locked",
           "folio_trylock", "folio_unlock", "folio_wait_locked", "folio_wait_locked_killable", "lock_page", "trylock_page", "unlock_page"]
