# SPDX-License-Identifier: GPL-2.0-only
"""ID allocation (lib/idr.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.errno import ENOMEM, ENOSPC
from kemu.linux.include.idr import idr
from kemu.linux.include.slab import _fails
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "lib/idr.c"


@custom(C, "idr_alloc", "a dict")
def idr_alloc(r: idr, ptr: Any, start: int, end: int, gfp: int) -> int:
    """``int idr_alloc(struct idr *idr, void *ptr, int start, int end, gfp_t gfp)``: the lowest free id; -ENOMEM, -ENOSPC."""
    if this.chooser is not None and _fails(gfp, "idr_alloc"):
        return -ENOMEM
    i = r.full.get(start, start)            # a radix tree knows which of its nodes are full; without that it is quadratic
    while i in r.d:
        i += 1
    r.full[start] = i
    if end and i >= end:
        return -ENOSPC
    r.d[i] = ptr
    return i


@custom(C, "idr_find", "a dict")
def idr_find(r: idr, id_: int) -> Any:
    """``void *idr_find(const struct idr *idr, unsigned long id)``"""
    return r.d.get(id_)


@custom(C, "idr_remove", "a dict")
def idr_remove(r: idr, id_: int) -> Any:
    """``void *idr_remove(struct idr *idr, unsigned long id)``"""
    for start, first in r.full.items():
        if start <= id_ < first:
            r.full[start] = id_
    return r.d.pop(id_, None)


@custom(C, "idr_for_each", "a dict")
def idr_for_each(r: idr, fn: Callable[[int, Any, Any], int], data: Any) -> int:
    """``int idr_for_each(const struct idr *idr, int (*fn)(int id, void *p, void *data), void *data)``"""
    for i, p in sorted(r.d.items()):
        ret = fn(i, p, data)
        if ret:
            return ret
    return 0
