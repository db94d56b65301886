# SPDX-License-Identifier: GPL-2.0-only
"""struct idr (include/linux/idr.h)."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kemu.linux.port.honesty import custom, dup

P = "include/linux/idr.h"


@dup(P)
class idr:
    """``struct idr``"""

    __slots__ = ("d", "full")

    def __init__(self) -> None:
        self.d: dict[int, Any] = {}
        self.full: dict[int, int] = {}      # start -> the first id from there on that may be free


@dup(P)
def idr_init(r: idr) -> None:
    """``void idr_init(struct idr *idr)``"""
    r.d, r.full = {}, {}


@custom(P, "idr_for_each_entry", "a generator of (id, entry)")
def idr_for_each_entry(r: idr) -> Iterator[tuple[int, Any]]:
    """``idr_for_each_entry(idr, entry, id)``"""
    yield from sorted(r.d.items())
