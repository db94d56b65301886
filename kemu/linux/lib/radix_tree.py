# SPDX-License-Identifier: GPL-2.0-only
"""The end of an idr (lib/radix-tree.c)."""
from __future__ import annotations

from kemu.linux.include.idr import idr
from kemu.linux.port.honesty import custom

C = "lib/radix-tree.c"


@custom(C, "idr_destroy", "a dict")
def idr_destroy(r: idr) -> None:
    """``void idr_destroy(struct idr *idr)``"""
    r.d = {}
