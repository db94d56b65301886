# SPDX-License-Identifier: GPL-2.0-only
"""Counting again, from outside: arguments and results of the calls that move bytes, instead of the counters that they keep.

Who copies is wrapped: Memory.copy(), the RAM disk by its bios, the bulk writes of ramfs by what they say they wrote;
decompressors by what they say they made; the page allocator by its results. ``WRITERS`` lists every place that stores into
emulated memory at all; a test compares it with the code.
"""
from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

import kemu.linux.block.blk_core as blk_core
import kemu.linux.port.ramdisk as brd
from kemu.linux.blk_types import REQ_OP_MASK, REQ_OP_READ
from kemu.linux.short.new_file import new_file
from kemu.linux.short.ram_runs import fill_new
from kemu.machine.memory import Memory
from kemu.machine.pages import PageAllocator

from erofs_memback import decompressor, decompressor_zstd
from initramfs import unpack

# file -> how many statements store into the arena, and who counts them
WRITERS = {
    "kemu/machine/memory.py": 7,            # store (outside bytes), fill, copy; zeros for accesses that are gone on behind
    "kemu/machine/hostlib.py": 1,           # scatter: what a decompressor made
    "kemu/machine/pages.py": 1,             # zeroed pages
    "kemu/machine/region.py": 1,            # the boot loader
    "kemu/linux/mm/memblock.py": 1,            # poison
    "kemu/linux/lib/lz4/lz4_decompress.py": 1,      # a decompressor
    "kemu/linux/short/ram_runs.py": 2,        # counted by the results of _write_run and fill_new
    "kemu/linux/port/ramdisk.py": 1,                 # counted by bios
}


class Recount:
    """The counts; ``install()`` wraps."""

    def __init__(self) -> None:
        self.bytes_copied = 0
        self.bytes_decompressed = 0
        self.pages_allocated = 0
        self.block_crossings = 0
        self.inside = 0

    def as_dict(self) -> dict[str, int]:
        return {k: getattr(self, k) for k in ("bytes_copied", "bytes_decompressed", "pages_allocated", "block_crossings")}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        me = self

        def wrap(where: Any, name: str, seen: Any, nested: bool = False) -> None:
            original = getattr(where, name)

            @functools.wraps(original)
            def call(*args: Any, **kw: Any) -> Any:
                me.inside += nested
                try:
                    ret = original(*args, **kw)
                finally:
                    me.inside -= nested
                seen(ret, *args)
                return ret
            patch.setattr(where, name, call)

        def copied(ret: Any, mem: Memory, dst: int, src: int, n: int) -> None:
            if not me.inside and n > 0:
                me.bytes_copied += n

        def wrote_run(ret: int, *args: Any) -> None:
            me.bytes_copied += ret

        def made_run(ret: Any, mapping: Any, index: int, nr: int, pfn: int) -> None:
            me.pages_allocated += nr

        def transferred(ret: bool, disk: Any, bio: Any) -> None:
            assert ret and bio.bi_opf & REQ_OP_MASK == REQ_OP_READ
            at = bio.bi_iter.bi_sector << 9
            me.bytes_copied += max(0, min(bio.bi_iter.bi_size, disk.region.size - at))

        def submitted(ret: Any, bio: Any) -> None:
            me.block_crossings += 1

        def decoded(ret: int, *args: Any) -> None:
            me.bytes_decompressed += max(ret, 0)

        def flushed(ret: Any, bufv: Any, n: int) -> None:
            me.bytes_decompressed += n

        def allocated(ret: Any, alloc: PageAllocator, order: int, *args: Any) -> None:
            me.pages_allocated += (ret is not None) << order

        wrap(Memory, "copy", copied)
        ram_runs = sys.modules[fill_new.__module__]
        wrap(ram_runs, "_write_run", wrote_run, nested=True)
        wrap(sys.modules[new_file.__module__], "fill_new", wrote_run, nested=True)
        wrap(ram_runs, "_make_run", made_run)
        wrap(brd, "_transfer", transferred, nested=True)
        wrap(PageAllocator, "alloc", allocated)
        wrap(decompressor, "LZ4_decompress_safe", decoded)
        wrap(decompressor, "LZ4_decompress_safe_partial", decoded)
        stream = decompressor_zstd.zstd_decompress_stream

        def stream_decoded(dstream: Any, output: Any, input: Any) -> int:
            before = output.pos
            ret: int = stream(dstream, output, input)
            me.bytes_decompressed += output.pos - before
            return ret
        patch.setattr(decompressor_zstd, "zstd_decompress_stream", stream_decoded)
        wrap(unpack, "flush_buffer", flushed)
        wrap(blk_core, "__submit_bio", submitted)
