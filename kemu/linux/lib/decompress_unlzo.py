# SPDX-License-Identifier: GPL-2.0-only
"""LZO as lzop writes it (lib/decompress_unlzo.c). The decoder is Linux's own, ported: nothing to install."""
from __future__ import annotations

from kemu.linux.include.decompress import free, malloc, view
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, flush_bytes
from kemu.linux.lib.lzo.lzo1x_decompress_safe import LZO_E_OK, lzo1x_decompress_safe
from kemu.linux.port.honesty import custom, dup
from kemu.linux.types import Ref
from kemu.linux.unaligned import get_unaligned_be16, get_unaligned_be32
from kemu.machine.current import this

C = "lib/decompress_unlzo.c"

lzop_magic = b"\x89LZO\x00\r\n\x1a\n"
LZO_BLOCK_SIZE = 256 * 1024
HEADER_HAS_FILTER = 0x00000800
HEADER_SIZE_MIN = 9 + 7 + 4 + 8 + 1 + 4


@dup(C, "parse_header")
def parse_header(input: int, skip: Ref, in_len: int) -> int:
    parse = input
    end = input + in_len

    # Check that there's enough input to possibly have a valid header.
    if in_len < HEADER_SIZE_MIN:
        return 0

    # read magic: 9 first bits
    if bytes(view(parse, 9)) != lzop_magic:
        return 0
    parse += 9
    # get version (2bytes), skip library version (2), 'need to be extracted' version (2) and method (1)
    version = get_unaligned_be16(parse)
    parse += 7
    if version >= 0x0940:
        parse += 1
    if get_unaligned_be32(parse) & HEADER_HAS_FILTER:
        parse += 8      # flags + filter info
    else:
        parse += 4      # flags

    # At least mode, mtime_low, filename length, and checksum must be left to be parsed.
    if end - parse < 8 + 1 + 4:
        return 0

    # skip mode and mtime_low
    parse += 8
    if version >= 0x0940:
        parse += 4      # skip mtime_high

    l = this.mem.ld8(parse)
    parse += 1
    # don't care about the file name, and skip checksum
    if end - parse < l + 4:
        return 0
    parse += l + 4

    skip.v = parse - input
    return 1


@custom(C, "unlzo", "from memory to flush(): there is no fill()")
def unlzo(input: int, in_len: int, fill: Fill | None, flush: Flush, output: int, posp: Ref, error: ErrorFn) -> int:
    skip = Ref(0)
    ret = -1

    out_buf = malloc(LZO_BLOCK_SIZE)
    if not out_buf:
        error("Could not allocate output buffer")
        return ret
    try:
        in_buf = input
        posp.v = 0
        if not parse_header(in_buf, skip, in_len):
            error("invalid header")
            return ret
        in_buf += skip.v
        in_len -= skip.v
        posp.v = skip.v

        while True:
            # read uncompressed block size
            if in_len < 4:
                error("file corrupted")
                return ret
            dst_len = get_unaligned_be32(in_buf)
            in_buf += 4
            in_len -= 4

            # exit if last block
            if dst_len == 0:
                posp.v += 4
                break

            if dst_len > LZO_BLOCK_SIZE:
                error("dest len longer than block size")
                return ret

            # read compressed block size, and skip block checksum info
            if in_len < 8:
                error("file corrupted")
                return ret
            src_len = get_unaligned_be32(in_buf)
            in_buf += 8
            in_len -= 8

            if src_len <= 0 or src_len > dst_len:
                error("file corrupted")
                return ret

            # decompress
            if in_len < src_len:
                error("file corrupted")
                return ret
            data: bytes | bytearray | memoryview = view(in_buf, src_len)

            # When the input data is not compressed at all, lzo1x_decompress_safe will fail, so call memcpy() instead
            if dst_len != src_len:
                r, data = lzo1x_decompress_safe(bytes(data), dst_len)
                if r != LZO_E_OK or dst_len != len(data):
                    error("Compressed data violation")
                    return ret

            if not flush_bytes(data, out_buf, flush):
                return ret
            posp.v += src_len + 12

            in_buf += src_len
            in_len -= src_len

        return 0
    finally:
        free(out_buf)
