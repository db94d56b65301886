# SPDX-License-Identifier: GPL-2.0-only
"""Deflate data with codes that no compressor makes: incomplete ones, over-subscribed ones, without an end of block."""
from __future__ import annotations

from kemu.forge.pick import Pick

ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


class _Bits:
    def __init__(self) -> None:
        self.value = self.n = 0

    def put(self, value: int, n: int) -> None:
        self.value |= value << self.n
        self.n += n

    def code(self, code: int, n: int) -> None:
        """A Huffman code: its first bit first."""
        self.put(int(format(code, f"0{n}b")[::-1], 2) if n else 0, n)

    def bytes(self) -> bytes:
        return self.value.to_bytes(self.n + 7 >> 3, "little")


def _codes(lens: list[int]) -> dict[int, tuple[int, int]]:
    """symbol -> (code, bits), canonical."""
    out = {}
    code = 0
    for n in range(1, 16):
        for sym, length in enumerate(lens):
            if length == n:
                out[sym] = (code & (1 << n) - 1, n)
                code += 1
        code <<= 1
    return out


def deflate_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """``data`` as one dynamic block of literals whose codes have something odd about them, now and then with a copy in it."""
    bits = _Bits()
    eob = not pick.rare("no end of block", 3)
    if not eob:
        done.append("no end of block")
    lens = [9] * 256 + [9 if eob else 0] + [9] * 29           # 286 codes of 9 bits leave room: completed below
    spare = 512 - sum(1 for n in lens if n)
    for i in range(spare):                                     # a code of 8 bits is worth two of 9
        lens[i] = 8
    odd = pick.one_of("lengths", ("", "", "incomplete", "over-subscribed"))
    if odd:
        done.append(odd)
        lens[pick.int("symbol", 0, 255)] = 10 if odd == "incomplete" else 1
    dists = pick.one_of("distances", ([1, 1], [1], [0], [2, 2], [1, 2, 2], [1, 1, 1]))
    done.append(f"distances {dists}")
    nlen, ndist = 286, len(dists)
    bits.put(1, 1)
    bits.put(2, 2)
    said = pick.rare("too many codes", 20)
    bits.put((31 if said else nlen - 257), 5)
    bits.put(31 if pick.rare("too many distances", 20) else ndist - 1, 5)
    bits.put(19 - 4, 4)
    meta = [4] * 16 + [0, 0, 0]                               # lengths 0..15 in four bits each: complete
    for sym in ORDER:
        bits.put(meta[sym], 3)
    codes = _codes(meta)
    for n in [*lens, *dists]:
        bits.code(*codes[n])
    lit, dist = _codes(lens), _codes(dists)
    for i, b in enumerate(data):
        bits.code(*lit[b])
        if i == 100 and pick.rare("a copy", 3):
            done.append("a copy")
            bits.code(*lit[257])                               # three bytes
            sym = pick.int("distance", 0, 1)
            bits.code(*dist.get(sym, (sym, 1)))
    if eob and 256 in lit:
        bits.code(*lit[256])
    return bits.bytes()
