# SPDX-License-Identifier: GPL-2.0-only
"""xz (lib/decompress_unxz.c over lib/xz).

Every header is read by Linux's own decoder (:mod:`kemu.linux.lib.xz.xz_dec_stream`), which gives the data of a block to liblzma
while it can.
"""
from __future__ import annotations

from kemu.linux.include.decompress import free, malloc, view
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, flush_bytes
from kemu.linux.lib.xz.xz_dec_bcj import have_bcj
from kemu.linux.lib.xz.xz_dec_stream import XzDec
from kemu.linux.port.honesty import custom
from kemu.linux.types import Ref
from kemu.linux.xz import XZ_BUF_ERROR, XZ_DATA_ERROR, XZ_FORMAT_ERROR, XZ_MEM_ERROR, XZ_OK, XZ_OPTIONS_ERROR, XZ_STREAM_END

C = "lib/decompress_unxz.c"

XZ_IOBUF_SIZE = 4096
SIZEOF_XZ_DEC, SIZEOF_XZ_LZMA2, SIZEOF_XZ_BCJ = 1248, 28312, 64


@custom(C, "unxz", "from memory to flush(): there is no fill(), and the three allocations of xz_dec_init() are made here")
def unxz(in_: int, in_size: int, fill: Fill | None, flush: Flush, out: int, in_used: Ref, error: ErrorFn) -> int:
    in_used.v = 0
    s_mem = bcj_mem = lzma2_mem = out = 0
    try:
        # xz_dec_init(XZ_DYNALLOC, (uint32_t)-1): the decoder, its BCJ and its LZMA2 part
        s_mem = malloc(SIZEOF_XZ_DEC)
        bcj_mem = malloc(SIZEOF_XZ_BCJ) if s_mem and have_bcj() else s_mem
        lzma2_mem = malloc(SIZEOF_XZ_LZMA2) if bcj_mem else 0
        if not lzma2_mem:
            error("XZ decompressor ran out of memory")
            return -1
        out = malloc(XZ_IOBUF_SIZE)
        if not out:
            error("XZ decompressor ran out of memory")
            return -1

        s = XzDec(view(in_, in_size))
        while True:
            ret = s.xz_dec_run(XZ_IOBUF_SIZE)
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
        if bcj_mem != s_mem:
            free(bcj_mem)
        free(s_mem)
