# SPDX-License-Identifier: GPL-2.0-only
"""Linux's xz decoder in multi-call mode (lib/xz/xz_dec_stream.c, lib/xz/xz_dec_lzma2.c).

It has the whole input in one piece, as unpack_to_rootfs() gives it, and is asked for output in portions. What it returns, when,
and what it has written by then are Linux's. Headers are read here only; the LZMA2 data of a block go to liblzma while it finds
nothing wrong with them (:mod:`kemu.linux.lib.xz.xz_dec_lzma2`), else to the decoder below, which is slow.
"""
from __future__ import annotations

from binascii import crc32

from kemu.linux.include.decompress import scratch
from kemu.linux.lib.xz.xz_dec_bcj import have_bcj, xz_dec_bcj, xz_dec_bcj_reset, xz_dec_bcj_run
from kemu.linux.lib.xz.xz_dec_lzma2 import Lzma2, QuickLzma2, quick_lzma2
from kemu.linux.lib.xz.xz_private import _Ret
from kemu.linux.lib.xz.xz_stream import VLI_UNKNOWN
from kemu.linux.port.honesty import custom, dup
from kemu.linux.xz import XZ_BUF_ERROR, XZ_DATA_ERROR, XZ_FORMAT_ERROR, XZ_MEM_ERROR, XZ_OK, XZ_OPTIONS_ERROR, XZ_STREAM_END

C = "lib/xz/xz_dec_stream.c"

HEADER_MAGIC, FOOTER_MAGIC = b"\xfd7zXZ\0", b"YZ"
XZ_CHECK_CRC32, XZ_CHECK_MAX = 1, 15


@dup(C, "dec_stream_header")
def dec_stream_header(buf: bytes) -> int:
    if buf[:6] != HEADER_MAGIC:
        return XZ_FORMAT_ERROR

    if crc32(buf[6:8]) != int.from_bytes(buf[8:12], "little"):
        return XZ_DATA_ERROR

    if buf[6] != 0:
        return XZ_OPTIONS_ERROR

    # Of integrity checks, we support only none (Check ID = 0) and CRC32 (Check ID = 1).
    if buf[7] > XZ_CHECK_MAX:
        return XZ_OPTIONS_ERROR
    if buf[7] > XZ_CHECK_CRC32:
        return XZ_OPTIONS_ERROR
    return XZ_OK


