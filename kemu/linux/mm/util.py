# SPDX-License-Identifier: GPL-2.0-only
"""Copies of strings, and the mapping of a folio (mm/util.c)."""
from __future__ import annotations

from kemu.linux.include.fs.calls import get_file
from kemu.linux.include.fs.types import AddressSpace, File
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.mm_types import vm_area_struct
from kemu.linux.include.slab import kmalloc
from kemu.linux.lib.string import strnlen
from kemu.linux.port.honesty import dup
from kemu.machine.current import this
from kemu.machine.pages import Page

C = "mm/util.c"


@dup(C)
def kstrndup(s: int, maxlen: int, gfp: int = GFP_KERNEL) -> int:
    """``char *kstrndup(const char *s, size_t max, gfp_t gfp)``"""
    return kmemdup_nul(s, strnlen(s, maxlen), gfp)


@dup(C)
def kmemdup_nul(s: int, n: int, gfp: int = GFP_KERNEL) -> int:
    """``char *kmemdup_nul(const char *s, size_t len, gfp_t gfp)``: len bytes and a NUL."""
    p = kmalloc(n + 1, gfp)
    if p:
        this.mem.copy(p, s, n)
        this.mem.st8(p + n, 0)
    return p


@dup(C)
def folio_mapping(folio: Page) -> AddressSpace | None:
    """``struct address_space *folio_mapping(const struct folio *folio)``"""
    return folio.mapping                            # type: ignore[no-any-return]


@dup(C)
def vma_set_file(vma: vm_area_struct, file: File) -> None:
    """``void vma_set_file(struct vm_area_struct *vma, struct file *file)``: the mapping is of another file from here on."""
    from kemu.linux.fs.file_table import fput  # noqa: PLC0415  (up into fs/file_table.c)

    # Changing an anonymous vma with this is illegal
    get_file(file)
    vma.vm_file, file = file, vma.vm_file
    fput(file)
