# SPDX-License-Identifier: GPL-2.0-only
"""LZ4, the legacy frame of ``lz4 -l`` (lib/decompress_unlz4.c)."""
from __future__ import annotations

from kemu.linux.include.decompress import large_free, large_malloc
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush
from kemu.linux.lib.lz4.lz4_decompress import LZ4_decompress_generic, Window
from kemu.linux.lz4 import LZ4_compressBound, LZ4_decompress_safe, _lib
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.types import Ref, s32
from kemu.linux.unaligned import get_unaligned_le32
from kemu.machine import hostlib
from kemu.machine.current import this

C = "lib/decompress_unlz4.c"

LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE = 8 << 20
ARCHIVE_MAGICNUMBER = 0x184C2102
UML_ADDRESS = 0x61000000            # about where UML has its memory


class _Checked(Window):
    """A window in which every portion is checked when it is read: for a block that claims to be longer than the archive."""

    def get(self, addr: int, n: int) -> bytes:
        if addr >> self.shift in self.base:
            return super().get(addr, n)
        return this.mem.load(addr, n, "decompress")

    def never_written(self, addr: int, n: int) -> bytes:
        return super().never_written(addr, n) if addr >> self.shift in self.base else bytes(n)      # the load has said so already


def _bounced(src: int, dst: int, csize: int, capacity: int) -> int:
    """A block that fills only part of a large destination: decoded by liblz4 outside the arena, then stored; 0 if it has to be
    judged.

    That far from the destination's end both decoders accept the same blocks; within its last bytes, and for whatever liblz4
    refuses, Linux's own must say.
    """
    mem = this.mem
    runs = mem.pieces(src, csize, False)
    if _lib is None or not runs:
        return 0
    if len(runs) == 1:
        sp = hostlib.arena() + runs[0][0]
    else:
        sp, sview = hostlib.bounce("src", csize)
        hostlib.gather(runs, sview)
    dp, dview = hostlib.bounce("dst", capacity)
    ret: int = _lib.LZ4_decompress_safe(sp, dp, csize, capacity)
    if ret <= 0 or ret > capacity - 64:
        return 0
    mem.store(dst, dview[:ret])
    mem.counters.bytes_decompressed += ret
    return ret


@custom(C, "unlz4", "knows how much of the source may be read, so that the byte which is too much is named")
def decompress_block(src: int, dst: int, csize: int, capacity: int, readable: int) -> int:
    """``LZ4_decompress_safe()`` of a block of which only ``readable`` bytes are in the archive.

    A size with bit 31 set is a negative int. Where the kernel lies below 2 GiB (ARCH=um, with which this is compared) the end of
    the input then wraps around, and Linux reads on behind the archive; on other machines it reads one byte and refuses the block.
    """
    if 0 <= csize <= readable:
        ret = _bounced(src, dst, csize, capacity)
        if ret > 0:
            return ret
        return LZ4_decompress_safe(src, dst, csize, capacity)
    if csize < -UML_ADDRESS:
        csize += 1 << 64        # ip + srcSize wraps around, and lies behind everything
    w = _Checked()
    w.add(dst, capacity)
    ret = LZ4_decompress_generic(src, dst, csize, capacity, False, False, w)
    if w.high > dst:
        this.mem.mark(this.mem.pieces(dst, w.high - dst, True), None)
    return ret


@port_of(C, "unlz4")
def unlz4(input: int, in_len: int, fill: Fill | None, flush: Flush | None, output: int, posp: Ref, error: ErrorFn) -> int:
    ret = -1
    chunksize = 0
    uncomp_chunksize = LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE
    size = in_len

    if output:
        outp = output
    elif not flush:
        error("NULL output pointer and no flush function provided")
        return ret
    else:
        outp = large_malloc(uncomp_chunksize)
        if not outp:
            error("Could not allocate output buffer")
            return ret

    try:
        if input and fill:
            error("Both input pointer and fill function provided,")
            return ret
        elif input:
            inp = input
        elif not fill:
            error("NULL input pointer and missing fill function")
            return ret
        else:
            inp = large_malloc(LZ4_compressBound(uncomp_chunksize))
            if not inp:
                error("Could not allocate input buffer")
                return ret
        inp_start = inp
        try:
            if posp:
                posp.v = 0

            if fill:
                size = fill(inp, 4)
                if size < 4:
                    error("data corrupted")
                    return ret

            chunksize = get_unaligned_le32(inp)
            if chunksize == ARCHIVE_MAGICNUMBER:
                if not fill:
                    inp += 4
                    size -= 4
            else:
                error("invalid header")
                return ret

            if posp:
                posp.v += 4

            while True:
                if fill:
                    size = fill(inp, 4)
                    if size == 0:
                        break
                    if size < 4:
                        error("data corrupted")
                        return ret
                elif size < 4:
                    # empty or end-of-file
                    break

                chunksize = get_unaligned_le32(inp)
                if chunksize == ARCHIVE_MAGICNUMBER:
                    if not fill:
                        inp += 4
                        size -= 4
                    if posp:
                        posp.v += 4
                    continue

                if not fill and chunksize == 0:
                    # empty or end-of-file
                    break

                if posp:
                    posp.v += 4

                if not fill:
                    inp += 4
                    size -= 4
                else:
                    if chunksize > LZ4_compressBound(uncomp_chunksize):
                        error("chunk length is longer than allocated")
                        return ret
                    size = fill(inp, chunksize)
                    if size < chunksize:
                        error("data corrupted")
                        return ret
                dest_len = uncomp_chunksize

                ret = decompress_block(inp, outp, s32(chunksize), dest_len, size)
                dest_len = ret
                if ret < 0:
                    error("Decoding failed")
                    return ret

                ret = -1
                if flush and flush(outp, dest_len) != dest_len:
                    return ret
                if output:
                    outp += dest_len
                if posp:
                    posp.v += chunksize

                if not fill:
                    size -= chunksize

                    if size == 0:
                        break
                    elif size < 0:
                        error("data corrupted")
                        return ret
                    inp += chunksize
            # exit_3
            return 0
        finally:                                                # exit_2
            if not input:
                large_free(inp_start)
    finally:                                                    # exit_1
        if not output:
            large_free(outp)
