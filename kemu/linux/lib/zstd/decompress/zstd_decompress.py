# SPDX-License-Identifier: GPL-2.0-only
"""Zstandard frames as a stream (lib/zstd/decompress/zstd_decompress.c).

libzstd decodes block by block; which blocks reach the output before an error, and in what portions, follows
ZSTD_decompressStream().
"""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom
from kemu.machine.hostmodule import host_module

C = "lib/zstd/decompress/zstd_decompress.c"

zstandard = host_module("zstandard", "zstd")

ZSTD_IOBUF_SIZE = 1 << 17               # of lib/decompress_unzstd.c: the room that each call has
ZSTD_MAXWINDOWSIZE_DEFAULT = (1 << 27) + 1
ZSTD_BLOCKSIZE_MAX = 1 << 17
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class ZstdError(Exception):
    """``size_t ret`` that is an error: zstd's text for it."""


class ZSTD_frameHeader:
    """``ZSTD_frameHeader``"""

    __slots__ = ("block_max", "checksum", "content_size", "size", "window")

    def __init__(self, size: int, window: int, content_size: int, checksum: bool):
        self.size = size
        self.window = window
        self.content_size = content_size        # -1: unknown
        self.checksum = checksum
        self.block_max = min(window, ZSTD_BLOCKSIZE_MAX)


@custom(C, "ZSTD_getFrameHeader_advanced", "gives the header, or how many bytes it takes")
def zstd_get_frame_header(data: memoryview) -> ZSTD_frameHeader | int:
    """``size_t zstd_get_frame_header(zstd_frame_header *params, const void *src, size_t src_size)``; ZstdError for a bad one."""
    start = bytes(data[:18])
    if len(start) < 5:
        if start[:4] != ZSTD_MAGIC[:len(start)]:
            raise ZstdError("Unknown frame descriptor")
        return 5
    if start[:4] != ZSTD_MAGIC:
        raise ZstdError("Unknown frame descriptor")
    fhd = start[4]
    single = fhd >> 5 & 1
    did_size = (0, 1, 2, 4)[fhd & 3]
    fcs_id = fhd >> 6
    size = 5 + (not single) + did_size + (0, 2, 4, 8)[fcs_id] + (1 if single and not fcs_id else 0)
    if len(start) < size:
        return size
    if fhd & 8:
        raise ZstdError("Unsupported frame parameter")
    pos = 5
    window = 0
    if not single:
        wl = start[pos]
        pos += 1
        log = (wl >> 3) + 10
        if log > 31:
            raise ZstdError("Frame requires too much memory for decoding")
        window = (1 << log) + ((1 << log) >> 3) * (wl & 7)
    pos += did_size
    content = -1
    if fcs_id == 0:
        if single:
            content = start[pos]
    elif fcs_id == 1:
        content = int.from_bytes(start[pos:pos + 2], "little") + 256
    else:
        content = int.from_bytes(start[pos:pos + (4 if fcs_id == 2 else 8)], "little")
    if single:
        window = content
    return ZSTD_frameHeader(size, window, content, bool(fhd & 4))


@custom(C, "ZSTD_DStream", "libzstd decodes the blocks")
class ZstdStream:
    """``ZSTD_DStream`` over one frame: :meth:`call` is ZSTD_decompressStream() with all input and room for 128 KiB."""

    def __init__(self, data: memoryview, header: ZSTD_frameHeader):
        self.data = data
        self.header = header
        self.pos = 0
        self.d: Any = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        self.pending = memoryview(b"")
        self.stage = "init"
        self.last = False
        self.total = 0

    def _feed(self, n: int) -> bytes:
        piece = self.data[self.pos:self.pos + n]
        try:
            out: bytes = self.d.decompress(piece)
        except zstandard.ZstdError as e:
            raise ZstdError(str(e).rpartition(": ")[2] if "not enough memory" not in str(e)
                            else "Allocation error : not enough memory") from None
        self.pos += n
        return out

    def whole_size(self) -> int:
        """``ZSTD_findFrameCompressedSize()``; -1 if the frame is not complete or not well-formed."""
        data, pos = self.data, self.header.size
        while True:
            if len(data) - pos < 3:
                return -1
            head = int.from_bytes(data[pos:pos + 3], "little")
            kind = head >> 1 & 3
            if kind == 3:
                return -1
            pos += 3 + (1 if kind == 1 else head >> 3)
            if pos > len(data):
                return -1
            if head & 1:
                pos += 4 if self.header.checksum else 0
                return pos if pos <= len(data) else -1

    def call(self) -> tuple[int, bytes]:
        """``(ret, output)``: ret is 0 when the frame is complete and all of it was given."""
        out = bytearray()
        if self.stage == "init":
            if 0 <= self.header.content_size <= ZSTD_IOBUF_SIZE:
                size = self.whole_size()
                if size >= 0:
                    whole = self._feed(size)
                    if len(whole) != self.header.content_size:
                        raise ZstdError("Data corruption detected")
                    return 0, whole
            if max(self.header.window, 1 << 10) > ZSTD_MAXWINDOWSIZE_DEFAULT:
                raise ZstdError("Frame requires too much memory for decoding")
            self._feed(self.header.size)
            self.stage = "block"
        while True:
            if len(self.pending):
                n = min(len(self.pending), ZSTD_IOBUF_SIZE - len(out))
                out += self.pending[:n]
                self.pending = self.pending[n:]
                if len(self.pending):
                    return 1, bytes(out)
            left = len(self.data) - self.pos
            if self.stage == "end":
                return 0, bytes(out)
            if self.stage == "block":
                if left < 3:
                    break
                head = int.from_bytes(self.data[self.pos:self.pos + 3], "little")
                self.last = bool(head & 1)
                kind, size = head >> 1 & 3, head >> 3
                if kind == 3 or size > self.header.block_max:
                    raise ZstdError("Data corruption detected")
                need = 3 + (1 if kind == 1 else size)
                if left < need:
                    if kind == 0 and left > 3:
                        # a raw block is passed on as far as it goes
                        self.pending = memoryview(self._feed(left))
                        self.stage = "cut"
                        continue
                    break
                piece = self._feed(need)
                self.total += len(piece)
                self.pending = memoryview(piece)
                if self.last:
                    if self.header.content_size >= 0 and self.total != self.header.content_size:
                        raise ZstdError("Data corruption detected")
                    self.stage = "checksum" if self.header.checksum else "end"
                continue
            if self.stage == "checksum":
                if left < 4:
                    break
                self._feed(4)
                self.stage = "end"
                continue
            break
        self.pos = len(self.data)
        return 1, bytes(out)
