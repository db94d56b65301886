# SPDX-License-Identifier: GPL-2.0-only
"""Marking folios that were used (include/linux/swap.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.pages import Page, PG_referenced

P = "include/linux/swap.h"


@custom(P, "folio_mark_accessed", "sets PG_referenced; there is no LRU")
def folio_mark_accessed(folio: Page) -> None:
    """``void folio_mark_accessed(struct folio *folio)``"""
    folio.flags |= PG_referenced
