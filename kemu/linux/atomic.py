# SPDX-License-Identifier: GPL-2.0-only
"""Atomics (include/linux/atomic.h). A step of Python is a step of the machine, so plain operations are atomic here."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.types import s32
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/atomic/atomic-instrumented.h"


@dup("include/linux/types.h")
class atomic_t:
    """``atomic_t``: ``counter`` its value."""

    __slots__ = ("counter",)

    def __init__(self, counter: int = 0):
        self.counter = counter


atomic_long_t = atomic_t
ATOMIC_INIT = atomic_t


@dup(P)
def atomic_read(v: atomic_t) -> int:
    """``int atomic_read(const atomic_t *v)``"""
    return v.counter


@dup(P)
def atomic_set(v: atomic_t, i: int) -> None:
    """``void atomic_set(atomic_t *v, int i)``"""
    v.counter = i


@dup(P)
def atomic_inc(v: atomic_t) -> None:
    """``void atomic_inc(atomic_t *v)``"""
    v.counter += 1


@dup(P)
def atomic_dec(v: atomic_t) -> None:
    """``void atomic_dec(atomic_t *v)``"""
    v.counter -= 1


@dup(P)
def atomic_add(i: int, v: atomic_t) -> None:
    """``void atomic_add(int i, atomic_t *v)``"""
    v.counter = s32(v.counter + i)


@dup(P)
def atomic_add_return(i: int, v: atomic_t) -> int:
    """``int atomic_add_return(int i, atomic_t *v)``"""
    v.counter = s32(v.counter + i)
    return v.counter


@dup(P)
def atomic_inc_return(v: atomic_t) -> int:
    """``int atomic_inc_return(atomic_t *v)``"""
    return atomic_add_return(1, v)


@dup(P)
def atomic_dec_return(v: atomic_t) -> int:
    """``int atomic_dec_return(atomic_t *v)``"""
    return atomic_add_return(-1, v)


@dup(P)
def atomic_dec_and_test(v: atomic_t) -> bool:
    """``bool atomic_dec_and_test(atomic_t *v)``"""
    return atomic_add_return(-1, v) == 0


@dup(P)
def atomic_inc_not_zero(v: atomic_t) -> bool:
    """``bool atomic_inc_not_zero(atomic_t *v)``"""
    if not v.counter:
        return False
    v.counter += 1
    return True


@dup(P)
def atomic_xchg(v: atomic_t, new: int) -> int:
    """``int atomic_xchg(atomic_t *v, int new)``"""
    old = v.counter
    v.counter = new
    return old


@dup(P)
def atomic_cmpxchg(v: atomic_t, old: int, new: int) -> int:
    """``int atomic_cmpxchg(atomic_t *v, int old, int new)``: what was there."""
    cur = v.counter
    if cur == old:
        v.counter = new
    return cur


atomic_long_read, atomic_long_set, atomic_long_inc, atomic_long_dec = atomic_read, atomic_set, atomic_inc, atomic_dec


@dup(P)
def atomic_long_add(i: int, v: atomic_t) -> None:
    """``void atomic_long_add(long i, atomic_long_t *v)``"""
    v.counter += i


@custom(P, "cmpxchg", "the address is given as object and field name")
def cmpxchg(obj: Any, field: str, old: Any, new: Any) -> Any:
    """``cmpxchg(&obj->field, old, new)``: what was there."""
    cur = getattr(obj, field)
    if cur is old or (type(cur) is int and cur == old):
        setattr(obj, field, new)
    return cur


@custom(P, "xchg", "the address is given as object and field name")
def xchg(obj: Any, field: str, new: Any) -> Any:
    """``xchg(&obj->field, new)``: what was there."""
    cur = getattr(obj, field)
    setattr(obj, field, new)
    return cur


@dup("include/linux/refcount.h")
class refcount_t:
    """``refcount_t``: ``refs`` its value."""

    __slots__ = ("refs",)

    def __init__(self, refs: int = 0):
        self.refs = refs


@dup("include/linux/refcount.h")
def refcount_set(r: refcount_t, n: int) -> None:
    """``void refcount_set(refcount_t *r, int n)``"""
    r.refs = n


@dup("include/linux/refcount.h")
def refcount_read(r: refcount_t) -> int:
    """``unsigned int refcount_read(const refcount_t *r)``"""
    return r.refs


@dup("include/linux/refcount.h")
def refcount_inc(r: refcount_t) -> None:
    """``void refcount_inc(refcount_t *r)``: on 0 it is a report."""
    if r.refs <= 0:
        _refcount_warn("addition on 0; use-after-free")
    r.refs += 1


@dup("include/linux/refcount.h")
def refcount_dec_and_test(r: refcount_t) -> bool:
    """``bool refcount_dec_and_test(refcount_t *r)``: below 0 it is a report."""
    if r.refs <= 0:
        _refcount_warn("underflow; use-after-free")
    r.refs -= 1
    return r.refs == 0


def _refcount_warn(what: str) -> None:
    func = caller_function()[0]
    raise KernelBug(f"refcount_t: {what} in {func}", function=func)


names("dup", "include/linux/types.h", "atomic_long_t", "ATOMIC_INIT")
names("dup", P, "atomic_long_read", "atomic_long_set", "atomic_long_inc", "atomic_long_dec")
