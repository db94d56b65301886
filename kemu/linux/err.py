# SPDX-License-Identifier: GPL-2.0-only
"""Errors carried in pointers (include/linux/err.h)."""
from __future__ import annotations

from typing import Any, TypeVar

from kemu.linux.port.honesty import dup

P = "include/linux/err.h"

T = TypeVar("T")
MAX_ERRNO = 4095
_FIRST = (1 << 64) - MAX_ERRNO


@dup(P)
def ERR_PTR(error: int) -> T:                       # type: ignore[type-var]    # void *: whatever pointer is asked for
    """``void *ERR_PTR(long error)``: -ENOMEM as the pointer value 2**64 - 12."""
    return error & 0xFFFF_FFFF_FFFF_FFFF            # type: ignore[return-value]


@dup(P)
def PTR_ERR(ptr: Any) -> int:
    """``long PTR_ERR(const void *ptr)``: the negative errno in an error pointer."""
    return int(ptr) - (1 << 64)


@dup(P)
def IS_ERR(ptr: Any) -> bool:
    """``bool IS_ERR(const void *ptr)``: for objects, addresses and None alike."""
    return type(ptr) is int and ptr >= _FIRST


@dup(P)
def IS_ERR_OR_NULL(ptr: Any) -> bool:
    """``bool IS_ERR_OR_NULL(const void *ptr)``"""
    return ptr is None or (type(ptr) is int and (ptr == 0 or ptr >= _FIRST))


@dup(P)
def ERR_CAST(ptr: Any) -> T:                        # type: ignore[type-var]
    """``void *ERR_CAST(const void *ptr)``"""
    return ptr                                      # type: ignore[no-any-return]


@dup(P)
def PTR_ERR_OR_ZERO(ptr: Any) -> int:
    """``int PTR_ERR_OR_ZERO(const void *ptr)``"""
    if type(ptr) is int and ptr >= _FIRST:
        return int(ptr) - (1 << 64)
    return 0
