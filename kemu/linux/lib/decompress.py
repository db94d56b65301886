# SPDX-License-Identifier: GPL-2.0-only
"""Which decompressor takes a stream (lib/decompress.c).

Libraries decompress; detection, framing, error texts, how much input is consumed and what has reached ``flush`` before an error
are the kernel's. Output goes through buffers in emulated memory, of the sizes that the kernel's decompressors have.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kemu.linux.include.string import mem_read
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_debug
from kemu.linux.types import Ref
from kemu.machine.current import this

if TYPE_CHECKING:
    from kemu.linux.include.decompress import decompress_fn

C = "lib/decompress.c"

Flush = Callable[[int, int], int]           # long flush(void *buf, unsigned long len)
Fill = Callable[[int, int], int]            # long fill(void *buf, unsigned long len)
ErrorFn = Callable[[str], None]             # void error(char *x)


def _gunzip() -> Any:
    from kemu.linux.lib.decompress_inflate import gunzip  # noqa: PLC0415  (loaded when such data comes)

    return gunzip


def _bunzip2() -> Any:
    from kemu.linux.lib.decompress_bunzip2 import bunzip2  # noqa: PLC0415  (loaded when such data comes)

    return bunzip2


def _unlzma() -> Any:
    from kemu.linux.lib.decompress_unlzma import unlzma  # noqa: PLC0415  (loaded when such data comes)

    return unlzma


def _unxz() -> Any:
    from kemu.linux.lib.decompress_unxz import unxz  # noqa: PLC0415  (loaded when such data comes)

    return unxz


def _unlzo() -> Any:
    from kemu.linux.lib.decompress_unlzo import unlzo  # noqa: PLC0415  (loaded when such data comes)

    return unlzo


def _unlz4() -> Any:
    from kemu.linux.lib.decompress_unlz4 import unlz4  # noqa: PLC0415  (loaded when such data comes)

    return unlz4


def _unzstd() -> Any:
    from kemu.linux.lib.decompress_unzstd import unzstd  # noqa: PLC0415  (loaded when such data comes)

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


@dup(C, "decompress_method")
def decompress_method(inbuf: int, len_: int, name: Ref | None) -> decompress_fn | None:
    """Find the decompressor by magic number; ``name.v`` is None where no magic fits, and set where the method is not configured.
    """
    from kemu.linux.include.decompress import _guarded  # noqa: PLC0415  (circle: linux/decompress.h needs this)

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


@custom(C, "", "for a decoder that does again what another one has done in part: what was flushed already is not flushed again")
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


@custom(C, "", "decoded bytes: stored to the output buffer in emulated memory, counted, handed to flush")
def flush_bytes(data: Any, out_buf: int, flush: Flush) -> bool:
    """Put ``data`` into ``out_buf`` and flush it; False if flush did not take all of it."""
    n = len(data)
    this.mem.store(out_buf, data)
    this.counters.bytes_decompressed += n
    return flush(out_buf, n) == n
