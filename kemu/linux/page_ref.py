# SPDX-License-Identifier: GPL-2.0-only
"""Reference counts of folios (include/linux/page_ref.h)."""
from __future__ import annotations

from kemu.linux.include.mm import folio_put
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.pages import Page
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/page_ref.h"


@custom(P, "folio_put_refs", "frees at zero")
def folio_put_refs(folio: Page, refs: int) -> None:
    """``void folio_put_refs(struct folio *folio, int refs)``"""
    n = folio.refcount
    if n <= refs:
        if n < refs:
            func = caller_function()[0]
            raise KernelBug(f"BUG: Bad page state: {refs} references dropped of {n} in {func}", [repr(folio)], function=func)
        w = this.watch
        if w is not None and refs > 1:
            w.ref("folio", folio, 1 - refs)
        folio.refcount = 1
        folio_put(folio)
        return
    folio.refcount = n - refs
    w = this.watch
    if w is not None:
        w.ref("folio", folio, -refs)
