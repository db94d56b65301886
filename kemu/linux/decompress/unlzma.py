# SPDX-License-Identifier: GPL-2.0-only
"""LZMA, the .lzma file (lib/decompress_unlzma.c).

liblzma decodes what is right; whatever it refuses is decoded again by Linux's own decoder, ported here. Linux does not normalise the range
coder at the end, so it may leave the last byte of the stream unread: the consumed length is Linux's.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.decompress.lzma_rc import Corrupt, LzmaDecoder, OutOfInput
from kemu.linux.decompress.mm import ErrorFn, Fill, Flush, flush_bytes, large_free, large_malloc, scratch, view
from kemu.linux.honesty import custom, port_of
from kemu.linux.types import Ref, s32
from kemu.machine.current import this
from kemu.machine.hostmodule import host_module

lzma = host_module("lzma", "LZMA")

LZMA_BASE_SIZE, LZMA_LIT_SIZE = 1846, 768
SIZEOF_LZMA_HEADER = 13
LIBLZMA_DICT_MIN, LIBLZMA_DICT_UNIT = 4096, 16


@custom("lib/decompress_unlzma.c", "unlzma", "liblzma; tells at once whether the whole stream is right")
def _decode_good(data: memoryview, dst_size: int) -> tuple[bytes, int] | None:
    """Output and bytes that Linux consumes, if liblzma finds nothing wrong."""
    d = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)
    pieces = []
    pos = 0
    try:
        while not d.eof:
            if pos >= len(data):
                return None
            pieces.append(d.decompress(data[pos:pos + (1 << 20)]))
            pos += 1 << 20
    except lzma.LZMAError:
        return None
    used = min(pos, len(data)) - len(d.unused_data)
    out = b"".join(pieces)
    if dst_size != (1 << 64) - 1:
        if len(out) != dst_size:
            return None         # an end marker before the size that the header names
        # Linux stops with the last byte of output: it reads neither an end marker behind it nor a byte to normalise only.
        d = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)
        at = max(used - 16, 18)
        n = len(d.decompress(data[:at]))
        while n < dst_size and at < used:
            n += len(d.decompress(data[at:at + 1]))
            at += 1
        used = at if n == dst_size else used
    return out, used


@port_of("lib/decompress_unlzma.c", "unlzma")
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

    good = None if eof else _decode_good(data, dst_size)
    if good is not None and (dict_size < LIBLZMA_DICT_MIN or dict_size % LIBLZMA_DICT_UNIT) and len(good[0]) > dict_size:
        good = None             # liblzma rounds the window up, and allows distances that are beyond Linux's
    # the buffer is as large as C's, but where the output is known to be smaller
    wr_buffer = large_malloc(min(bufsize, max(len(good[0]), 1)) if good is not None else bufsize)
    if not wr_buffer:
        return ret
    try:
        if good is not None:
            out, posp.v = good
            whole = memoryview(out)
            at = 0
            while len(whole) - at >= dict_size:
                if not flush_bytes(whole[at:at + dict_size], wr_buffer, flush):
                    error("LZMA data is corrupt")
                    return ret
                at += dict_size
            if _last_flush(whole[at:], wr_buffer, flush):
                ret = 0
            return ret

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
