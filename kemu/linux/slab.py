# SPDX-License-Identifier: GPL-2.0-only
"""kmalloc and its kin (include/linux/slab.h).

Byte buffers live in emulated memory and are addresses; structures that ported code uses by field are Python objects made by the
``_obj`` calls and by caches, which take the class where C takes a size.
"""
from __future__ import annotations

from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.slab import (  # noqa: F401
    SLAB_ACCOUNT,
    SLAB_HWCACHE_ALIGN,
    SLAB_PANIC,
    SLAB_RECLAIM_ACCOUNT,
    ZERO_SIZE_PTR,
    KmemCache,
    ObjArray,
    kmalloc,
    kmalloc_obj,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_zalloc,
    kmemdup,
    kstrdup,
    kvmalloc,
    kvmalloc_obj,
    kvzalloc,
    kvzalloc_obj,
    kvzalloc_objs,
    kzalloc,
    kzalloc_obj,
    kzalloc_objs,
)
from kemu.linux.mm.slab_common import kfree_sensitive, kmem_cache_destroy  # noqa: F401
from kemu.linux.mm.slub import kfree, kmem_cache_free, kvfree  # noqa: F401
from kemu.linux.mm.util import kmemdup_nul, kstrndup  # noqa: F401
from kemu.linux.port.honesty import dup
from kemu.machine.current import this

P = "include/linux/slab.h"


@dup(P)
def krealloc(p: int, new_size: int, gfp: int = GFP_KERNEL) -> int:
    """``void *krealloc(const void *p, size_t new_size, gfp_t flags)``: 0 on failure, and then ``p`` is as it was."""
    new = kmalloc(new_size, gfp)
    if new and p:
        this.mem.copy(new, p, min(new_size, this.machine.slab.live[p].size))
        kfree(p)
    return new
