# SPDX-License-Identifier: GPL-2.0-only
"""Giving slab memory back (mm/slub.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.slab import KmemCache
from kemu.linux.port.honesty import custom, names
from kemu.machine.current import this

C = "mm/slub.c"


@custom(C, "kfree", "the machine's slab allocator")
def kfree(p: Any) -> None:
    """``void kfree(const void *p)``: an address or an object; NULL is fine."""
    if not p and (p is None or type(p) is int):
        return
    if type(p) is int:
        this.machine.slab.kfree(p)
    elif this.watch is not None:
        this.watch.free("slab", p)


kvfree = kfree


@custom(C, "kmem_cache_free", "the machine's slab allocator")
def kmem_cache_free(cache: KmemCache, obj: Any) -> None:
    """``void kmem_cache_free(struct kmem_cache *s, void *objp)``"""
    if type(obj) is int:
        kfree(obj)
        return
    cache.live -= 1
    if this.watch is not None:
        this.watch.free(cache.name, obj)


names("custom", C, "kvfree", how="as kfree(), which takes every kind of memory")
