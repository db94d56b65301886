# SPDX-License-Identifier: GPL-2.0-only
"""BUGs about a folio (include/linux/mmdebug.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.pages import Page
from kemu.machine.splat import KernelBug, call_trace, caller_function

P = "include/linux/mmdebug.h"


@custom(P, "VM_BUG_ON_FOLIO", "always on; raises KernelBug with the folio described")
def VM_BUG_ON_FOLIO(cond: object, folio: Page, what: str = "") -> None:
    """``VM_BUG_ON_FOLIO(cond, folio)``; ``what``: the condition's text."""
    if cond:
        func, where = caller_function()
        raise KernelBug(f"kernel BUG in {func}: page dumped because: VM_BUG_ON_FOLIO({what})",
                        [repr(folio), where, "Call Trace:", *call_trace()],
                        function=func)
