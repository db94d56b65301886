# SPDX-License-Identifier: GPL-2.0-only
"""ID allocation (include/linux/idr.h)."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kemu.linux.errno import ENOMEM, ENOSPC
from kemu.linux.honesty import custom, dup
from kemu.linux.slab import _fails
from kemu.machine.current import this


@dup("include/linux/idr.h")
class idr:
    """``struct idr``"""

    __slots__ = ("d",)

    def __init__(self) -> None:
        self.d: dict[int, Any] = {}


@dup("include/linux/idr.h")
def idr_init(r: idr) -> None:
    """``void idr_init(struct idr *idr)``"""
    r.d = {}


@custom("lib/idr.c", "idr_alloc", "a dict")
def idr_alloc(r: idr, ptr: Any, start: int, end: int, gfp: int) -> int:
    """``int idr_alloc(struct idr *idr, void *ptr, int start, int end, gfp_t gfp)``: the lowest free id; -ENOMEM, -ENOSPC."""
    if this.chooser is not None and _fails(gfp, "idr_alloc"):
        return -ENOMEM
    i = start
    while i in r.d:
        i += 1
    if end and i >= end:
        return -ENOSPC
    r.d[i] = ptr
    return i


@custom("lib/idr.c", "idr_find", "a dict")
def idr_find(r: idr, id_: int) -> Any:
    """``void *idr_find(const struct idr *idr, unsigned long id)``"""
    return r.d.get(id_)


@custom("lib/idr.c", "idr_remove", "a dict")
def idr_remove(r: idr, id_: int) -> Any:
    """``void *idr_remove(struct idr *idr, unsigned long id)``"""
    return r.d.pop(id_, None)


@custom("include/linux/idr.h", "idr_for_each_entry", "a generator of (id, entry)")
def idr_for_each_entry(r: idr) -> Iterator[tuple[int, Any]]:
    """``idr_for_each_entry(idr, entry, id)``"""
    yield from sorted(r.d.items())


@custom("lib/idr.c", "idr_for_each", "a dict")
def idr_for_each(r: idr, fn: Callable[[int, Any, Any], int], data: Any) -> int:
    """``int idr_for_each(const struct idr *idr, int (*fn)(int id, void *p, void *data), void *data)``"""
    for i, p in sorted(r.d.items()):
        ret = fn(i, p, data)
        if ret:
            return ret
    return 0


@custom("lib/radix-tree.c", "idr_destroy", "a dict")
def idr_destroy(r: idr) -> None:
    """``void idr_destroy(struct idr *idr)``"""
    r.d = {}
