# SPDX-License-Identifier: GPL-2.0-only
"""LZMA, the .lzma file (lib/decompress_unlzma.c).

liblzma decodes what is right; whatever it refuses is decoded again by Linux's own decoder, ported here. Linux does not normalise the range
coder at the end, so it may leave the last byte of the stream unread: the consumed length is Linux's.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.decompress.lzma_rc import Corrupt, LzmaDecoder, OutOfInput
from kemu.linux.decompress.mm import ErrorFn, Fill, Flush, dropping, flush_bytes, large_free, large_malloc, scratch, view
from kemu.linux.honesty import custom, dup
from kemu.linux.types import Ref, s32
from kemu.machine.current import this
from kemu.machine.hostmodule import host_module

lzma = host_module("lzma", "LZMA")

LZMA_BASE_SIZE, LZMA_LIT_SIZE = 1846, 768
SIZEOF_LZMA_HEADER = 13
LIBLZMA_DICT_MIN, LIBLZMA_DICT_UNIT = 4096, 16
PIECE = 1 << 20
HEAD = 64 << 20             # bytes of output that are looked at before the first is flushed


@custom("lib/decompress_unlzma.c", "unlzma", "liblzma, for as long as it finds nothing wrong")
class Quick:
    """Output of liblzma in pieces; ``used``: the bytes that Linux consumes once the stream is complete, -1 if it is not, or if Linux's own decoder
    has to say."""

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


@dup("lib/decompress_unlzma.c", "unlzma")
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

    quick = Quick(data, dst_size)
    pieces = quick.pieces() if not eof else iter(())
    # the beginning: all of it where that is little
    head = bytearray()
    for piece in pieces:
        head += piece
        if len(head) > HEAD or len(head) > bufsize:
            break
    if (dict_size < LIBLZMA_DICT_MIN or dict_size % LIBLZMA_DICT_UNIT) and len(head) > dict_size:
        # liblzma rounds the window up, and allows distances that are beyond Linux's
        pieces, head, quick = iter(()), bytearray(), Quick(data, dst_size)
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


def _last_flush(data: Any, wr_buffer: int, flush: Flush) -> bool:
    if len(data):
        return flush_bytes(data, wr_buffer, flush)
    return flush(wr_buffer, 0) == 0
