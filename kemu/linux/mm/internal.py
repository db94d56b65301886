# SPDX-License-Identifier: GPL-2.0-only
"""What the files of mm/ share (mm/internal.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import dup
from kemu.machine.pages import Page, PG_private

C = "mm/internal.h"


@dup(C)
def folio_needs_release(folio: Page) -> bool:
    """``bool folio_needs_release(struct folio *folio)``"""
    if folio.flags & PG_private:
        return True
    mapping = folio.mapping
    return mapping is not None and bool(mapping.flags & 1 << 6)
