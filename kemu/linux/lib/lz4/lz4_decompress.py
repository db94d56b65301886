# SPDX-License-Identifier: GPL-2.0-only
"""Linux's own LZ4 decoder, byte for byte (lib/lz4/lz4_decompress.c).

It runs where a C library cannot stand in for it: for the return value of corrupt input, and for a source that is being
overwritten while it is read (in-place decompression without the margin). It copies in the same portions as the C code, each
portion loaded before it is stored, so that overlapping memory gives what the kernel would get. The caller has checked both ranges
against the shadow.
"""
from __future__ import annotations

from kemu.linux.port.honesty import dup, names
from kemu.machine.current import this
from kemu.machine.shadow import UNINIT

C = "lib/lz4/lz4_decompress.c"

ML_BITS = 4
ML_MASK = (1 << ML_BITS) - 1
RUN_MASK = (1 << (8 - ML_BITS)) - 1
MINMATCH = 4
WILDCOPYLENGTH = 8
LASTLITERALS = 5
MFLIMIT = WILDCOPYLENGTH + MINMATCH
MATCH_SAFEGUARD_DISTANCE = 2 * WILDCOPYLENGTH - MINMATCH

_inc32table = (0, 1, 2, 1, 0, 4, 4, 4)
_dec64table = (0, 0, 0, -1, -4, 1, 2, 3)


class Window:
    """Addresses of one or more checked ranges, read and written through to physical memory page by page.

    With a watch attached it also follows which bytes were never written: what is copied from them stays so.
    """

    __slots__ = ("base", "buf", "high", "mask", "shift", "size", "track", "uninit")

    def __init__(self) -> None:
        mem = this.mem
        self.shift, self.mask, self.size = mem.shift, mem.mask, mem.page_size
        self.buf = mem.buf
        self.base: dict[int, int] = {}          # page number -> arena offset
        self.high = 0                           # end of the highest byte written
        self.track = this.watch is not None
        self.uninit: dict[int, bytearray] = {}  # arena offset of a page -> for each byte 1 if it was never written

    def add(self, addr: int, n: int) -> None:
        """Let [addr, addr + n) be seen."""
        mem = this.mem
        for vpn in range(addr >> self.shift, (addr + max(n, 1) - 1 >> self.shift) + 1):
            pfn = mem.pfn_of(vpn << self.shift)
            base = self.base[vpn] = pfn << self.shift
            if self.track and base not in self.uninit:
                self.uninit[base] = bytearray(c == UNINIT for c in mem.shadow(vpn << self.shift, self.size))

    def get(self, addr: int, n: int) -> bytes:
        off = addr & self.mask
        if off + n <= self.size:
            at = self.base[addr >> self.shift] + off
            return bytes(self.buf[at:at + n])
        step = self.size - off
        return self.get(addr, step) + self.get(addr + step, n - step)

    def put(self, addr: int, data: bytes, uninit: bytes = b"") -> None:
        """Store; ``uninit`` says for each byte whether it is one that was never written (default: none is)."""
        n = len(data)
        if addr + n > self.high:
            self.high = addr + n
        done = 0
        while done < n:
            off = addr & self.mask
            step = min(n - done, self.size - off)
            base = self.base[addr >> self.shift]
            self.buf[base + off:base + off + step] = data[done:done + step]
            if self.track:
                self.uninit[base][off:off + step] = uninit[done:done + step] or bytes(step)
            addr += step
            done += step

    def copy(self, d: int, s: int, n: int) -> None:
        """``n`` bytes, all loaded before the first is stored."""
        self.put(d, self.get(s, n), self.never_written(s, n) if self.track else b"")

    def never_written(self, addr: int, n: int) -> bytes:
        out = bytearray()
        while n:
            off = addr & self.mask
            step = min(n, self.size - off)
            out += self.uninit[self.base[addr >> self.shift]][off:off + step]
            addr += step
            n -= step
        return bytes(out)

    def wild_copy(self, d: int, s: int, e: int, overlap: bool) -> None:
        """``LZ4_wildCopy()``: 8 bytes at a time until ``e``, up to 7 bytes beyond it."""
        n = max(e - d + 7, 8) & ~7
        if not overlap and not s < d < s + n:
            self.copy(d, s, n)
            return
        while n:
            self.copy(d, s, 8)
            d += 8
            s += 8
            n -= 8


