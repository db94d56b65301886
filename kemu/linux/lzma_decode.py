# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own LZMA decoder (lib/xz/xz_dec_lzma2.c), for the few streams whose fate a library of the host leaves open.

It is a hundred times slower than a library. Structures are folded into locals: the whole of the input is there at once.
"""
from __future__ import annotations

from kemu.linux.honesty import custom

RC_TOP_VALUE = 1 << 24
STATE_LIT_LIT, STATE_LIT_MATCH, STATE_LIT_LONGREP, STATE_LIT_SHORTREP, STATE_NONLIT_MATCH, STATE_NONLIT_REP = 0, 7, 8, 9, 10, 11
LIT_STATES = 7
MATCH_LEN_MIN = 2
U32 = 0xFFFF_FFFF


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


@custom("lib/xz/xz_dec_lzma2.c", "xz_dec_microlzma_run", "all of the input at once, one size of output; not pedantic")
def microlzma_decode(data: bytes, size: int, dict_size: int) -> bytes | None:
    """The first ``size`` bytes of a MicroLZMA stream of which nothing follows ``data``; None where the kernel says XZ_DATA_ERROR."""
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
