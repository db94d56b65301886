# SPDX-License-Identifier: GPL-2.0-only
"""Dirty folios of file systems that write nothing back (mm/page-writeback.c)."""
from __future__ import annotations

from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.port.honesty import dup
from kemu.machine.pages import Page, PG_dirty

C = "mm/page-writeback.c"


@dup(C)
def noop_dirty_folio(mapping: AddressSpace, folio: Page) -> bool:
    """``bool noop_dirty_folio(struct address_space *mapping, struct folio *folio)``"""
    was = folio.flags & PG_dirty
    folio.flags |= PG_dirty
    return not was
