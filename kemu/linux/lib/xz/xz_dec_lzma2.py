# SPDX-License-Identifier: GPL-2.0-only
"""Linux's own LZMA2 decoder (lib/xz/xz_dec_lzma2.c).

liblzma sees nothing but LZMA2 chunks whose headers Linux's rules have accepted beforehand. Where it refuses the rest, Linux's own
decoder does the block again: its first bytes, which were given already, are dropped.

It is a hundred times slower than a library. Structures are folded into locals: the whole of the input is there at once.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from kemu.linux.lib.decompress_unlzma import TOP, LzmaState
from kemu.linux.lib.xz.xz_stream import VLI_UNKNOWN
from kemu.linux.port.honesty import custom
from kemu.linux.xz import XZ_DATA_ERROR, XZ_OK, XZ_STREAM_END
from kemu.machine.hostmodule import host_module

if TYPE_CHECKING:
    from kemu.linux.lib.xz.xz_dec_stream import XzDec

C = "lib/xz/xz_dec_lzma2.c"

LZMA_IN_REQUIRED = 21

lzma = host_module("lzma", "xz")

PIECE = 1 << 16
LZMA_PROPS_MAX = (4 * 5 + 4) * 9 + 8

RC_TOP_VALUE = 1 << 24
STATE_LIT_LIT, STATE_LIT_MATCH, STATE_LIT_LONGREP, STATE_LIT_SHORTREP, STATE_NONLIT_MATCH, STATE_NONLIT_REP = 0, 7, 8, 9, 10, 11
LIT_STATES = 7
MATCH_LEN_MIN = 2
U32 = 0xFFFF_FFFF


@custom(C, "struct xz_dec_lzma2", "liblzma decodes; all the input of a block counts as consumed with its last byte")
class QuickLzma2:
    """``struct xz_dec_lzma2`` of one block."""

    def __init__(self, s: XzDec, dict_size: int, end: int, size: int):
        self.s = s
        self.dict_size = dict_size
        self.begin, self.end, self.left = s.in_pos, end, size
        self.fed = s.in_pos
        self.calls: list[int] = []
        self.ready = memoryview(b"")
        self.port: Lzma2 | None = None
        self.d = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": dict_size}])

    def run(self) -> int:
        """``xz_dec_lzma2_run()``"""
        if self.port is not None:
            return self.port.run()
        s = self.s
        start = len(s.out)
        while self.left and len(s.out) < s.out_size:
            if not self.ready and not self._more():
                return self._again(start)
            n = min(len(self.ready), s.out_size - len(s.out))
            s.out += self.ready[:n]
            self.ready = self.ready[n:]
            self.left -= n
        if not self.left:
            # the end marker: everything must be used up then
            if len(self.ready) or self._more() or not self.d.eof or self.fed < self.end or self.d.unused_data:
                return self._again(start)
            s.in_pos = self.end
            return XZ_STREAM_END
        self.calls.append(len(s.out) - start)
        return XZ_OK

    def _more(self) -> bool:
        """Decode some more; False if there is none."""
        d = self.d
        try:
            while not d.eof:
                if d.needs_input:
                    if self.fed >= self.end:
                        return False
                    chunk = self.s.data[self.fed:min(self.fed + PIECE, self.end)]
                    self.fed += len(chunk)
                else:
                    chunk = b""
                out = d.decompress(chunk, PIECE)
                if out:
                    self.ready = memoryview(out)
                    return True
        except lzma.LZMAError:
            pass                    # eof stays False
        return False

    def _again(self, start: int) -> int:
        """Linux's decoder from the block's first byte: what earlier calls gave is decoded in the same portions, and dropped."""
        s = self.s
        del s.out[start:]
        s.in_pos = self.begin
        port = Lzma2(s, self.dict_size)
        out, out_size = s.out, s.out_size
        for n in self.calls:
            s.out, s.out_size = bytearray(), n
            port.run()
        s.out, s.out_size = out, out_size
        self.port = port
        return port.run()


@custom(C, "xz_dec_lzma2_run", "the control layer alone: sizes of all chunks, before any is decoded")
def chunks(data: bytes, pos: int) -> tuple[int, int] | None:
    """Where the chunks at ``pos`` end, and how many bytes they decode to; None if Linux would refuse a chunk's header or they are
    cut.
    """
    need_dict_reset, need_props = True, False
    size = 0
    while pos < len(data):
        control = data[pos]
        if control == 0:
            return pos + 1, size
        if control >= 0xE0 or control == 1:
            need_props = True
            need_dict_reset = False
        elif need_dict_reset:
            return None
        if control >= 0x80:
            if pos + 6 > len(data):
                return None
            compressed = (data[pos + 3] << 8) + data[pos + 4] + 1
            size += ((control & 0x1F) << 16) + (data[pos + 1] << 8) + data[pos + 2] + 1
            pos += 5
            if control >= 0xC0:
                need_props = False
                pb_lp, lc = divmod(data[pos], 9)
                if data[pos] > LZMA_PROPS_MAX or lc + pb_lp % 5 > 4:
                    return None
                pos += 1
            elif need_props:
                return None
            if compressed < 5:
                return None
        else:
            if control > 2 or pos + 3 > len(data):
                return None
            compressed = (data[pos + 1] << 8) + data[pos + 2] + 1
            size += compressed
            pos += 3
        pos += compressed
    return None


class _RangeDecoder:
    """``struct rc_dec``; behind the input are zeros, and ``pos`` says whether they were used."""

    __slots__ = ("code", "data", "pos", "range")

    def __init__(self, data: bytes):
        self.data = data + bytes(64)
        self.pos = 5
        self.range = U32
        self.code = int.from_bytes(data[1:5], "big")

    def normalize(self) -> None:
        if self.range < RC_TOP_VALUE:
            self.range = self.range << 8 & U32
            self.code = (self.code << 8 | self.data[self.pos]) & U32
            self.pos += 1

    def bit(self, probs: list[int], i: int) -> int:
        self.normalize()
        p = probs[i]
        bound = (self.range >> 11) * p
        if self.code < bound:
            self.range = bound
            probs[i] = p + (2048 - p >> 5)
            return 0
        self.range -= bound
        self.code -= bound
        probs[i] = p - (p >> 5)
        return 1

    def bittree(self, probs: list[int], base: int, limit: int) -> int:
        symbol = 1
        while symbol < limit:
            symbol = symbol << 1 | self.bit(probs, base + symbol)
        return symbol

    def bittree_reverse(self, probs: list[int], base: int, bits: int) -> int:
        symbol, value = 1, 0
        for i in range(bits):
            b = self.bit(probs, base + symbol)
            symbol = symbol << 1 | b
            value += b << i
        return value

    def direct(self, dest: int, bits: int) -> int:
        for _ in range(bits):
            self.normalize()
            self.range >>= 1
            b = self.code >= self.range
            if b:
                self.code -= self.range
            dest = dest << 1 | b
        return dest


class _Lengths:
    """``struct lzma_len_dec``"""

    __slots__ = ("choice", "high", "low", "mid")

    def __init__(self) -> None:
        self.choice = [1024, 1024]
        self.low = [[1024] * 8 for _ in range(16)]
        self.mid = [[1024] * 8 for _ in range(16)]
        self.high = [1024] * 256

    def get(self, rc: _RangeDecoder, pos_state: int) -> int:
        if not rc.bit(self.choice, 0):
            return MATCH_LEN_MIN + rc.bittree(self.low[pos_state], 0, 8) - 8
        if not rc.bit(self.choice, 1):
            return MATCH_LEN_MIN + 8 + rc.bittree(self.mid[pos_state], 0, 8) - 8
        return MATCH_LEN_MIN + 16 + rc.bittree(self.high, 0, 256) - 256


@custom(C, "xz_dec_microlzma_run", "all of the input at once, one size of output; not pedantic")
def microlzma_decode(data: bytes, size: int, dict_size: int) -> bytes | None:
    """The first ``size`` bytes of a MicroLZMA stream of which nothing follows ``data``; None where the kernel says XZ_DATA_ERROR.
    """
    if len(data) < 5:
        return None
    props = ~data[0] & 0xFF
    if props > (4 * 5 + 4) * 9 + 8:
        return None
    pb, rest = divmod(props, 45)
    lp, lc = divmod(rest, 9)
    if lc + lp > 4:
        return None
    pos_mask, literal_pos_mask = (1 << pb) - 1, (1 << lp) - 1
    rc = _RangeDecoder(data)
    is_match = [[1024] * 16 for _ in range(12)]
    is_rep, is_rep0, is_rep1, is_rep2 = ([1024] * 12 for _ in range(4))
    is_rep0_long = [[1024] * 16 for _ in range(12)]
    dist_slot = [[1024] * 64 for _ in range(4)]
    dist_special = [1024] * (128 - 14 + 1)
    dist_align = [1024] * 16
    literal = [[1024] * 0x300 for _ in range(16)]
    match_len, rep_len = _Lengths(), _Lengths()
    state = STATE_LIT_LIT
    rep0 = rep1 = rep2 = rep3 = 0
    out = bytearray()
    while len(out) < size and rc.pos <= len(data):
        pos_state = len(out) & pos_mask
        if not rc.bit(is_match[state], pos_state):
            prev = out[-1] if out else 0
            probs = literal[(prev >> 8 - lc) + ((len(out) & literal_pos_mask) << lc)]
            if state < LIT_STATES:
                symbol = rc.bittree(probs, 0, 0x100)
            else:
                symbol, offset = 1, 0x100
                match_byte = (out[-1 - rep0] if rep0 < len(out) else 0) << 1
                while symbol < 0x100:
                    match_bit = match_byte & offset
                    match_byte <<= 1
                    if rc.bit(probs, offset + match_bit + symbol):
                        symbol = symbol << 1 | 1
                        offset &= match_bit
                    else:
                        symbol <<= 1
                        offset &= ~match_bit
            out.append(symbol & 0xFF)
            state = 0 if state <= 3 else state - 3 if state <= STATE_LIT_SHORTREP else state - 6
            continue
        if not rc.bit(is_rep, state):
            state = STATE_LIT_MATCH if state < LIT_STATES else STATE_NONLIT_MATCH
            rep3, rep2, rep1 = rep2, rep1, rep0
            length = match_len.get(rc, pos_state)
            slot = rc.bittree(dist_slot[min(length - MATCH_LEN_MIN, 3)], 0, 64) - 64
            if slot < 4:
                rep0 = slot
            else:
                bits = (slot >> 1) - 1
                rep0 = 2 + (slot & 1)
                if slot < 14:
                    rep0 <<= bits
                    rep0 += rc.bittree_reverse(dist_special, rep0 - slot - 1, bits)
                else:
                    rep0 = rc.direct(rep0, bits - 4) << 4
                    rep0 = rep0 + rc.bittree_reverse(dist_align, 0, 4) & U32
        else:
            short = False
            if not rc.bit(is_rep0, state):
                short = not rc.bit(is_rep0_long[state], pos_state)
            else:
                if not rc.bit(is_rep1, state):
                    dist = rep1
                else:
                    if not rc.bit(is_rep2, state):
                        dist = rep2
                    else:
                        dist, rep3 = rep3, rep2
                    rep2 = rep1
                rep1, rep0 = rep0, dist
            if short:
                state = STATE_LIT_SHORTREP if state < LIT_STATES else STATE_NONLIT_REP
                length = 1
            else:
                state = STATE_LIT_LONGREP if state < LIT_STATES else STATE_NONLIT_REP
                length = rep_len.get(rc, pos_state)
        if rep0 >= len(out) or rep0 >= dict_size:
            return None
        for _ in range(min(length, size - len(out))):
            out.append(out[-1 - rep0])
    rc.normalize()
    return bytes(out) if len(out) == size and rc.pos <= len(data) else None


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

    @custom("lib/xz/xz_dec_lzma2.c", "xz_dec_lzma2_run",
            "liblzma decodes a chunk that it accepts; what it refuses is decoded again, as Linux does")
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

    @custom("lib/xz/xz_dec_lzma2.c", "lzma_main", "a bytearray is the dictionary")
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

    @custom("lib/xz/xz_dec_lzma2.c", "lzma2_lzma",
            "a bytearray is the dictionary, and the input that a chunk left over is joined to the next")
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


def quick_lzma2(s: XzDec, dict_size: int) -> QuickLzma2 | None:
    """liblzma for the block that begins at ``s.in_pos``, if the headers of its chunks are as Linux wants them and the sizes as
    they were announced.
    """
    found = chunks(s.data, s.in_pos)
    if found is None:
        return None
    end, size = found
    if s.want_compressed not in (VLI_UNKNOWN, end - s.in_pos) or s.want_uncompressed not in (VLI_UNKNOWN, size):
        return None
    return QuickLzma2(s, dict_size, end, size)
