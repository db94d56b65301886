# SPDX-License-Identifier: GPL-2.0-only
"""Zstandard (lib/decompress_unzstd.c over lib/zstd).

libzstd decodes block by block; which blocks reach the output before an error, and in what portions, follows ZSTD_decompressStream() with the
128 KiB buffers that unzstd() gives it.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.include.decompress import large_free, large_malloc, scratch, view
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, flush_bytes
from kemu.linux.port.honesty import dup, port_of
from kemu.linux.types import Ref
from kemu.machine.hostmodule import host_module

C = "lib/decompress_unzstd.c"

zstandard = host_module("zstandard", "zstd")

ZSTD_IOBUF_SIZE = 1 << 17
ZSTD_MAXWINDOWSIZE_DEFAULT = (1 << 27) + 1
ZSTD_BLOCKSIZE_MAX = 1 << 17
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

# zstd's error texts -> what handle_zstd_error() says
_WORDS = {
    "Allocation error : not enough memory": "ZSTD decompressor ran out of memory",
    "Unknown frame descriptor": "Input is not in the ZSTD format (wrong magic bytes)",
    "Destination buffer is too small": "ZSTD-compressed data is corrupt",
    "Data corruption detected": "ZSTD-compressed data is corrupt",
    "Restored data doesn't match checksum": "ZSTD-compressed data is corrupt",
}


class ZstdError(Exception):
    """``size_t ret`` that is an error: zstd's text for it."""


class FrameHeader:
    """``ZSTD_frameHeader``"""

    __slots__ = ("block_max", "checksum", "content_size", "size", "window")

    def __init__(self, size: int, window: int, content_size: int, checksum: bool):
        self.size = size
        self.window = window
        self.content_size = content_size        # -1: unknown
        self.checksum = checksum
        self.block_max = min(window, ZSTD_BLOCKSIZE_MAX)


class ZstdStream:
    """``ZSTD_DStream`` over one frame: :meth:`call` is ZSTD_decompressStream() with all input and room for 128 KiB."""

    def __init__(self, data: memoryview, header: FrameHeader):
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


@dup(C, "__unzstd")
def __unzstd(in_buf: int, in_len: int, fill: Fill | None, flush: Flush, out_buf: int, out_len: int, in_pos: Ref, error: ErrorFn) -> int:
    from kemu.linux.lib.zstd.decompress.zstd_decompress import zstd_get_frame_header  # noqa: PLC0415  (loaded when such data comes)

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
            # If we need to reload data, either we have fill() and can try to get more data, or we don't and the input is truncated.
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
