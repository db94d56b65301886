# SPDX-License-Identifier: GPL-2.0-only
"""struct xarray (include/linux/xarray.h)."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_trylock, spin_unlock, spinlock_t

P = "include/linux/xarray.h"


@custom(P, "xarray", "a dict under a spinlock; order is the index")
class xarray:
    """``struct xarray``"""

    __slots__ = ("adds", "d", "xa_lock")

    def __init__(self) -> None:
        self.d: dict[int, Any] = {}
        self.adds = 0               # entries stored so far: an iteration looks again when it has changed
        self.xa_lock = spinlock_t()


@dup(P)
def xa_init(xa: xarray) -> None:
    """``void xa_init(struct xarray *xa)``"""
    xa.d = {}


@dup(P)
def xa_lock(xa: xarray) -> None:
    """``xa_lock(xa)``"""
    spin_lock(xa.xa_lock)


@dup(P)
def xa_trylock(xa: xarray) -> bool:
    """``xa_trylock(xa)``"""
    return spin_trylock(xa.xa_lock)


@dup(P)
def xa_unlock(xa: xarray) -> None:
    """``xa_unlock(xa)``"""
    spin_unlock(xa.xa_lock)


@dup(P)
def xa_empty(xa: xarray) -> bool:
    """``bool xa_empty(const struct xarray *xa)``"""
    return not xa.d


@dup(P)
def xa_is_err(entry: Any) -> bool:
    """``bool xa_is_err(const void *entry)``"""
    return IS_ERR(entry)


@dup(P)
def xa_err(entry: Any) -> int:
    """``int xa_err(void *entry)``"""
    return PTR_ERR(entry) if IS_ERR(entry) else 0


@custom(P, "xa_for_each", "a generator of (index, entry); entries may be added and removed meanwhile")
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
