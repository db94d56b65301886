# SPDX-License-Identifier: GPL-2.0-only
"""Linux's own inflate (lib/zlib_inflate/inftrees.c, inflate.c), for blocks whose code has no end of block: libz refuses them,
Linux decodes on.
"""
from __future__ import annotations

from collections.abc import Iterator

from kemu.linux.port.honesty import custom

C = "lib/zlib_inflate/inftrees.c"

MISSING_END = "missing end-of-block"        # in what libz says then, since 1.2.4
WSIZE = 1 << 15
order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
lbase = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258)
lext = (0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0)
dbase = (1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193,
         12289, 16385, 24577)
dext = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13)
INVALID = -1

Codes = dict[tuple[int, int], int]          # (bits, code with its first bit first) -> symbol


class _Bad(Exception):
    """``state->mode = BAD``"""


@custom(C, "zlib_inflate_table", "a dictionary; what is refused, and which codes are invalid, is C's")
def inflate_table(lens: list[int], codes: bool = False) -> Codes:
    """The codes of these lengths; ``_Bad`` for over-subscribed or incomplete sets."""
    longest = max(lens, default=0)
    if not longest:
        return {(1, 0): INVALID, (1, 1): INVALID}       # no symbols, but wait for decoding to report error
    left = 1
    for n in range(1, 16):
        left = (left << 1) - lens.count(n)
        if left < 0:
            raise _Bad
    if left > 0 and (codes or longest != 1):
        raise _Bad                                      # incomplete set
    out: Codes = {}
    code = 0
    for n in range(1, longest + 1):
        for sym, length in enumerate(lens):
            if length == n:
                out[n, code] = sym
                code += 1
        code <<= 1
    if left > 0:
        out[1, 1] = INVALID                             # the one code has one bit
    return out


class Inflate:
    """``struct z_stream_s`` of raw deflate data. ``run(room)`` is zlib_inflate(); ``data`` may grow between calls."""

    def __init__(self, data: bytes = b""):
        from kemu.linux.zlib import Z_OK  # noqa: PLC0415  (circle: include/linux/zlib.h needs this)

        self.data = bytearray(data)
        self.pos = 0
        self.hold = self.bits = 0
        self.window = bytearray()
        self.made = bytearray()
        self.room = 0
        self.steps = self._steps()
        self.rc = Z_OK

    @property
    def avail_in(self) -> int:
        return len(self.data) - self.pos

    def run(self, room: int) -> tuple[int, bytes]:
        """Result, and at most ``room`` bytes of output."""
        from kemu.linux.zlib import Z_OK  # noqa: PLC0415  (circle: include/linux/zlib.h needs this)

        if self.rc == Z_OK:
            from kemu.linux.zlib import Z_BUF_ERROR, Z_DATA_ERROR, Z_STREAM_END  # noqa: PLC0415  (circle: include/linux/zlib.h needs this)

            self.made, self.room = bytearray(), room
            start = self.pos
            try:
                next(self.steps)
                rc = Z_OK if self.made or self.pos != start else Z_BUF_ERROR
            except StopIteration:
                rc = self.rc = Z_STREAM_END
            except _Bad:
                rc = self.rc = Z_DATA_ERROR
            return rc, bytes(self.made)
        return self.rc, b""

    def _need(self, n: int) -> Iterator[None]:
        while self.bits < n:
            while self.pos >= len(self.data):
                yield
            self.hold |= self.data[self.pos] << self.bits
            self.pos += 1
            self.bits += 8

    def _take(self, n: int) -> int:
        value = self.hold & (1 << n) - 1
        self.hold >>= n
        self.bits -= n
        return value

    def _symbol(self, codes: Codes, found: list[int]) -> Iterator[None]:
        code = n = 0
        while True:
            yield from self._need(n + 1)
            code = code << 1 | self.hold >> n & 1
            n += 1
            sym = codes.get((n, code))
            if sym is not None:
                self._take(n)
                found[0] = sym
                return
            if n > 15:
                raise _Bad

    def _put(self, byte: int) -> Iterator[None]:
        while len(self.made) >= self.room:
            yield
        self.made.append(byte)
        self.window.append(byte)
        if len(self.window) > 4 * WSIZE:
            del self.window[:-WSIZE]

    def _steps(self) -> Iterator[None]:
        last = False
        while not last:
            yield from self._need(3)
            last = bool(self._take(1))
            kind = self._take(2)
            if kind == 0:
                self._take(self.bits & 7)
                yield from self._need(32)
                length, check = self._take(16), self._take(16)
                if length != check ^ 0xFFFF:
                    raise _Bad
                for _ in range(length):
                    yield from self._need(8)
                    yield from self._put(self._take(8))
                continue
            if kind == 3:
                raise _Bad
            if kind == 1:
                lit = inflate_table([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
                dist = inflate_table([5] * 32)
            else:
                lens: list[int] = []
                nlen = [0]
                yield from self._lengths(lens, nlen)
                lit, dist = inflate_table(lens[:nlen[0]]), inflate_table(lens[nlen[0]:])
            yield from self._codes(lit, dist)

    def _lengths(self, lens: list[int], nlen: list[int]) -> Iterator[None]:
        """TABLE, LENLENS and CODELENS."""
        yield from self._need(14)
        nlen[0] = self._take(5) + 257
        ndist = self._take(5) + 1
        ncode = self._take(4) + 4
        if nlen[0] > 286 or ndist > 30:
            raise _Bad
        meta = [0] * 19
        for i in range(ncode):
            yield from self._need(3)
            meta[order[i]] = self._take(3)
        codes = inflate_table(meta, True)
        found = [0]
        while len(lens) < nlen[0] + ndist:
            yield from self._symbol(codes, found)
            val = found[0]
            if val == INVALID:
                raise _Bad
            if val < 16:
                lens.append(val)
                continue
            extra, base = {16: (2, 3), 17: (3, 3), 18: (7, 11)}[val]
            yield from self._need(extra)
            if val == 16 and not lens:
                raise _Bad
            copy = base + self._take(extra)
            if len(lens) + copy > nlen[0] + ndist:
                raise _Bad
            lens += [lens[-1] if val == 16 else 0] * copy

    def _codes(self, lit: Codes, dist: Codes) -> Iterator[None]:
        """LEN to MATCH, until the end of the block."""
        found = [0]
        while True:
            yield from self._symbol(lit, found)
            sym = found[0]
            if 0 <= sym < 256:
                yield from self._put(sym)
                continue
            if sym == 256:
                return
            if not 257 <= sym <= 285:
                raise _Bad
            yield from self._need(lext[sym - 257])
            length = lbase[sym - 257] + self._take(lext[sym - 257])
            yield from self._symbol(dist, found)
            sym = found[0]
            if not 0 <= sym < 30:
                raise _Bad
            yield from self._need(dext[sym])
            offset = dbase[sym] + self._take(dext[sym])
            if offset > min(len(self.window), WSIZE):
                raise _Bad
            for _ in range(length):
                yield from self._put(self.window[-offset])
