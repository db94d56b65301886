# SPDX-License-Identifier: GPL-2.0-only
"""Giving pages back (mm/page_alloc.c)."""
from __future__ import annotations

from kemu.linux.mm.swap import put_page_last
from kemu.linux.port.honesty import custom
from kemu.machine.boot import Boot
from kemu.machine.current import this
from kemu.machine.pages import Page

C = "mm/page_alloc.c"


@custom(C, "__free_pages", "the machine's page allocator")
def __free_pages(page: Page, order: int) -> None:
    """``void __free_pages(struct page *page, unsigned int order)``: drops one reference, frees at zero."""
    put_page_last(page)


@custom(C, "free_initmem", "init memory is not modelled but for the built-in archive, which is poisoned and released")
def free_initmem() -> None:
    """``void free_initmem(void)``"""
    builtin = this.machine.part(Boot).builtin
    if builtin is not None and builtin.state != "released":
        builtin.release("free_initmem")
    if this.watch is not None:
        this.watch.event("free_initmem")