@dup(C)
def LZ4_decompress_generic(src: int, dst: int, srcSize: int, outputSize: int, partialDecoding: bool, overlap: bool,
                           w: Window) -> int:
    """``int LZ4_decompress_generic(...)`` as endOnInputSize, noDict, lowPrefix == dst.

    ``overlap``: source and destination share page frames. Return: bytes decoded, or ``-(bytes of input read) - 1`` for corrupt
    input.
    """
    ip = src
    iend = ip + srcSize
    op = dst
    oend = op + outputSize
    lowPrefix = dst
    shortiend = iend - 14 - 2
    shortoend = oend - 14 - 18
    get, put, copy = w.get, w.put, w.copy

    if outputSize == 0:
        return 0 if srcSize == 1 and get(ip, 1)[0] == 0 else -1
    if srcSize == 0:
        return -1

    while True:
        token = get(ip, 1)[0]
        ip += 1
        length = token >> ML_BITS

        if length != RUN_MASK and ip < shortiend and op <= shortoend:
            copy(op, ip, 16)
            op += length
            ip += length
            length = token & ML_MASK
            offset = int.from_bytes(get(ip, 2), "little")
            ip += 2
            match = op - offset
            if length != ML_MASK and offset >= 8 and match >= lowPrefix:
                copy(op, match, 8)
                copy(op + 8, match + 8, 8)
                copy(op + 16, match + 16, 2)
                op += length + MINMATCH
                continue
        else:
            if length == RUN_MASK:
                if ip >= iend - RUN_MASK:
                    return -(ip - src) - 1
                while True:
                    s = get(ip, 1)[0]
                    ip += 1
                    length += s
                    if not (ip < iend - RUN_MASK and s == 255):
                        break

            # copy literals
            cpy = op + length
            if cpy > oend - MFLIMIT or ip + length > iend - (2 + 1 + LASTLITERALS):
                if partialDecoding:
                    if cpy > oend:
                        # stop in the middle of the literal segment
                        cpy = oend
                        length = oend - op
                    if ip + length > iend:
                        return -(ip - src) - 1
                elif ip + length != iend or cpy > oend:
                    return -(ip - src) - 1
                if length:
                    copy(op, ip, length)        # memmove
                ip += length
                op += length
                if not partialDecoding or cpy == oend or ip >= iend - 2:
                    break
            else:
                w.wild_copy(op, ip, cpy, overlap)
                ip += length
                op = cpy

            offset = int.from_bytes(get(ip, 2), "little")
            ip += 2
            match = op - offset
            length = token & ML_MASK

        # _copy_match:
        if match < lowPrefix:
            return -(ip - src) - 1

        if not partialDecoding:
            put(op, offset.to_bytes(4, "little"))

        if length == ML_MASK:
            while True:
                s = get(ip, 1)[0]
                ip += 1
                if ip > iend - LASTLITERALS:
                    return -(ip - src) - 1
                length += s
                if s != 255:
                    break
        length += MINMATCH

        # copy match within block
        cpy = op + length
        if partialDecoding and cpy > oend - MATCH_SAFEGUARD_DISTANCE:
            mlen = min(length, oend - op)
            copyEnd = op + mlen
            if match + mlen > op:
                while op < copyEnd:
                    copy(op, match, 1)
                    op += 1
                    match += 1
            elif mlen:
                copy(op, match, mlen)
            op = copyEnd
            if op == oend:
                break
            continue

        if offset < 8:
            for i in range(4):
                copy(op + i, match + i, 1)
            match += _inc32table[offset]
            copy(op + 4, match, 4)
            match -= _dec64table[offset]
        else:
            copy(op, match, 8)
            match += 8
        op += 8

        if cpy > oend - MATCH_SAFEGUARD_DISTANCE:
            oCopyLimit = oend - (WILDCOPYLENGTH - 1)
            if cpy > oend - LASTLITERALS:
                # the last LASTLITERALS bytes must be literals
                return -(ip - src) - 1
            if op < oCopyLimit:
                w.wild_copy(op, match, oCopyLimit, overlap)
                match += oCopyLimit - op
                op = oCopyLimit
            while op < cpy:
                copy(op, match, 1)
                op += 1
                match += 1
        else:
            copy(op, match, 8)
            if length > 16:
                w.wild_copy(op + 8, match + 8, cpy, overlap)
        op = cpy                                    # wildcopy correction

    return op - dst


names("custom", C, "Window", how="memory as the decoder reads and writes it")
