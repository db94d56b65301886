# SPDX-License-Identifier: GPL-2.0-only
"""Taking a folio from its mapping if nobody else has it (mm/vmscan.c)."""
from __future__ import annotations

from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.mm.filemap import __filemap_remove_folio, filemap_free_folio
from kemu.linux.port.honesty import custom
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.machine.pages import Page, PG_dirty

C = "mm/vmscan.c"


@custom(C, "remove_mapping", "nothing is swapped, and no shadow entry is left")
def remove_mapping(mapping: AddressSpace, folio: Page) -> int:
    """``long remove_mapping(struct address_space *mapping, struct folio *folio)``: pages removed; the caller's reference stays.
    """
    from kemu.linux.include.pagemap import mapping_shrinkable  # noqa: PLC0415  (up into fs/inode.c)

    nr = 1 << folio.order
    spin_lock(mapping.host.i_lock)
    spin_lock(mapping.xa_lock)
    # the references of the cache and of the caller must be all there are
    if folio.refcount != nr + 1 or folio.flags & PG_dirty:
        spin_unlock(mapping.xa_lock)
        spin_unlock(mapping.host.i_lock)
        return 0
    __filemap_remove_folio(folio)
    spin_unlock(mapping.xa_lock)
    if mapping_shrinkable(mapping):
        from kemu.linux.fs.inode import inode_lru_list_add  # noqa: PLC0415  (up into fs/inode.c)

        inode_lru_list_add(mapping.host)
    spin_unlock(mapping.host.i_lock)
    filemap_free_folio(mapping, folio)
    return nr
