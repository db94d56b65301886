# SPDX-License-Identifier: GPL-2.0-only
""".lzma files (lib/decompress_unlzma.c).

One decoder serves both of Linux's: lib/decompress_unlzma.c (one range coder over the whole file, a dictionary that is flushed
when it is full) and lib/xz/xz_dec_lzma2.c (chunks, limits on input and output).

liblzma decodes what is right; whatever it refuses is decoded again by Linux's own decoder, ported here. Linux does not normalise
the range coder at the end, so it may leave the last byte of the stream unread: the consumed length is Linux's.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.include.decompress import large_free, large_malloc, scratch, view
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, dropping, flush_bytes
from kemu.linux.port.honesty import custom
from kemu.linux.types import Ref, s32
from kemu.machine.current import this
from kemu.machine.hostmodule import host_module

C = "lib/decompress_unlzma.c"

TOP = 1 << 24
LZMA_NUM_LIT_STATES = 7
MASK32 = 0xFFFFFFFF

lzma = host_module("lzma", "LZMA")

LZMA_BASE_SIZE, LZMA_LIT_SIZE = 1846, 768
SIZEOF_LZMA_HEADER = 13
LIBLZMA_DICT_MIN, LIBLZMA_DICT_UNIT = 4096, 16
PIECE = 1 << 20
HEAD = 64 << 20             # bytes of output that are looked at before the first is flushed


@custom(C, "unlzma", "liblzma, for as long as it finds nothing wrong")
class QuickLzma:
    """Output of liblzma in pieces; ``used``: the bytes that Linux consumes once the stream is complete, -1 if it is not, or if
    Linux's own decoder has to say.
    """

    def __init__(self, data: memoryview, dst_size: int):
        self.data = data
        self.dst_size = dst_size
        self.used = -1
        self.size = 0

    def pieces(self) -> Iterator[bytes]:
        d = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)
        pos = 0
        try:
            while not d.eof:
                piece: bytes | memoryview = b""
                if d.needs_input:
                    if pos >= len(self.data):
                        return
                    piece = self.data[pos:pos + PIECE]
                    pos += PIECE
                out = d.decompress(piece, PIECE)
                self.size += len(out)
                yield out
        except lzma.LZMAError:
            return
        used = min(pos, len(self.data)) - len(d.unused_data)
        if self.dst_size == (1 << 64) - 1:
            self.used = used
        elif self.size == self.dst_size:            # otherwise: an end marker before the size that the header names
            self.used = self._last_byte(used)

    def _last_byte(self, used: int) -> int:
        """Linux stops with the last byte of output: it reads neither an end marker behind it nor a byte to normalise only."""
        d = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)
        at = max(used - 16, 18)
        n = 0
        piece: bytes | memoryview = self.data[:at]
        while True:
            out = d.decompress(piece, PIECE)
            n += len(out)
            if not out and d.needs_input:
                break
            piece = b""
        while n < self.dst_size and at < used:
            n += len(d.decompress(self.data[at:at + 1]))
            at += 1
        return at if n == self.dst_size else used


@custom(C, "unlzma", "liblzma decodes what it accepts; what it refuses is decoded by LzmaDecoder, which does as Linux")
def unlzma(buf: int, in_len: int, fill: Fill | None, flush: Flush, output: int, posp: Ref, error: ErrorFn) -> int:
    ret = -1
    data = view(buf, in_len)
    eof = False
    header = bytes(data[:SIZEOF_LZMA_HEADER])
    if len(header) < SIZEOF_LZMA_HEADER:
        # rc_read(): the message is set, and C goes on with the bytes at the start of the buffer
        error("unexpected EOF")
        eof = True
        wrapped = header
        while len(wrapped) < SIZEOF_LZMA_HEADER:
            wrapped += header[:1]
        header = wrapped
    if header[0] >= 9 * 5 * 5:
        error("bad header")
        return ret

    lp, lc = divmod(header[0], 9)
    pb, lp = divmod(lp, 5)
    dict_size = int.from_bytes(header[1:5], "little")
    dst_size = int.from_bytes(header[5:13], "little")
    if dict_size == 0:
        dict_size = 1

    bufsize = s32(min(dst_size, dict_size))
    if bufsize <= 0 or not scratch(bufsize):
        WARN_ON_ONCE(bufsize == 0)          # vmalloc(0)
        return ret
    num_probs = LZMA_BASE_SIZE + (LZMA_LIT_SIZE << (lc + lp))
    if not scratch(num_probs * 2):
        return ret

    quick = QuickLzma(data, dst_size)
    pieces = quick.pieces() if not eof else iter(())
    # the beginning: all of it where that is little
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) > HEAD or len(head) > bufsize:
            break
    if (dict_size < LIBLZMA_DICT_MIN or dict_size % LIBLZMA_DICT_UNIT) and len(head) > dict_size:
        # liblzma rounds the window up, and allows distances that are beyond Linux's
        pieces, head, quick = iter(()), bytearray(), QuickLzma(data, dst_size)
    # the buffer is as large as C's, but where the output is known to be smaller
    wr_buffer = large_malloc(min(bufsize, max(len(head), 1)) if quick.used >= 0 else bufsize)
    if not wr_buffer:
        return ret
    try:
        given = 0
        for piece in itertools.chain((b"",), pieces):
            head += piece
            while len(head) >= dict_size:
                if not flush_bytes(head[:dict_size], wr_buffer, flush):
                    error("LZMA data is corrupt")
                    return ret
                given += dict_size
                del head[:dict_size]
        if quick.used >= 0:
            posp.v = quick.used
            if _last_flush(head, wr_buffer, flush):
                ret = 0
            return ret
        flush = dropping(given, flush)

        def full(piece: bytes) -> bool:
            return flush_bytes(piece, wr_buffer, flush)

        def wild(index: int) -> None:
            # peek_old_byte(): an index before the buffer is taken modulo dict_size, but the buffer may be smaller than that
            this.mem.load(wr_buffer + index % dict_size, 1, "decompress")

        rc = LzmaDecoder(bytes(data[SIZEOF_LZMA_HEADER:]), lc, lp, pb, dict_size, dst_size, full, wild)
        try:
            if eof:
                raise OutOfInput
            tail = rc.run()
        except OutOfInput:
            error("unexpected EOF")
            return ret
        except Corrupt:
            error("LZMA data is corrupt")
            return ret
        posp.v = SIZEOF_LZMA_HEADER + rc.pos
        if _last_flush(tail, wr_buffer, flush):
            ret = 0
        return ret
    finally:
        large_free(wr_buffer)


class OutOfInput(Exception):
    """``rc_read()`` found the end of the input."""


class Corrupt(Exception):
    """A distance that reaches before the start, or a flush that was refused."""


@custom(C, "struct rc, struct cstate, struct writer", "one object; the dictionary is what was written")
class LzmaState:
    """Probabilities, range coder and history."""

    def __init__(self, lc: int, lp: int, pb: int):
        self.out = bytearray()          # the history, never shortened while distances may reach it
        self.base = 0                   # position in ``out`` where the dictionary was reset
        self.rep0 = self.rep1 = self.rep2 = self.rep3 = 0
        self.state = 0
        self.range = MASK32
        self.code = 0
        self.data = b""
        self.pos = 0
        self.end = 0
        self.dict_size = MASK32
        self.props(lc, lp, pb)

    def props(self, lc: int, lp: int, pb: int) -> None:
        """New properties: every probability becomes one half."""
        self.lc, self.lp_mask, self.pb_mask = lc, (1 << lp) - 1, (1 << pb) - 1
        self.lit_size = 0x300 << (lc + lp)
        self.reset()

    def reset(self) -> None:
        half = 1 << 10
        self.state = 0
        self.rep0 = self.rep1 = self.rep2 = self.rep3 = 0
        self.literal = [half] * self.lit_size
        self.is_match = [half] * (12 << 4)
        self.is_rep = [half] * 12
        self.is_rep0 = [half] * 12
        self.is_rep1 = [half] * 12
        self.is_rep2 = [half] * 12
        self.is_rep0_long = [half] * (12 << 4)
        self.dist_slot = [[half] * 64 for _ in range(4)]
        self.dist_special = [half] * 115
        self.dist_align = [half] * 16
        self.match_len = _len_probs()
        self.rep_len = _len_probs()

    def init_code(self) -> None:
        """``rc_init_code()``: five bytes."""
        self.range = MASK32
        self.code = 0
        for _ in range(5):
            self.code = (self.code << 8 | self._byte()) & MASK32

    def _byte(self) -> int:
        if self.pos >= self.end:
            raise OutOfInput
        b = self.data[self.pos]
        self.pos += 1
        return b

    def normalize(self) -> None:
        """``rc_normalize()``"""
        if self.range < TOP:
            self.range = self.range << 8 & MASK32
            self.code = (self.code << 8 | self._byte()) & MASK32

    def bit(self, probs: list[int], i: int) -> int:
        """One bit with the probability ``probs[i]``."""
        if self.range < TOP:
            self.range = self.range << 8 & MASK32
            if self.pos >= self.end:
                raise OutOfInput
            self.code = (self.code << 8 | self.data[self.pos]) & MASK32
            self.pos += 1
        p = probs[i]
        bound = (self.range >> 11) * p
        if self.code < bound:
            self.range = bound
            probs[i] = p + ((2048 - p) >> 5)
            return 0
        self.range -= bound
        self.code -= bound
        probs[i] = p - (p >> 5)
        return 1

    def tree(self, probs: list[int], bits: int, at: int = 0) -> int:
        sym = 1
        for _ in range(bits):
            sym = sym << 1 | self.bit(probs, at + sym)
        return sym - (1 << bits)

    def reverse(self, probs: list[int], at: int, bits: int) -> int:
        sym, value = 1, 0
        for i in range(bits):
            b = self.bit(probs, at + sym)
            sym = sym << 1 | b
            value |= b << i
        return value

    def direct(self, bits: int, value: int) -> int:
        for _ in range(bits):
            self.normalize()
            self.range >>= 1
            if self.code >= self.range:
                self.code -= self.range
                value = value << 1 | 1
            else:
                value <<= 1
        return value

    def length(self, probs: tuple[list[int], list[list[int]], list[list[int]], list[int]], pos_state: int) -> int:
        choice, low, mid, high = probs
        if not self.bit(choice, 0):
            return self.tree(low[pos_state], 3)
        if not self.bit(choice, 1):
            return 8 + self.tree(mid[pos_state], 3)
        return 16 + self.tree(high, 8)

    def history(self) -> int:
        """Bytes since the dictionary was reset."""
        return len(self.out) - self.base

    def literal_byte(self) -> int:
        pos = self.history()
        prev = self.out[-1] if pos else 0
        probs = self.literal
        at = 0x300 * (((pos & self.lp_mask) << self.lc) + (prev >> (8 - self.lc)))
        sym = 1
        if self.state >= LZMA_NUM_LIT_STATES:
            match = self.out[-1 - self.rep0] if self.rep0 < pos else 0
            while sym < 0x100:
                match <<= 1
                want = match & 0x100
                b = self.bit(probs, at + 0x100 + want + sym)
                sym = sym << 1 | b
                if (b != 0) != (want != 0):
                    break
        while sym < 0x100:
            sym = sym << 1 | self.bit(probs, at + sym)
        s = self.state
        self.state = 0 if s < 4 else (s - 3 if s < 10 else s - 6)
        return sym & 0xFF

    def match_or_rep(self) -> int:
        """Length of the next match (rep0 is its distance minus one); 1 for a short rep, 0 for the end marker."""
        s = self.state
        pos_state = self.history() & self.pb_mask
        if not self.bit(self.is_rep, s):
            self.rep3, self.rep2, self.rep1 = self.rep2, self.rep1, self.rep0
            self.state = 7 if s < LZMA_NUM_LIT_STATES else 10
            n = self.length(self.match_len, pos_state)
            slot = self.tree(self.dist_slot[min(n, 3)], 6)
            if slot < 4:
                self.rep0 = slot
            else:
                bits = (slot >> 1) - 1
                dist = 2 | slot & 1
                if slot < 14:
                    dist <<= bits
                    self.rep0 = dist + self.reverse(self.dist_special, dist - slot - 1, bits)
                else:
                    dist = self.direct(bits - 4, dist) << 4
                    self.rep0 = (dist + self.reverse(self.dist_align, 0, 4)) & MASK32
            if self.rep0 == MASK32:
                return 0
            return n + 2
        if not self.bit(self.is_rep0, s):
            if not self.bit(self.is_rep0_long, (s << 4) + pos_state):
                self.state = 9 if s < LZMA_NUM_LIT_STATES else 11
                return 1
        else:
            if not self.bit(self.is_rep1, s):
                dist = self.rep1
            else:
                if not self.bit(self.is_rep2, s):
                    dist = self.rep2
                else:
                    dist = self.rep3
                    self.rep3 = self.rep2
                self.rep2 = self.rep1
            self.rep1 = self.rep0
            self.rep0 = dist
        self.state = 8 if s < LZMA_NUM_LIT_STATES else 11
        return self.length(self.rep_len, pos_state) + 2

    def copy(self, n: int) -> None:
        """``n`` bytes from ``rep0`` back."""
        out, off = self.out, self.rep0 + 1
        at = len(out) - off
        if off >= n:
            out += out[at:at + n]
        else:
            pattern = bytes(out[at:])
            out += (pattern * (n // off + 1))[:n]


def _len_probs() -> tuple[list[int], list[list[int]], list[list[int]], list[int]]:
    half = 1 << 10
    return [half] * 2, [[half] * 8 for _ in range(16)], [[half] * 8 for _ in range(16)], [half] * 256


class LzmaDecoder(LzmaState):
    """The loop of unlzma(): ``full`` is called with every ``dict_size`` bytes; :meth:`run` gives what is left in the buffer at
    the end.

    ``wild`` is called with the buffer index that a repeated distance reaches when nothing was written there: Linux reads it all
    the same.
    """

    def __init__(self, data: bytes, lc: int, lp: int, pb: int, dict_size: int, dst_size: int, full: Callable[[bytes], bool],
                 wild: Callable[[int], None]):
        super().__init__(lc, lp, pb)
        self.data = data
        self.end = len(data)
        self.dict_size = dict_size
        self.dst_size = dst_size
        self.full = full
        self.wild = wild
        self.flushed = 0

    def _drain(self) -> None:
        """The writer's buffer is full: flush it."""
        while len(self.out) - self.flushed >= self.dict_size:
            piece = bytes(self.out[self.flushed:self.flushed + self.dict_size])
            self.flushed += self.dict_size
            if not self.full(piece):
                raise Corrupt

    def _copy_unchecked(self, off: int, n: int) -> None:
        """``copy_bytes()`` by ``peek_old_byte()``: an index into the buffer, whatever is there; what was never written is as
        fresh memory is.
        """
        out, size = self.out, self.dict_size
        for _ in range(n):
            pos = len(out) - self.flushed
            index = (pos - off) % size
            if index < pos:
                byte = out[self.flushed + index]
            elif self.flushed:
                byte = out[self.flushed - size + index]
            else:
                self.wild(index)
                byte = 0
            out.append(byte)
            self._drain()
            if self.dst_size <= len(out) - self.flushed:
                break

    def run(self) -> bytes:
        self.init_code()
        out = self.out
        dst_size, dict_size = self.dst_size, self.dict_size
        while len(out) < dst_size:
            pos_state = len(out) & self.pb_mask
            if not self.bit(self.is_match, (self.state << 4) + pos_state):
                out.append(self.literal_byte())
                self._drain()
                continue
            n = self.match_or_rep()
            if n == 0:
                break
            off = self.rep0 + 1
            if off > len(out) or off > dict_size:
                if self.state in (7, 10):
                    raise Corrupt
                self._copy_unchecked(off, n)        # C compares the distance of a new match only
                continue
            # copy_bytes() looks at dst_size, but its position starts again whenever the buffer is flushed
            room = dst_size - len(out)
            if dict_size > dst_size and n > room:
                raise Corrupt
            self.copy(n)
            self._drain()
        return bytes(out[self.flushed:])


def _last_flush(data: Any, wr_buffer: int, flush: Flush) -> bool:
    if len(data):
        return flush_bytes(data, wr_buffer, flush)
    return flush(wr_buffer, 0) == 0
