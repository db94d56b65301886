# SPDX-License-Identifier: GPL-2.0-only
"""What fs/cramfs needs of include/linux/zlib.h besides :mod:`kemu.linux.zlib`: streams with zlib's header and checksum, and
starting one over.

kemu decodes raw DEFLATE as Linux does; what is round it (HEAD, DICTID and CHECK of lib/zlib_inflate/inflate.c) is here.
"""

from __future__ import annotations

import zlib as host

from kemu.linux import zlib
from kemu.linux.port.honesty import custom
from kemu.linux.string import mem_read
from kemu.linux.zlib import (
    MAX_WBITS,
    Z_BUF_ERROR,
    Z_DATA_ERROR,
    Z_FINISH,
    Z_NEED_DICT,
    Z_OK,
    Z_STREAM_END,
    Z_STREAM_ERROR,
    z_stream_s,
    zlib_inflate_workspacesize,
)

Z_DEFLATED = 8
DEF_WBITS = MAX_WBITS
HEAD, DICTID, TYPE, CHECK, DONE, BAD = range(6)  # state->mode, as far as it can be seen from outside
P = "lib/zlib_inflate/inflate.c"


@custom("include/linux/zlib.h", "z_stream", "the decoder's state is not in the workspace; wbits 0 is C's state == NULL")
class z_stream(z_stream_s):
    """``z_stream``: buffers are addresses."""

    __slots__ = ("adler", "hold", "mode", "total_in", "total_out", "wbits")

    def __init__(self) -> None:
        super().__init__()
        self.total_in = 0
        self.total_out = 0
        self.wbits = 0
        self.mode = HEAD
        self.adler = 1
        self.hold = b""  # bytes of a header or of a checksum that is not complete


@custom(P, "zlib_inflateReset", "the decoder is made anew")
def zlib_inflateReset(strm: z_stream) -> int:
    """``int zlib_inflateReset(z_streamp strm)``: the stream begins again. Return: Z_OK, Z_STREAM_ERROR if it never began."""
    if not strm.wbits:
        return Z_STREAM_ERROR
    strm.total_in = strm.total_out = 0
    strm.adler = 1
    strm.mode = HEAD
    strm.hold = b""
    return zlib.zlib_inflateInit2(strm, -strm.wbits)


@custom("include/linux/zlib.h", "zlib_inflateInit", "a stream without workspace is an error, where C would write to NULL")
def zlib_inflateInit(strm: z_stream) -> int:
    """``zlib_inflateInit(strm)``: the ``workspace`` is given. Return: Z_OK, Z_STREAM_ERROR."""
    strm.wbits = DEF_WBITS
    return zlib_inflateReset(strm)


@custom(P, "zlib_inflate", "what DEFLATE is wrapped in is decoded here, DEFLATE itself by kemu.linux.zlib")
def zlib_inflate(strm: z_stream, flush: int) -> int:
    """``int zlib_inflate(z_streamp strm, int flush)``

    Return: Z_STREAM_END; Z_OK after any progress, which Z_FINISH makes Z_BUF_ERROR; Z_BUF_ERROR without progress; Z_NEED_DICT;
    Z_DATA_ERROR for a bad header, bad data or a bad checksum; Z_STREAM_ERROR for a stream that never began or has no input where
    it says that it has.
    """
    if not strm.wbits or (not strm.next_in and strm.avail_in):
        return Z_STREAM_ERROR
    avail_in, avail_out = strm.avail_in, strm.avail_out
    ret = Z_OK
    while ret == Z_OK:
        if strm.mode == HEAD:
            if not _need(strm, 2):
                break
            cmf, flg = strm.hold
            strm.hold = b""
            if (cmf << 8 | flg) % 31 or cmf & 15 != Z_DEFLATED or (cmf >> 4) + 8 > strm.wbits:
                strm.mode = BAD  # incorrect header check, unknown compression method, invalid window size
            else:
                strm.mode = DICTID if flg & 0x20 else TYPE
        elif strm.mode == DICTID:
            if not _need(strm, 4):
                break
            return Z_NEED_DICT
        elif strm.mode == TYPE:
            start = strm.next_out
            ret = zlib.zlib_inflate(strm, flush)
            if strm.next_out != start:
                strm.adler = host.adler32(mem_read(start, strm.next_out - start), strm.adler)
            if ret == Z_STREAM_END:
                strm.mode = CHECK
                ret = Z_OK
            elif ret == Z_DATA_ERROR:
                strm.mode = BAD
            else:
                ret = Z_OK
                break
        elif strm.mode == CHECK:
            if not _need(strm, 4):
                break
            strm.mode = DONE if int.from_bytes(strm.hold, "big") == strm.adler else BAD
            strm.hold = b""
        elif strm.mode == DONE:
            ret = Z_STREAM_END
        else:
            ret = Z_DATA_ERROR
    in_, out = avail_in - strm.avail_in, avail_out - strm.avail_out
    strm.total_in += in_
    strm.total_out += out
    if ret == Z_OK and ((not in_ and not out) or flush == Z_FINISH):
        ret = Z_BUF_ERROR
    return ret


def _need(strm: z_stream, n: int) -> bool:
    """``NEEDBITS(8 * n)``: take bytes until there are ``n``; False if the input ends before."""
    k = min(n - len(strm.hold), strm.avail_in)
    if k:
        strm.hold += mem_read(strm.next_in, k)
        strm.next_in += k
        strm.avail_in -= k
    return len(strm.hold) == n


@custom(P, "zlib_inflateEnd", "wbits 0 is C's state == NULL")
def zlib_inflateEnd(strm: z_stream) -> int:
    """``int zlib_inflateEnd(z_streamp strm)``: nothing is freed; the workspace is the caller's. Return: Z_OK, Z_STREAM_ERROR."""
    return Z_OK if strm.wbits else Z_STREAM_ERROR


__all__ = [
    "Z_FINISH",
    "Z_OK",
    "Z_STREAM_END",
    "z_stream",
    "zlib_inflate",
    "zlib_inflateEnd",
    "zlib_inflateInit",
    "zlib_inflateReset",
    "zlib_inflate_workspacesize",
]
