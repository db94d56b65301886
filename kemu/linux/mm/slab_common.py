# SPDX-License-Identifier: GPL-2.0-only
"""The end of a slab cache, and of secrets (mm/slab_common.c)."""
from __future__ import annotations

from kemu.linux.include.slab import KmemCache
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, names
from kemu.linux.printk import pr_err
from kemu.machine.current import this

C = "mm/slab_common.c"

kfree_sensitive = kfree


@custom(C, "kmem_cache_destroy", "the machine's slab allocator")
def kmem_cache_destroy(cache: KmemCache | None) -> None:
    """``void kmem_cache_destroy(struct kmem_cache *s)``: warns about objects that are left."""
    if cache is None:
        return
    if cache.live:
        pr_err("kmem_cache_destroy %s: Slab cache still has objects when called\n", cache.name)
    if this.watch is not None:
        this.watch.free("kmem_cache", cache)


names("custom", C, "kfree_sensitive", how="as kfree(): the bytes are poisoned, not zeroed")
