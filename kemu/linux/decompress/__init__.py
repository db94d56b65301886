# SPDX-License-Identifier: GPL-2.0-only
"""Decompression of kernels and archives (include/linux/decompress/generic.h, lib/decompress.c).

Libraries decompress; detection, framing, error texts, how much input is consumed and what has reached ``flush`` before an error are the
kernel's. Output goes through buffers in emulated memory, of the sizes that the kernel's decompressors have.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.decompress.mm import ErrorFn, Fill, Flush, free, large_free, large_malloc, malloc, report_over_read
from kemu.linux.honesty import custom, dup
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.printk import pr_debug
from kemu.linux.string import mem_read, mem_write
from kemu.linux.types import Ref
from kemu.machine.memory import NOT_PRESENT
from kemu.machine.splat import KernelBug, KernelPanic, Splat

decompress_fn = Callable[[int, int, Fill | None, Flush, int, Ref, ErrorFn], int]


def _gunzip() -> Any:
    from kemu.linux.decompress.inflate import gunzip

    return gunzip


def _bunzip2() -> Any:
    from kemu.linux.decompress.bunzip2 import bunzip2

    return bunzip2


def _unlzma() -> Any:
    from kemu.linux.decompress.unlzma import unlzma

    return unlzma


def _unxz() -> Any:
    from kemu.linux.decompress.unxz import unxz

    return unxz


def _unlzo() -> Any:
    from kemu.linux.decompress.unlzo import unlzo

    return unlzo


def _unlz4() -> Any:
    from kemu.linux.decompress.unlz4 import unlz4

    return unlz4


def _unzstd() -> Any:
    from kemu.linux.decompress.unzstd import unzstd

    return unzstd


compressed_formats = (
    (b"\x1f\x8b", "gzip", "CONFIG_DECOMPRESS_GZIP", _gunzip),
    (b"\x1f\x9e", "gzip", "CONFIG_DECOMPRESS_GZIP", _gunzip),
    (b"\x42\x5a", "bzip2", "CONFIG_DECOMPRESS_BZIP2", _bunzip2),
    (b"\x5d\x00", "lzma", "CONFIG_DECOMPRESS_LZMA", _unlzma),
    (b"\xfd\x37", "xz", "CONFIG_DECOMPRESS_XZ", _unxz),
    (b"\x89\x4c", "lzo", "CONFIG_DECOMPRESS_LZO", _unlzo),
    (b"\x02\x21", "lz4", "CONFIG_DECOMPRESS_LZ4", _unlz4),
    (b"\x28\xb5", "zstd", "CONFIG_DECOMPRESS_ZSTD", _unzstd),
)


@custom("include/linux/decompress/generic.h", "fill", "called until it has no more, before anything is decoded; C asks for as much as its buffer holds")
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
                # where the input ends early C asks for more once more, and is told so; inflate then says what it says without input
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


@dup("lib/decompress.c", "decompress_method")
def decompress_method(inbuf: int, len_: int, name: Ref | None) -> decompress_fn | None:
    """Find the decompressor by magic number; ``name.v`` is None where no magic fits, and set where the method is not configured."""
    if len_ < 2:
        if name is not None:
            name.v = None
        return None         # Need at least this much...

    magic = mem_read(inbuf, 2)
    pr_debug("Compressed data magic: %#.2x %#.2x\n", magic[0], magic[1])
    for fmt_magic, fmt_name, option, decompressor in compressed_formats:
        if magic == fmt_magic:
            if name is not None:
                name.v = fmt_name
            fn = decompressor() if IS_ENABLED(option) else None
            return _guarded(fn) if fn is not None else None
    if name is not None:
        name.v = None
    return None


__all__ = ["ErrorFn", "Fill", "Flush", "decompress_fn", "decompress_method"]
