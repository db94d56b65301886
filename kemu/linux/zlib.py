# SPDX-License-Identifier: GPL-2.0-only
"""Inflating DEFLATE streams (include/linux/zlib.h), decoded by the host's zlib."""
from __future__ import annotations

from typing import Any

from kemu.linux.lib.zlib_inflate.inftrees import MISSING_END, Inflate
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.hostmodule import host_module

P = "include/linux/zlib.h"

zlib = host_module("zlib", "DEFLATE")

Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_PACKET_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH = range(6)
Z_OK, Z_STREAM_END, Z_NEED_DICT = 0, 1, 2
Z_ERRNO, Z_STREAM_ERROR, Z_DATA_ERROR, Z_MEM_ERROR, Z_BUF_ERROR = -1, -2, -3, -4, -5
MAX_WBITS = 15
WINDOW = 1 << MAX_WBITS


@custom(P, "z_stream", "the decoder's state is not in the workspace")
class z_stream_s:
    """``struct z_stream_s``: buffers are addresses."""

    __slots__ = ("avail_in", "avail_out", "next_in", "next_out", "state", "workspace")

    def __init__(self) -> None:
        self.next_in = 0
        self.avail_in = 0
        self.next_out = 0
        self.avail_out = 0
        self.workspace = 0
        self.state: Any = None


@custom(P, "zlib_inflate_workspacesize", "the host's zlib")
def zlib_inflate_workspacesize() -> int:
    """``int zlib_inflate_workspacesize(void)``: bytes."""
    return 42312


class _State:
    """A decoder of the host, and Linux's own for the code without an end of block, which the host's alone refuses."""

    __slots__ = ("d", "made", "port", "seen")

    def __init__(self, window_bits: int):
        self.d = zlib.decompressobj(window_bits)
        self.port: Inflate | None = None
        self.seen = bytearray()
        self.made = 0

    def decompress(self, data: bytes, room: int) -> tuple[bytes, int, bool]:
        """Output, bytes of the input that are left, whether the stream is complete; ``zlib.error`` for corrupt input."""
        d = self.d
        if self.port is None:
            try:
                out = d.decompress(data, room)
                left = len(d.unused_data) if d.eof else len(d.unconsumed_tail)
                self.seen += data[:len(data) - left]
                self.made += len(out)
                if len(out) == room and not d.eof and self.made <= WINDOW:
                    # a match that begins before the output: Linux's inflate() says so before it needs room for its bytes
                    d.copy().decompress(b"", 1)
                return out, left, d.eof
            except zlib.error as e:
                if MISSING_END not in str(e):
                    raise
                self.port = Inflate(bytes(self.seen))
                self.port.run(self.made)
        port = self.port
        before = bytes(port.data[port.pos:])
        port.data, port.pos = bytearray(before + data), 0
        rc, out = port.run(room)
        if rc == Z_DATA_ERROR:
            raise zlib.error("invalid data")
        return out, port.avail_in, rc == Z_STREAM_END


@custom(P, "zlib_inflateInit2", "decoded by the host's zlib")
def zlib_inflateInit2(strm: z_stream_s, windowBits: int) -> int:
    """``int zlib_inflateInit2(z_streamp strm, int windowBits)``: negative for a stream without header.

    Return: Z_OK, Z_STREAM_ERROR.
    """
    if not strm.workspace:
        return Z_STREAM_ERROR
    strm.state = _State(windowBits)
    return Z_OK


@custom(P, "zlib_inflate", "decoded by the host's zlib")
def zlib_inflate(strm: z_stream_s, flush: int) -> int:
    """``int zlib_inflate(z_streamp strm, int flush)``

    Decodes until the input or the room for output ends. Return: Z_OK after any progress, Z_STREAM_END, Z_BUF_ERROR without
    progress, Z_DATA_ERROR for corrupt input.
    """
    mem = this.mem
    if not strm.next_out or (not strm.next_in and strm.avail_in):
        return Z_STREAM_ERROR
    if strm.state is None:
        return Z_STREAM_END
    n, room = strm.avail_in, strm.avail_out
    out, eof = b"", False
    if room:
        try:
            out, left, eof = strm.state.decompress(mem.load(strm.next_in, n, "inflate") if n else b"", room)
        except zlib.error:
            return Z_DATA_ERROR
        if out:
            mem.store(strm.next_out, out)
            mem.counters.bytes_decompressed += len(out)
        strm.next_in += n - left
        strm.avail_in = left
        strm.next_out += len(out)
        strm.avail_out -= len(out)
    if eof:
        strm.state = None
        return Z_STREAM_END
    return Z_OK if out or strm.avail_in != n else Z_BUF_ERROR


@custom(P, "zlib_inflateEnd", "the host's zlib")
def zlib_inflateEnd(strm: z_stream_s) -> int:
    """``int zlib_inflateEnd(z_streamp strm)``"""
    strm.state = None
    return Z_OK
