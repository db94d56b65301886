# SPDX-License-Identifier: GPL-2.0-only
"""kmalloc and its kin (include/linux/slab.h); giving back is in mm/slub.py.

Byte buffers live in emulated memory and are addresses; structures that ported code uses by field are Python objects made by the
``_obj`` calls and by caches, which take the class where C takes a size.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kemu.linux.include.gfp import __GFP_NOFAIL, __GFP_ZERO, GFP_KERNEL, might_alloc
from kemu.linux.port.honesty import custom, dup, names
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail

P = "include/linux/slab.h"

SLAB_HWCACHE_ALIGN, SLAB_RECLAIM_ACCOUNT, SLAB_ACCOUNT, SLAB_PANIC = 0x2000, 0x20000, 0x4000000, 0x40000
ZERO_SIZE_PTR = 16

T = TypeVar("T")


def _fails(gfp: int, what: str) -> bool:
    """Attached only: scheduling point, atomic-context check and failslab."""
    might_alloc(gfp)
    return not gfp & __GFP_NOFAIL and should_fail("failslab", what)


@dup(P)
def kmalloc(size: int, gfp: int = GFP_KERNEL) -> int:
    """``void *kmalloc(size_t size, gfp_t flags)``: an address, 0 on failure; bytes uninitialised unless __GFP_ZERO."""
    if (this.chooser is not None or this.watch is not None) and _fails(gfp, "kmalloc"):
        return 0
    return this.machine.slab.kmalloc(size, bool(gfp & __GFP_ZERO))


@dup(P)
def kzalloc(size: int, gfp: int = GFP_KERNEL) -> int:
    """``void *kzalloc(size_t size, gfp_t flags)``"""
    return kmalloc(size, gfp | __GFP_ZERO)


kvmalloc, kvzalloc = kmalloc, kzalloc


@custom(P, "kzalloc_obj", "a Python object of the class, zeroed as its constructor does")
def kzalloc_obj(cls: Callable[[], T], gfp: int = GFP_KERNEL) -> T:
    """``kzalloc_obj(*p, gfp)``: a new zeroed structure, None on failure."""
    if (this.chooser is not None or this.watch is not None) and _fails(gfp, "kzalloc_obj"):
        return NULL             # type: ignore[no-any-return]
    obj = cls()
    if this.watch is not None:
        this.watch.alloc("slab", obj, 0)
    return obj


kmalloc_obj = kvzalloc_obj = kvmalloc_obj = kzalloc_obj


@custom(P, "kzalloc_objs", "a Python list of None (pointers) or of structures")
def kzalloc_objs(cls: Callable[[], Any] | None, nr: int, gfp: int = GFP_KERNEL) -> Any:
    """``kzalloc_objs(*p, nr, gfp)``: a list; ``cls`` None for an array of pointers. None on failure."""
    if (this.chooser is not None or this.watch is not None) and _fails(gfp, "kzalloc_objs"):
        return None
    obj = ObjArray([None] * nr if cls is None else [cls() for _ in range(nr)])
    if this.watch is not None:
        this.watch.alloc("slab", obj, 0)
    return obj


kvzalloc_objs = kzalloc_objs


@custom(P, "T *array", "an allocated array: a list that can be freed")
class ObjArray(list[Any]):
    """What :func:`kzalloc_objs` gives."""

    __hash__ = object.__hash__      # type: ignore[assignment]


@custom(P, "kmem_cache", "objects are Python objects of cls, or buffers if cls is a size")
class KmemCache:
    """``struct kmem_cache``"""

    __slots__ = ("cls", "ctor", "name", "live")

    def __init__(self, name: str, cls: Any, ctor: Callable[[Any], None] | None):
        self.name = name
        self.cls = cls
        self.ctor = ctor
        self.live = 0


@dup(P)
def kmem_cache_create(name: str, cls: Any, align: int = 0, flags: int = 0,
                      ctor: Callable[[Any], None] | None = None) -> KmemCache:
    """``struct kmem_cache *kmem_cache_create(name, size, align, flags, ctor)``: None on failure."""
    if this.chooser is not None and not flags & SLAB_PANIC and _fails(GFP_KERNEL, "kmem_cache_create"):
        return NULL         # type: ignore[no-any-return]    # with SLAB_PANIC a kernel does not come up: nothing to explore
    cache = KmemCache(name, cls, ctor)
    if this.watch is not None:
        this.watch.alloc("kmem_cache", cache, 0)
    return cache


@dup(P)
def kmem_cache_alloc(cache: KmemCache, gfp: int = GFP_KERNEL) -> Any:
    """``void *kmem_cache_alloc(struct kmem_cache *s, gfp_t flags)``: None (0 for buffers) on failure."""
    cls = cache.cls
    if type(cls) is int:
        return kmalloc(cls, gfp)
    if (this.chooser is not None or this.watch is not None) and _fails(gfp, cache.name):
        return None
    obj = cls()
    if cache.ctor is not None:
        cache.ctor(obj)
    cache.live += 1
    if this.watch is not None:
        this.watch.alloc(cache.name, obj, 0)
    return obj


@dup(P)
def kmem_cache_zalloc(cache: KmemCache, gfp: int = GFP_KERNEL) -> Any:
    """``void *kmem_cache_zalloc(struct kmem_cache *s, gfp_t flags)``"""
    return kmem_cache_alloc(cache, gfp | __GFP_ZERO)


@dup("include/linux/string.h")
def kmemdup(src: int, n: int, gfp: int = GFP_KERNEL) -> int:
    """``void *kmemdup(const void *src, size_t len, gfp_t gfp)``"""
    p = kmalloc(n, gfp)
    if p:
        this.mem.copy(p, src, n)
    return p


@custom("include/linux/string.h", "kstrdup", "strings that never meet the disk are Python str")
def kstrdup(s: str, gfp: int = GFP_KERNEL) -> str:
    """``char *kstrdup(const char *s, gfp_t gfp)``: None on failure or for None."""
    if s is None or ((this.chooser is not None) and _fails(gfp, "kstrdup")):
        return NULL             # type: ignore[no-any-return]
    return s


names("dup", P, "kvmalloc", "kvzalloc")
names("custom", P, "kmalloc_obj", "kvzalloc_obj", "kvmalloc_obj", how="as kzalloc_obj")
names("custom", P, "kvzalloc_objs", how="as kzalloc_objs")
