# SPDX-License-Identifier: GPL-2.0-only
"""Linux's xz decoder in multi-call mode (lib/xz/xz_dec_stream.c, lib/xz/xz_dec_lzma2.c).

It has the whole input in one piece, as unpack_to_rootfs() gives it, and is asked for output in portions. What it returns, when, and what it
has written by then are Linux's. Headers are read here only; the LZMA2 data of a block go to liblzma while it finds nothing wrong with them
(:mod:`kemu.linux.decompress.xz_quick`), else to the decoder below, which is slow.
"""
from __future__ import annotations

from binascii import crc32

from kemu.linux.decompress.lzma_rc import TOP, LzmaState
from kemu.linux.decompress.mm import scratch
from kemu.linux.decompress.xz_bcj import have_bcj, xz_dec_bcj, xz_dec_bcj_reset, xz_dec_bcj_run
from kemu.linux.honesty import custom, dup

(XZ_OK, XZ_STREAM_END, XZ_UNSUPPORTED_CHECK, XZ_MEM_ERROR, XZ_MEMLIMIT_ERROR, XZ_FORMAT_ERROR, XZ_OPTIONS_ERROR, XZ_DATA_ERROR,
 XZ_BUF_ERROR) = range(9)
HEADER_MAGIC, FOOTER_MAGIC = b"\xfd7zXZ\0", b"YZ"
XZ_CHECK_CRC32, XZ_CHECK_MAX = 1, 15
VLI_UNKNOWN = (1 << 64) - 1
LZMA_IN_REQUIRED = 21


class _Ret(Exception):
    """The decoder's way out of nested calls with an ``enum xz_ret``."""

    def __init__(self, ret: int):
        super().__init__(ret)
        self.ret = ret


@dup("lib/xz/xz_dec_stream.c", "dec_stream_header")
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


@custom("lib/xz/xz_dec_stream.c", "struct xz_dec", "the input is one piece; the Index is compared record by record instead of by hashes")
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
        """``dec_block()``: returns when the block's data is complete, leaves with XZ_OK when the output is full or the input ends."""
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


