# SPDX-License-Identifier: GPL-2.0-only
"""The last reference to a folio (mm/swap.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.pages import FROZEN, Page, PG_locked
from kemu.machine.splat import KernelBug, caller_function

C = "mm/swap.c"


@custom(C, "__folio_put", "the last half of put_page: report misuse, free at zero")
def put_page_last(page: Page) -> None:
    """Drop one reference of a page or folio."""
    head = page.head or page
    n = head.refcount
    if n <= 0 or head.kind in FROZEN or (head.kind == "reserved" and n == 1):
        func = caller_function()[0]
        raise KernelBug(f"BUG: Bad page state: refcount {n} dropped in {func}", [repr(head)], function=func)
    head.refcount = n - 1
    if this.watch is not None:
        this.watch.ref("folio", head, -1)
    if n == 1:
        if head.flags & PG_locked:
            func = caller_function()[0]
            raise KernelBug(f"BUG: Bad page state: locked folio freed in {func}", [repr(head)], function=func)
        this.machine.alloc.free(head)
