# SPDX-License-Identifier: GPL-2.0-only
"""Zstandard (lib/decompress_unzstd.c over lib/zstd).

The decoder is ZSTD_decompressStream() of lib/zstd, with the 128 KiB buffers that unzstd() gives it.
"""
from __future__ import annotations

from kemu.linux.include.decompress import large_free, large_malloc, scratch, view
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, flush_bytes
from kemu.linux.lib.zstd.decompress.zstd_decompress import (
    ZSTD_BLOCKSIZE_MAX,
    ZSTD_IOBUF_SIZE,
    ZstdError,
    ZstdStream,
    zstd_get_frame_header,
)
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.types import Ref

C = "lib/decompress_unzstd.c"


# zstd's error texts -> what handle_zstd_error() says
_WORDS = {
    "Allocation error : not enough memory": "ZSTD decompressor ran out of memory",
    "Unknown frame descriptor": "Input is not in the ZSTD format (wrong magic bytes)",
    "Destination buffer is too small": "ZSTD-compressed data is corrupt",
    "Data corruption detected": "ZSTD-compressed data is corrupt",
    "Restored data doesn't match checksum": "ZSTD-compressed data is corrupt",
}


@custom(C, "__unzstd", "libzstd decodes, from memory: there is no fill()")
def __unzstd(in_buf: int, in_len: int, fill: Fill | None, flush: Flush, out_buf: int, out_len: int, in_pos: Ref,
             error: ErrorFn) -> int:
    out_allocated = 0
    try:
        if in_len < 0:
            error("ZSTD-compressed data is truncated")
            return -1
        data = view(in_buf, in_len)
        # Allocate the output buffer if we are using flush().
        out_allocated = large_malloc(ZSTD_IOBUF_SIZE)
        if not out_allocated:
            error("Out of memory while allocating output buffer")
            return -1
        out_buf = out_allocated

        # We need to know the window size to allocate the zstd_dstream.
        header = zstd_get_frame_header(data)
        if isinstance(header, int):
            error("ZSTD-compressed data has an incomplete frame header")
            return -1
        # header.windowSize > ZSTD_WINDOWSIZE_MAX: never, because 1 << ZSTD_WINDOWLOG_MAX is a negative int

        # Allocate the zstd_dstream now that we know how much memory is required.
        if not scratch(header.window + 2 * ZSTD_BLOCKSIZE_MAX + 96000):
            error("Out of memory while allocating ZSTD_DStream")
            return -1

        # Decompression loop
        in_pos.v = 0
        stream = ZstdStream(data, header)
        ret = 1
        while ret != 0:
            # If we need to reload data, either we have fill() and can try to get more data, or we don't and the input is
            # truncated.
            if stream.pos == in_len:
                in_pos.v += stream.pos
                error("ZSTD-compressed data is truncated")
                return -1
            # Returns zero when the frame is complete.
            ret, out = stream.call()
            # Flush all of the data produced if using flush().
            if out:
                if not flush_bytes(out, out_buf, flush):
                    error("Failed to flush()")
                    return -1
        in_pos.v += stream.pos
        return 0
    except ZstdError as e:
        error(_WORDS.get(str(e), "ZSTD-compressed data is probably corrupt"))
        return -1
    finally:
        if out_allocated:
            large_free(out_allocated)


@port_of(C, "unzstd")
def unzstd(buf: int, len_: int, fill: Fill | None, flush: Flush, out_buf: int, pos: Ref, error: ErrorFn) -> int:
    return __unzstd(buf, len_, fill, flush, out_buf, 0, pos, error)
