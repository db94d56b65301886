# SPDX-License-Identifier: GPL-2.0-only
"""Page allocation (include/linux/gfp.h)."""
from __future__ import annotations

from kemu.linux.include.gfp import (  # noqa: F401
    __GFP_DIRECT_RECLAIM,
    __GFP_HIGHMEM,
    __GFP_NOFAIL,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RECLAIM,
    __GFP_ZERO,
    GFP_ATOMIC,
    GFP_HIGHUSER,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    GFP_USER,
    NO_WAIT,
    alloc_page,
    alloc_pages,
    alloc_pages_bulk,
    get_zeroed_page,
    gfpflags_allow_blocking,
    might_alloc,
)
from kemu.linux.mm.swap import put_page_last
from kemu.linux.port.honesty import dup
from kemu.machine.pages import Page

P = "include/linux/gfp.h"


@dup(P)
def __free_page(page: Page) -> None:
    """``__free_page(page)``"""
    put_page_last(page)
