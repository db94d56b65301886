# SPDX-License-Identifier: GPL-2.0-only
"""The XArray: loading, storing, erasing (lib/xarray.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import ENOMEM
from kemu.linux.include.gfp import gfpflags_allow_blocking
from kemu.linux.include.slab import _fails
from kemu.linux.include.xarray import xa_lock, xa_unlock, xarray
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "lib/xarray.c"


@custom(C, "xa_load", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def xa_load(xa: xarray, index: int) -> Any:
    """``void *xa_load(struct xarray *xa, unsigned long index)``: None if there is nothing."""
    return xa.d.get(index)


@custom(C, "__xa_cmpxchg", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
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


@custom(C, "__xa_erase", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def __xa_erase(xa: xarray, index: int) -> Any:
    """``void *__xa_erase(struct xarray *xa, unsigned long index)``"""
    return xa.d.pop(index, None)


@custom(C, "xa_erase", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def xa_erase(xa: xarray, index: int) -> Any:
    """``void *xa_erase(struct xarray *xa, unsigned long index)``"""
    return xa.d.pop(index, None)


@custom(C, "xa_store", "a dict: nothing is allocated, so nothing fails with -ENOMEM but by fault injection")
def xa_store(xa: xarray, index: int, entry: Any, gfp: int) -> Any:
    """``void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)``"""
    if (this.chooser is not None) and _fails(gfp, "xa_node"):
        return ERR_PTR(-ENOMEM)
    cur = xa.d.get(index)
    xa.d[index] = entry
    xa.adds += 1
    return cur
