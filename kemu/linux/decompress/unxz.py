# SPDX-License-Identifier: GPL-2.0-only
"""xz (lib/decompress_unxz.c over lib/xz).

liblzma decodes what is right and what Linux's decoder supports; whatever it refuses is decoded again by Linux's own decoder
(:mod:`kemu.linux.decompress.xz_dec`), which knows what has been written when the error comes.
"""
from __future__ import annotations

from kemu.linux.decompress.mm import ErrorFn, Fill, Flush, flush_bytes, free, malloc, scratch, view
from kemu.linux.decompress.xz_dec import (
    XZ_BUF_ERROR,
    XZ_DATA_ERROR,
    XZ_FORMAT_ERROR,
    XZ_MEM_ERROR,
    XZ_OK,
    XZ_OPTIONS_ERROR,
    XZ_STREAM_END,
    XzDec,
    dec_stream_header,
    dict_size_of,
)
from kemu.linux.honesty import custom, port_of
from kemu.linux.types import Ref
from kemu.machine.hostmodule import host_module

lzma = host_module("lzma", "xz")

XZ_IOBUF_SIZE = 4096
SIZEOF_XZ_DEC, SIZEOF_XZ_LZMA2, SIZEOF_XZ_BCJ = 1248, 28312, 64


@custom("lib/xz/xz_dec_stream.c", "xz_dec_run", "liblzma; tells at once whether the whole stream is right")
def _decode_good(data: memoryview) -> tuple[memoryview, int] | None:
    """Output and bytes consumed, if liblzma finds nothing wrong and Linux supports the settings."""
    if len(data) < 12 or dec_stream_header(bytes(data[:12])) != XZ_OK:
        return None
    d = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    pieces = []
    pos = 0
    try:
        while not d.eof:
            if pos >= len(data):
                return None
            pieces.append(d.decompress(data[pos:pos + (1 << 20)]))
            pos += 1 << 20
    except lzma.LZMAError:
        return None
    return memoryview(b"".join(pieces)), min(pos, len(data)) - len(d.unused_data)


@port_of("lib/decompress_unxz.c", "unxz")
def unxz(in_: int, in_size: int, fill: Fill | None, flush: Flush, out: int, in_used: Ref, error: ErrorFn) -> int:
    in_used.v = 0
    s_mem = lzma2_mem = out = 0
    try:
        # xz_dec_init(XZ_DYNALLOC, (uint32_t)-1): the decoder, its LZMA2 and its BCJ part
        s_mem = malloc(SIZEOF_XZ_DEC)
        lzma2_mem = malloc(SIZEOF_XZ_LZMA2) if s_mem else 0
        if not s_mem or not lzma2_mem:
            error("XZ decompressor ran out of memory")
            return -1
        out = malloc(XZ_IOBUF_SIZE)
        if not out:
            error("XZ decompressor ran out of memory")
            return -1

        data = view(in_, in_size)
        ret = XZ_OK
        size = dict_size_of(data)
        if size and not scratch(size):
            ret = XZ_MEM_ERROR
        if ret == XZ_OK:
            good = _decode_good(data)
            if good is not None:
                whole, used = good
                ret = XZ_STREAM_END
                for at in range(0, len(whole), XZ_IOBUF_SIZE):
                    if not flush_bytes(whole[at:at + XZ_IOBUF_SIZE], out, flush):
                        ret = XZ_BUF_ERROR
                        break
                in_used.v += used
            else:
                s = XzDec(data)
                while True:
                    ret = s.run(XZ_IOBUF_SIZE)
                    if len(s.out) == XZ_IOBUF_SIZE or (ret != XZ_OK and s.out):
                        # Setting ret here may hide an error returned by xz_dec_run(), but probably it's not too bad.
                        if not flush_bytes(s.out, out, flush):
                            ret = XZ_BUF_ERROR
                        s.out = bytearray()
                    if ret != XZ_OK:
                        break
                in_used.v += s.in_pos

        if ret == XZ_STREAM_END:
            return 0
        elif ret == XZ_MEM_ERROR:
            # This can occur only in multi-call mode.
            error("XZ decompressor ran out of memory")
        elif ret == XZ_FORMAT_ERROR:
            error("Input is not in the XZ format (wrong magic bytes)")
        elif ret == XZ_OPTIONS_ERROR:
            error("Input was encoded with settings that are not supported by this XZ decoder")
        elif ret in (XZ_DATA_ERROR, XZ_BUF_ERROR):
            error("XZ-compressed data is corrupt")
        else:
            error("Bug in the XZ decompressor")
        return -1
    finally:
        free(out)
        free(lzma2_mem)
        free(s_mem)
