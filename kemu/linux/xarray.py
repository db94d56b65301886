# SPDX-License-Identifier: GPL-2.0-only
"""The XArray (include/linux/xarray.h), by index."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import ENOMEM
from kemu.linux.gfp import gfpflags_allow_blocking
from kemu.linux.honesty import custom, dup
from kemu.linux.slab import _fails
from kemu.linux.spinlock import spin_lock, spin_trylock, spin_unlock, spinlock_t
from kemu.machine.current import this


@custom("include/linux/xarray.h", "xarray", "a dict under a spinlock; order is the index")
class xarray:
    """``struct xarray``"""

    __slots__ = ("adds", "d", "xa_lock")

    def __init__(self) -> None:
        self.d: dict[int, Any] = {}
        self.adds = 0               # entries stored so far: an iteration looks again when it has changed
        self.xa_lock = spinlock_t()


@dup("include/linux/xarray.h")
def xa_init(xa: xarray) -> None:
    """``void xa_init(struct xarray *xa)``"""
    xa.d = {}


@dup("include/linux/xarray.h")
def xa_lock(xa: xarray) -> None:
    """``xa_lock(xa)``"""
    spin_lock(xa.xa_lock)


@dup("include/linux/xarray.h")
def xa_trylock(xa: xarray) -> bool:
    """``xa_trylock(xa)``"""
    return spin_trylock(xa.xa_lock)


@dup("include/linux/xarray.h")
def xa_unlock(xa: xarray) -> None:
    """``xa_unlock(xa)``"""
    spin_unlock(xa.xa_lock)


@custom("lib/xarray.c", "xa_load", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def xa_load(xa: xarray, index: int) -> Any:
    """``void *xa_load(struct xarray *xa, unsigned long index)``: None if there is nothing."""
    return xa.d.get(index)


@dup("include/linux/xarray.h")
def xa_empty(xa: xarray) -> bool:
    """``bool xa_empty(const struct xarray *xa)``"""
    return not xa.d


@custom("lib/xarray.c", "__xa_cmpxchg", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def __xa_cmpxchg(xa: xarray, index: int, old: Any, entry: Any, gfp: int) -> Any:
    """``void *__xa_cmpxchg(struct xarray *xa, unsigned long index, void *old, void *entry, gfp_t gfp)``

    The caller holds xa_lock. Return: what was there; xa_mk_err(-ENOMEM) if a node could not be allocated (failslab).
    """
    cur = xa.d.get(index)
    if cur is not old:
        return cur
    if entry is None:
        xa.d.pop(index, None)
        return cur
    if this.chooser is not None or this.watch is not None:
        blocking = gfpflags_allow_blocking(gfp)
        if blocking:
            xa_unlock(xa)                   # __xas_nomem() drops the lock to allocate a node
        failed = _fails(gfp, "xa_node")
        if blocking:
            xa_lock(xa)
        if failed:
            return ERR_PTR(-ENOMEM)
        cur = xa.d.get(index)
        if cur is not old:
            return cur
    xa.d[index] = entry
    xa.adds += 1
    return cur


@custom("lib/xarray.c", "__xa_erase", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def __xa_erase(xa: xarray, index: int) -> Any:
    """``void *__xa_erase(struct xarray *xa, unsigned long index)``"""
    return xa.d.pop(index, None)


@custom("lib/xarray.c", "xa_erase", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def xa_erase(xa: xarray, index: int) -> Any:
    """``void *xa_erase(struct xarray *xa, unsigned long index)``"""
    return xa.d.pop(index, None)


@custom("lib/xarray.c", "xa_store", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def xa_store(xa: xarray, index: int, entry: Any, gfp: int) -> Any:
    """``void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)``"""
    if (this.chooser is not None) and _fails(gfp, "xa_node"):
        return ERR_PTR(-ENOMEM)
    cur = xa.d.get(index)
    xa.d[index] = entry
    xa.adds += 1
    return cur


@dup("include/linux/xarray.h")
def xa_is_err(entry: Any) -> bool:
    """``bool xa_is_err(const void *entry)``"""
    return IS_ERR(entry)


@dup("include/linux/xarray.h")
def xa_err(entry: Any) -> int:
    """``int xa_err(void *entry)``"""
    return PTR_ERR(entry) if IS_ERR(entry) else 0


@custom("include/linux/xarray.h", "xa_for_each", "a generator of (index, entry); entries may be added and removed meanwhile")
def xa_for_each(xa: xarray) -> Iterator[tuple[int, Any]]:
    """``xa_for_each(xa, index, entry)``: in order of the index."""
    last = -1
    d = xa.d
    while True:
        todo = sorted(i for i in d if i > last)
        if not todo:
            return
        had = xa.adds
        for last in todo:
            if last in d:
                yield last, d[last]
                if xa.adds != had or xa.d is not d:
                    d = xa.d
                    break
