# SPDX-License-Identifier: GPL-2.0-only
"""Memory of decompressors (include/linux/decompress/mm.h): malloc() of early boot, and views over it."""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.slab import kmalloc
from kemu.linux.include.string import mem_read, mem_write
from kemu.linux.include.vmalloc import vmalloc
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush
from kemu.linux.mm.kasan.report import report_over_read
from kemu.linux.mm.slub import kfree
from kemu.linux.mm.vmalloc import vfree
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.shadow import NOT_PRESENT
from kemu.machine.splat import KernelBug, KernelPanic, Splat

P = "include/linux/decompress/mm.h"

decompress_fn = Callable[[int, int, Fill | None, Flush, int, Ref, ErrorFn], int]


@custom("include/linux/decompress/generic.h", "fill",
        "called until it has no more, before anything is decoded; C asks for as much as its buffer holds")
def _read_all(fill: Fill) -> tuple[int, int]:
    """Everything that ``fill`` gives, in one buffer: (address, size); (0, 0) without memory or input."""
    piece = malloc(1 << 14)
    if not piece:
        return 0, 0
    parts = []
    while True:
        n = fill(piece, 1 << 14)
        if n <= 0:
            break
        parts.append(mem_read(piece, n))
        if n < 1 << 14:
            break
    free(piece)
    data = b"".join(parts)
    buf = large_malloc(len(data)) if data else 0
    if buf:
        mem_write(buf, data)
    return buf, len(data) if buf else 0


@custom("include/linux/decompress/generic.h", "decompress_fn",
        "a read that a detector reports ends the decompressor with an error, where Linux would go on with whatever it read")
def _guarded(fn: decompress_fn) -> decompress_fn:
    """``fn``, ended by the first bad access: the report is logged, the caller sees -1."""
    def run(buf: int, len_: int, fill: Fill | None, flush: Flush, outbuf: int, posp: Ref, error: ErrorFn) -> int:
        if fill is not None and not buf:
            whole, size = _read_all(fill)
            if not whole:
                return -1
            def at_end(text: str) -> None:
                # where the input ends early C asks for more once more, and is told so; inflate then says what it says without
                # input
                if text == "read error" and fill(whole, 1 << 14) >= 0:
                    text = "uncompression error"
                error(text)

            try:
                return run(whole, size, None, flush, outbuf, posp, at_end)
            finally:
                large_free(whole)
        try:
            return fn(buf, len_, fill, flush, outbuf, posp, error)
        except Splat as splat:
            addr = splat.facts.get("first_bad", -1)
            # only reads behind the input: everything else is not the decompressor's
            if isinstance(splat, (KernelBug, KernelPanic)) or splat.facts.get("access") != "read" or not (
                    addr >= buf + len_ or splat.facts.get("code") == NOT_PRESENT):
                raise
            report_over_read(splat)
            return -1
    return run


@dup(P)
def malloc(size: int) -> int:
    """``malloc(a)``: kmalloc; 0 on failure."""
    return kmalloc(size, GFP_KERNEL)


@dup(P)
def free(where: int) -> None:
    """``free(a)``"""
    kfree(where)


large_malloc, large_free = vmalloc, vfree


@custom(P, "large_malloc",
        "memory that only the host's library would touch: asked for and refused as vmalloc is, but no frame is taken")
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
    if watch is not None and mem.init_of(runs) is not None:
        watch.uninit_use(p, n, "decompress")
    if len(runs) == 1:
        base, k = runs[0]
        return mem.buf[base:base + k]
    return memoryview(b"".join([bytes(mem.buf[b:b + k]) for b, k in runs]))


names("dup", P, "large_malloc", "large_free")
