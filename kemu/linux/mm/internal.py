# SPDX-License-Identifier: GPL-2.0-only
"""What the files of mm/ share (mm/internal.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.fs.calls import get_file
from kemu.linux.include.mm import fault_flag_allow_retry_first, release_fault_lock
from kemu.linux.include.mm_types import FAULT_FLAG_RETRY_NOWAIT, vm_fault
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


@dup(C)
def maybe_unlock_mmap_for_io(vmf: vm_fault, fpin: Any) -> Any:
    """``struct file *maybe_unlock_mmap_for_io(struct vm_fault *vmf, struct file *fpin)``: the file, with a reference, if the lock
    was dropped.
    """
    flags = vmf.flags

    if fpin is not None:
        return fpin

    # FAULT_FLAG_RETRY_NOWAIT means we don't want to wait on page locks or anything, so we only pin the file and drop the
    # mmap_lock if only FAULT_FLAG_ALLOW_RETRY is set, while this is the first attempt.
    if fault_flag_allow_retry_first(flags) and not flags & FAULT_FLAG_RETRY_NOWAIT:
        fpin = get_file(vmf.vma.vm_file)
        release_fault_lock(vmf)
    return fpin