@custom(C, "struct xz_dec", "the input is one piece; the Index is compared record by record instead of by hashes")
class XzDec:
    """``struct xz_dec`` with its ``struct xz_buf``: ``run(out_size)`` is xz_dec_run(), its output gathers in ``out``."""

    def __init__(self, data: memoryview):
        self.data = bytes(data)
        self.in_pos = 0
        self.out = bytearray()
        self.out_size = 0
        self.sequence = "header"
        self.check_type = 0
        self.allow_buf_error = False
        self.starved = False        # the input ended outside a block, where C goes on waiting for it
        self.crc32 = 0
        self.records: list[tuple[int, int]] = []
        self.header_size = self.block_compressed = self.block_uncompressed = 0
        self.want_compressed = self.want_uncompressed = VLI_UNKNOWN
        self.bcj = xz_dec_bcj()
        self.bcj_active = False
        self.lzma2: Lzma2 | QuickLzma2 = Lzma2(self, 0)
        self.dict_allocated = 0

    # ------------------------------------------------------------ fields

    def need(self, n: int) -> None:
        """C waits for input here; there is none to come, so every further call makes no progress."""
        if len(self.data) - self.in_pos < n:
            self.in_pos = len(self.data)
            self.starved = True
            raise _Ret(XZ_OK)

    def vli(self, end: int, short: int) -> int:
        """``dec_vli()``; ``short`` is returned where the field goes beyond ``end``."""
        value = shift = 0
        while self.in_pos < end:
            byte = self.data[self.in_pos]
            self.in_pos += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if byte == 0 and shift:
                    raise _Ret(XZ_DATA_ERROR)
                return value
            shift += 7
            if shift == 63:
                raise _Ret(XZ_DATA_ERROR)
        self.starved = short == XZ_OK
        raise _Ret(short)

    def stream_header(self) -> None:
        self.need(12)
        buf = self.data[self.in_pos:self.in_pos + 12]
        self.in_pos += 12
        self.sequence = "start"
        self.check_type = buf[7]
        ret = dec_stream_header(buf)
        if ret != XZ_OK:
            raise _Ret(ret)

    def block_header(self) -> None:
        """``dec_block_header()``"""
        size = (self.data[self.in_pos] + 1) * 4
        self.need(size)
        begin = self.in_pos
        end = begin + size - 4
        if crc32(self.data[begin:end]) != int.from_bytes(self.data[end:end + 4], "little"):
            raise _Ret(XZ_DATA_ERROR)
        flags = self.data[begin + 1]
        bcj = have_bcj()
        if flags & (0x3E if bcj else 0x3F):
            raise _Ret(XZ_OPTIONS_ERROR)
        self.in_pos = begin + 2
        self.want_compressed = self.vli(end, XZ_DATA_ERROR) if flags & 0x40 else VLI_UNKNOWN
        self.want_uncompressed = self.vli(end, XZ_DATA_ERROR) if flags & 0x80 else VLI_UNKNOWN
        # If there are two filters, the first one must be a BCJ filter.
        self.bcj_active = bool(bcj and flags & 1)
        if self.bcj_active:
            if end - self.in_pos < 2:
                raise _Ret(XZ_OPTIONS_ERROR)
            ret = xz_dec_bcj_reset(self.bcj, self.data[self.in_pos])
            if ret != XZ_OK:
                raise _Ret(ret)
            # We don't support custom start offset, so Size of Properties must be zero.
            if self.data[self.in_pos + 1] != 0:
                raise _Ret(XZ_OPTIONS_ERROR)
            self.in_pos += 2
        # Valid Filter Flags always take at least two bytes.
        if end - self.in_pos < 2:
            raise _Ret(XZ_DATA_ERROR)
        # Filter ID = LZMA2, Size of Properties = 1-byte Filter Properties
        if self.data[self.in_pos] != 0x21 or self.data[self.in_pos + 1] != 1:
            raise _Ret(XZ_OPTIONS_ERROR)
        self.in_pos += 2
        if end - self.in_pos < 1:
            raise _Ret(XZ_DATA_ERROR)
        dict_size = self.lzma2_reset(self.data[self.in_pos])
        self.in_pos += 1
        # The rest must be Header Padding.
        if any(self.data[self.in_pos:end]):
            raise _Ret(XZ_OPTIONS_ERROR)
        self.in_pos = begin + size
        self.header_size = size
        self.block_compressed = self.block_uncompressed = 0
        self.lzma2 = quick_lzma2(self, dict_size) or Lzma2(self, dict_size)
        self.crc32 = 0

    def lzma2_reset(self, props: int) -> int:
        """``xz_dec_lzma2_reset()``: the dictionary is as large as the largest so far."""
        # This limits dictionary size to 3 GiB to keep parsing simpler.
        if props > 39:
            raise _Ret(XZ_OPTIONS_ERROR)
        dict_size = (2 + (props & 1)) << ((props >> 1) + 11)
        if self.dict_allocated < dict_size:
            self.dict_allocated = dict_size
            if not scratch(dict_size):
                self.dict_allocated = 0
                raise _Ret(XZ_MEM_ERROR)
        return dict_size

    def block(self) -> None:
        """``dec_block()``: returns when the block's data is complete, leaves with XZ_OK when the output is full or the input
        ends.
        """
        in_start, out_start = self.in_pos, len(self.out)
        try:
            ret = xz_dec_bcj_run(self.bcj, self.lzma2, self) if self.bcj_active else self.lzma2.run()
        except _Ret as e:
            ret = e.ret
        self.block_compressed += self.in_pos - in_start
        self.block_uncompressed += len(self.out) - out_start
        if self.block_compressed > self.want_compressed or self.block_uncompressed > self.want_uncompressed:
            raise _Ret(XZ_DATA_ERROR)
        self.crc32 = crc32(memoryview(self.out)[out_start:], self.crc32)
        if ret != XZ_STREAM_END:
            raise _Ret(ret)
        if self.want_compressed not in (VLI_UNKNOWN, self.block_compressed) or self.want_uncompressed not in (
                VLI_UNKNOWN, self.block_uncompressed):
            raise _Ret(XZ_DATA_ERROR)
        self.records.append((self.header_size + self.block_compressed + (4 if self.check_type == XZ_CHECK_CRC32 else 0),
                             self.block_uncompressed))

    def zeros(self, count: int) -> None:
        for _ in range(count):
            self.need(1)
            self.in_pos += 1
            if self.data[self.in_pos - 1]:
                raise _Ret(XZ_DATA_ERROR)

    def crc32_validate(self, crc: int) -> None:
        for b in crc.to_bytes(4, "little"):
            self.need(1)
            self.in_pos += 1
            if self.data[self.in_pos - 1] != b:
                raise _Ret(XZ_DATA_ERROR)

    def index(self) -> None:
        """``dec_index()`` to ``dec_stream_footer()``."""
        begin = self.in_pos
        self.in_pos += 1
        end = len(self.data)
        if self.vli(end, XZ_OK) != len(self.records):
            raise _Ret(XZ_DATA_ERROR)
        # C reads the first record whatever the count is
        got = [(self.vli(end, XZ_OK), self.vli(end, XZ_OK)) for _ in self.records] if self.records else []
        self.zeros(-(self.in_pos - begin) & 3)
        if got != self.records:
            raise _Ret(XZ_DATA_ERROR)
        size = self.in_pos - begin
        self.crc32_validate(crc32(self.data[begin:self.in_pos]))
        self.need(12)
        buf = self.data[self.in_pos:self.in_pos + 12]
        self.in_pos += 12
        if buf[10:] != FOOTER_MAGIC or crc32(buf[4:10]) != int.from_bytes(buf[:4], "little"):
            raise _Ret(XZ_DATA_ERROR)
        if size >> 2 != int.from_bytes(buf[4:8], "little") or buf[8] or buf[9] != self.check_type:
            raise _Ret(XZ_DATA_ERROR)
        raise _Ret(XZ_STREAM_END)

    # ------------------------------------------------------------ running

    def main(self) -> int:
        """``dec_main()``"""
        if self.starved:
            return XZ_OK
        try:
            while True:
                if self.sequence == "header":
                    self.stream_header()
                if self.sequence == "start":
                    self.need(1)
                    if not self.data[self.in_pos]:
                        self.sequence = "index"
                    else:
                        self.block_header()
                        self.sequence = "block"
                if self.sequence == "index":
                    self.index()
                self.block()
                self.zeros(-self.block_compressed & 3)
                if self.check_type == XZ_CHECK_CRC32:
                    self.crc32_validate(self.crc32)
                self.sequence = "start"
        except _Ret as e:
            return e.ret

    @dup("lib/xz/xz_dec_stream.c", "xz_dec_run")
    def xz_dec_run(self, out_size: int) -> int:
        self.out_size = out_size
        in_start, out_start = self.in_pos, len(self.out)
        ret = self.main()
        if ret == XZ_OK and in_start == self.in_pos and out_start == len(self.out):
            if self.allow_buf_error:
                ret = XZ_BUF_ERROR
            self.allow_buf_error = True
        else:
            self.allow_buf_error = False
        return ret