class Lzma2:
    """``struct xz_dec_lzma2``"""

    def __init__(self, s: XzDec, dict_end: int):
        self.s = s
        self.lz = LzmaState(0, 0, 0)
        self.sequence = "control"
        self.next = ""
        self.need_dict_reset = True
        self.need_props = False
        self.uncompressed = self.compressed = 0
        self.init_left = 5
        self.temp = b""
        self.len = 0
        self.dict_pos = 0
        self.dict_end = dict_end

    @dup("lib/xz/xz_dec_lzma2.c", "xz_dec_lzma2_run")
    def run(self) -> int:
        s, data = self.s, self.s.data
        while s.in_pos < len(data) or self.sequence == "lzma":
            if self.sequence == "control":
                tmp = data[s.in_pos]
                s.in_pos += 1
                if tmp == 0:
                    return XZ_STREAM_END
                if tmp >= 0xE0 or tmp == 1:
                    self.need_props = True
                    self.need_dict_reset = False
                    self.lz.base = len(self.lz.out)
                    self.dict_pos = 0
                elif self.need_dict_reset:
                    return XZ_DATA_ERROR
                if tmp >= 0x80:
                    self.uncompressed = (tmp & 0x1F) << 16
                    self.sequence = "unc1"
                    if tmp >= 0xC0:
                        self.need_props = False
                        self.next = "props"
                    elif self.need_props:
                        return XZ_DATA_ERROR
                    else:
                        self.next = "prepare"
                        if tmp >= 0xA0:
                            self._reset()
                else:
                    if tmp > 2:
                        return XZ_DATA_ERROR
                    self.sequence = "com0"
                    self.next = "copy"
            elif self.sequence == "unc1":
                self.uncompressed += data[s.in_pos] << 8
                s.in_pos += 1
                self.sequence = "unc2"
            elif self.sequence == "unc2":
                self.uncompressed += data[s.in_pos] + 1
                s.in_pos += 1
                self.sequence = "com0"
            elif self.sequence == "com0":
                self.compressed = data[s.in_pos] << 8
                s.in_pos += 1
                self.sequence = "com1"
            elif self.sequence == "com1":
                self.compressed += data[s.in_pos] + 1
                s.in_pos += 1
                self.sequence = self.next
            elif self.sequence == "props":
                props = data[s.in_pos]
                s.in_pos += 1
                if props > (4 * 5 + 4) * 9 + 8:
                    return XZ_DATA_ERROR
                pb, rest = divmod(props, 45)
                lp, lc = divmod(rest, 9)
                if lc + lp > 4:
                    return XZ_DATA_ERROR
                self.lz.props(lc, lp, pb)
                self._reset()
                self.sequence = "prepare"
            elif self.sequence == "prepare":
                if self.compressed < 5:
                    return XZ_DATA_ERROR
                while self.init_left:
                    if s.in_pos == len(data):
                        return XZ_OK
                    self.lz.code = (self.lz.code << 8 | data[s.in_pos]) & 0xFFFFFFFF
                    s.in_pos += 1
                    self.init_left -= 1
                self.compressed -= 5
                self.sequence = "lzma"
            elif self.sequence == "lzma":
                # Set dictionary limit to indicate how much we want to be decoded at maximum.
                out_max = min(s.out_size - len(s.out), self.uncompressed)
                limit = min(self.dict_end - self.dict_pos, out_max)
                start = len(self.lz.out)
                if not self._lzma(start + limit):
                    return XZ_DATA_ERROR
                done = len(self.lz.out) - start
                self.dict_pos = (self.dict_pos + done) % self.dict_end
                s.out += self.lz.out[start:]
                self.uncompressed -= done
                if self.uncompressed == 0:
                    if self.compressed > 0 or self.len > 0 or self.lz.code:
                        return XZ_DATA_ERROR
                    self._rc_reset()
                    self.sequence = "control"
                elif len(s.out) == s.out_size or (s.in_pos == len(data) and len(self.temp) < self.compressed):
                    return XZ_OK
            else:
                # dict_uncompressed()
                n = min(self.compressed, len(data) - s.in_pos, s.out_size - len(s.out))
                chunk = data[s.in_pos:s.in_pos + n]
                self.lz.out += chunk
                s.out += chunk
                s.in_pos += n
                self.dict_pos = (self.dict_pos + n) % self.dict_end
                self.compressed -= n
                if self.compressed > 0:
                    return XZ_OK
                self.sequence = "control"
        return XZ_OK

    def _rc_reset(self) -> None:
        self.lz.range = 0xFFFFFFFF
        self.lz.code = 0
        self.init_left = 5

    def _reset(self) -> None:
        """``lzma_reset()``"""
        self.lz.reset()
        self._rc_reset()

    @dup("lib/xz/xz_dec_lzma2.c", "lzma_main")
    def _main(self, out_limit: int, in_limit: int) -> bool:
        lz = self.lz
        out = lz.out
        if len(out) < out_limit and self.len > 0:
            self._repeat(out_limit)
        while len(out) < out_limit and lz.pos <= in_limit:
            pos_state = (len(out) - lz.base) & lz.pb_mask
            if not lz.bit(lz.is_match, (lz.state << 4) + pos_state):
                out.append(lz.literal_byte())
            else:
                self.len = lz.match_or_rep()
                if self.len == 0 or not self._repeat(out_limit):
                    return False
        if lz.range < TOP:
            lz.normalize()
        return True

    def _repeat(self, out_limit: int) -> bool:
        """``dict_repeat()``"""
        lz = self.lz
        if lz.rep0 >= min(lz.history(), self.dict_end):
            return False
        left = min(out_limit - len(lz.out), self.len)
        self.len -= left
        lz.copy(left)
        return True

    @dup("lib/xz/xz_dec_lzma2.c", "lzma2_lzma")
    def _lzma(self, out_limit: int) -> bool:
        s, lz, data = self.s, self.lz, self.s.data
        in_avail = len(data) - s.in_pos
        if self.temp or self.compressed == 0:
            have = len(self.temp)
            tmp = min(2 * LZMA_IN_REQUIRED - have, self.compressed - have, in_avail)
            buf = self.temp + data[s.in_pos:s.in_pos + tmp]
            if have + tmp == self.compressed:
                in_limit = have + tmp
            elif have + tmp < LZMA_IN_REQUIRED:
                self.temp = buf
                s.in_pos += tmp
                return True
            else:
                in_limit = have + tmp - LZMA_IN_REQUIRED
            lz.data, lz.pos = buf + bytes(64), 0
            lz.end = len(lz.data)
            if not self._main(out_limit, in_limit) or lz.pos > have + tmp:
                return False
            self.compressed -= lz.pos
            if lz.pos < have:
                self.temp = self.temp[lz.pos:]
                return True
            s.in_pos += lz.pos - have
            self.temp = b""

        in_avail = len(data) - s.in_pos
        if in_avail >= LZMA_IN_REQUIRED:
            lz.data, lz.pos, lz.end = data, s.in_pos, len(data)
            if in_avail >= self.compressed + LZMA_IN_REQUIRED:
                in_limit = s.in_pos + self.compressed
            else:
                in_limit = len(data) - LZMA_IN_REQUIRED
            if not self._main(out_limit, in_limit):
                return False
            in_avail = lz.pos - s.in_pos
            if in_avail > self.compressed:
                return False
            self.compressed -= in_avail
            s.in_pos = lz.pos

        in_avail = len(data) - s.in_pos
        if in_avail < LZMA_IN_REQUIRED:
            in_avail = min(in_avail, self.compressed)
            self.temp = data[s.in_pos:s.in_pos + in_avail]
            s.in_pos += in_avail
        return True


from kemu.linux.decompress.xz_quick import QuickLzma2, quick_lzma2  # noqa: E402 (it stands on Lzma2)
