# SPDX-License-Identifier: GPL-2.0-only
"""Memory of the decompressors (include/linux/decompress/mm.h), and how they look at their input."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup, names
from kemu.linux.printk import pr_err
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.vmalloc import vfree, vmalloc
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.splat import Splat

P = "include/linux/decompress/mm.h"
Flush = Callable[[int, int], int]           # long flush(void *buf, unsigned long len)
Fill = Callable[[int, int], int]            # long fill(void *buf, unsigned long len)
ErrorFn = Callable[[str], None]             # void error(char *x)


@dup(P)
def malloc(size: int) -> int:
    """``malloc(a)``: kmalloc; 0 on failure."""
    return kmalloc(size, GFP_KERNEL)


@dup(P)
def free(where: int) -> None:
    """``free(a)``"""
    kfree(where)


large_malloc, large_free = vmalloc, vfree
names("dup", P, "large_malloc", "large_free")


@custom(P, "large_malloc", "memory that only the host's library would touch: asked for and refused as vmalloc is, but no frame is taken")
def scratch(size: int) -> bool:
    """``large_malloc(size)`` for a workspace whose bytes nothing in emulated memory looks at; False on failure."""
    if this.chooser is not None and should_fail("fail_vmalloc", "vmalloc"):
        return False
    alloc = this.machine.alloc
    free_frames = alloc.top_pfn - alloc.next_pfn
    if size > free_frames << this.mem.shift:
        alloc.exhausted = True
        return False
    return size > 0


@custom(P, "", "the bytes of a checked range, without a copy where they lie in one run of the arena")
def view(p: int, n: int) -> memoryview:
    """``n`` bytes at ``p``, to be read only: every one of them is checked, as if it were loaded."""
    mem = this.mem
    runs = mem.pieces(p, n, False)
    if not runs:
        return memoryview(b"")
    watch = this.watch
    if watch is not None and mem._init_of(runs) is not None:
        watch.uninit_use(p, n, "decompress")
    if len(runs) == 1:
        base, k = runs[0]
        return mem.buf[base:base + k]
    return memoryview(b"".join([bytes(mem.buf[b:b + k]) for b, k in runs]))


@custom("mm/kasan/report.c", "kasan_report", "the report goes to the log, as KASAN's does; the caller then fails instead of going on with what it read")
def report_over_read(splat: Splat) -> None:
    """Write a detector's report into the kernel log and tell the watch."""
    for line in str(splat).split("\n"):
        pr_err("%s\n", line)
    this.machine.parts.setdefault("splats", []).append(splat)
    if this.watch is not None:
        this.watch.event("splat", splat=splat)


@custom("lib/decompress.c", "", "for a decoder that does again what another one has done in part: what was flushed already is not flushed again")
def dropping(n: int, flush: Flush) -> Flush:
    """``flush`` without the first ``n`` bytes."""
    left = [n]

    def rest(p: int, size: int) -> int:
        drop = min(left[0], size)
        left[0] -= drop
        if drop and drop == size:
            return size
        done = flush(p + drop, size - drop)
        return done + drop if done >= 0 else done
    return rest


@custom("lib/decompress.c", "", "decoded bytes: stored to the output buffer in emulated memory, counted, handed to flush")
def flush_bytes(data: Any, out_buf: int, flush: Flush) -> bool:
    """Put ``data`` into ``out_buf`` and flush it; False if flush did not take all of it."""
    n = len(data)
    this.mem.store(out_buf, data)
    this.counters.bytes_decompressed += n
    return flush(out_buf, n) == n
