# SPDX-License-Identifier: GPL-2.0-only
"""A few folios at a time (include/linux/folio_batch.h)."""
from __future__ import annotations

from kemu.linux.include.mm import folio_put
from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.pages import Page

P = "include/linux/folio_batch.h"

FOLIO_BATCH_SIZE = 31


@custom(P, "folio_batch", "a list of at most FOLIO_BATCH_SIZE folios; nr is its length")
class FolioBatch:
    """``struct folio_batch``"""

    __slots__ = ("folios",)

    def __init__(self) -> None:
        self.folios: list[Page] = []

    @property
    def nr(self) -> int:
        """``fbatch->nr``"""
        return len(self.folios)


@dup(P)
def folio_batch_init(fbatch: FolioBatch) -> None:
    """``void folio_batch_init(struct folio_batch *fbatch)``"""
    fbatch.folios = []


folio_batch_reinit = folio_batch_init


@dup(P)
def folio_batch_count(fbatch: FolioBatch) -> int:
    """``unsigned int folio_batch_count(const struct folio_batch *fbatch)``"""
    return len(fbatch.folios)


@dup(P)
def folio_batch_add(fbatch: FolioBatch, folio: Page) -> int:
    """``unsigned folio_batch_add(struct folio_batch *fbatch, struct folio *folio)``: how many more fit."""
    fbatch.folios.append(folio)
    return FOLIO_BATCH_SIZE - len(fbatch.folios)


@dup(P)
def folio_batch_release(fbatch: FolioBatch) -> None:
    """``void folio_batch_release(struct folio_batch *fbatch)``: drops one reference of each and empties the batch."""
    for folio in fbatch.folios:
        folio_put(folio)
    fbatch.folios = []


names("dup", P, "folio_batch_reinit")
