# SPDX-License-Identifier: GPL-2.0-only
"""Page and folio flags (include/linux/page-flags.h). Locking and end-of-read are in pagemap."""
from __future__ import annotations

from kemu.linux.port.honesty import dup
from kemu.machine.pages import (  # noqa: F401
    Page,
    PG_dirty,
    PG_locked,
    PG_private,
    PG_readahead,
    PG_referenced,
    PG_reserved,
    PG_uptodate,
    PG_waiters,
    PG_workingset,
)

P = "include/linux/page-flags.h"


@dup(P)
def folio_test_locked(folio: Page) -> bool:
    """``bool folio_test_locked(const struct folio *folio)``"""
    return bool(folio.flags & PG_locked)


@dup(P)
def folio_test_uptodate(folio: Page) -> bool:
    """``bool folio_test_uptodate(const struct folio *folio)``"""
    return bool(folio.flags & PG_uptodate)


@dup(P)
def folio_mark_uptodate(folio: Page) -> None:
    """``void folio_mark_uptodate(struct folio *folio)``"""
    folio.flags |= PG_uptodate


@dup(P)
def folio_clear_uptodate(folio: Page) -> None:
    """``void folio_clear_uptodate(struct folio *folio)``"""
    folio.flags &= ~PG_uptodate


@dup(P)
def PageUptodate(page: Page) -> bool:
    """``bool PageUptodate(const struct page *page)``"""
    return bool((page.head or page).flags & PG_uptodate)


@dup(P)
def SetPageUptodate(page: Page) -> None:
    """``void SetPageUptodate(struct page *page)``"""
    (page.head or page).flags |= PG_uptodate


@dup(P)
def PageLocked(page: Page) -> bool:
    """``bool PageLocked(const struct page *page)``"""
    return bool((page.head or page).flags & PG_locked)


@dup(P)
def folio_test_private(folio: Page) -> bool:
    """``bool folio_test_private(const struct folio *folio)``"""
    return bool(folio.flags & PG_private)


@dup(P)
def folio_set_private(folio: Page) -> None:
    """``void folio_set_private(struct folio *folio)``"""
    folio.flags |= PG_private


@dup(P)
def folio_clear_private(folio: Page) -> None:
    """``void folio_clear_private(struct folio *folio)``"""
    folio.flags &= ~PG_private


@dup(P)
def folio_test_workingset(folio: Page) -> bool:
    """``bool folio_test_workingset(const struct folio *folio)``"""
    return bool(folio.flags & PG_workingset)


@dup(P)
def PageWorkingset(page: Page) -> bool:
    """``bool PageWorkingset(const struct page *page)``"""
    return bool((page.head or page).flags & PG_workingset)


@dup(P)
def folio_test_dirty(folio: Page) -> bool:
    """``bool folio_test_dirty(const struct folio *folio)``"""
    return bool(folio.flags & PG_dirty)


@dup(P)
def folio_test_readahead(folio: Page) -> bool:
    """``bool folio_test_readahead(const struct folio *folio)``"""
    return bool(folio.flags & PG_readahead)


@dup(P)
def folio_set_readahead(folio: Page) -> None:
    """``void folio_set_readahead(struct folio *folio)``"""
    folio.flags |= PG_readahead


@dup(P)
def folio_clear_readahead(folio: Page) -> None:
    """``void folio_clear_readahead(struct folio *folio)``"""
    folio.flags &= ~PG_readahead


@dup(P)
def folio_test_large(folio: Page) -> bool:
    """``bool folio_test_large(const struct folio *folio)``"""
    return folio.order > 0


@dup(P)
def PageReserved(page: Page) -> bool:
    """``bool PageReserved(const struct page *page)``"""
    return bool((page.head or page).flags & PG_reserved)
