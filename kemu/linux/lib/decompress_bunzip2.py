# SPDX-License-Identifier: GPL-2.0-only
"""bzip2 (lib/decompress_bunzip2.c).

libbz2 decodes what is right and what Linux takes, too; everything else is decoded again by Linux's own decoder, ported here:
which 4096 bytes reach the unpacker before an error, which error it is, and whether Linux reads beyond its input is known by no
library.
"""
from __future__ import annotations

from collections.abc import Iterator

from kemu.linux.include.decompress import free, large_malloc, malloc, scratch, view
from kemu.linux.kernel.panic import panic
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, dropping, flush_bytes
from kemu.linux.port.honesty import custom, dup, port_of
from kemu.linux.types import INT_MAX, Ref, s32, u32
from kemu.machine.current import this
from kemu.machine.hostmodule import host_module

C = "lib/decompress_bunzip2.c"

bz2 = host_module("bz2", "bzip2")

MAX_GROUPS = 6
GROUP_SIZE = 50
MAX_HUFCODE_BITS = 20
MAX_SYMBOLS = 258
SYMBOL_RUNB = 1
RETVAL_OK, RETVAL_LAST_BLOCK, RETVAL_NOT_BZIP_DATA, RETVAL_UNEXPECTED_INPUT_EOF, RETVAL_UNEXPECTED_OUTPUT_EOF = 0, -1, -2, -3, -4
RETVAL_DATA_ERROR, RETVAL_OUT_OF_MEMORY, RETVAL_OBSOLETE_INPUT = -5, -6, -7
BZIP2_IOBUF_SIZE = 4096
SIZEOF_BUNZIP_DATA = 46600
CRC32_POLY_BE = 0x04C11DB7


def _crc_table() -> list[int]:
    table = []
    for i in range(256):
        c = i << 24
        for _ in range(8):
            c = ((c << 1) ^ CRC32_POLY_BE if c & 0x80000000 else c << 1) & 0xFFFFFFFF
        table.append(c)
    return table


crc32Table = _crc_table()


class group_data:
    """``struct group_data``: limit and base are indexed by code length, as C's shifted pointers are."""

    __slots__ = ("base", "limit", "maxLen", "minLen", "permute")

    def __init__(self) -> None:
        self.limit = [0] * (MAX_HUFCODE_BITS + 2)
        self.base = [0] * (MAX_HUFCODE_BITS + 2)
        self.permute: list[int] = [0] * MAX_SYMBOLS
        self.minLen = self.maxLen = 0


class bunzip_data:
    """``struct bunzip_data``"""

    def __init__(self, inbuf: int, count: int) -> None:
        self.writeCopies = self.writePos = self.writeRunCountdown = self.writeCount = self.writeCurrent = 0
        self.inbuf = inbuf
        self.data = bytes(view(inbuf, count))       # [inbuf, inbuf + inbufCount): reads behind it go through the checked memory
        self.inbufCount = count
        self.inbufPos = 0
        self.inbufBitCount = 0
        self.inbufBits = 0
        self.headerCRC = self.totalCRC = self.writeCRC = 0
        self.dbuf: list[int] = []
        self.dbufSize = 0
        self.selectors = bytearray(32768)
        self.groups = [group_data() for _ in range(MAX_GROUPS)]
        self.io_error = 0
        self.symToByte = bytearray(256)

    def byte(self) -> int:
        """``bd->inbuf[bd->inbufPos++]``"""
        pos = self.inbufPos
        self.inbufPos = pos + 1
        if pos < len(self.data):
            return self.data[pos]
        return this.mem.load(self.inbuf + pos, 1, "decompress")[0]

    def overrun(self) -> None:
        """``dbuf[dbufCount++] = uc`` beyond the buffer: a run whose length has wrapped. Ends in a detector's report."""
        dbuf = large_malloc(self.dbufSize * 4)
        while dbuf:
            this.mem.store(dbuf + self.dbufSize * 4, bytes(this.mem.page_size))
        panic("bunzip2: a run beyond the block's buffer")


@port_of(C, "get_bits")
def get_bits(bd: bunzip_data, bits_wanted: int) -> int:
    bits = 0

    # If we need to get more data from the byte buffer, do so.
    while bd.inbufBitCount < bits_wanted:
        if bd.inbufPos == bd.inbufCount:
            if bd.io_error:
                return 0
            bd.inbufCount = -1          # nofill()
            bd.io_error = RETVAL_UNEXPECTED_INPUT_EOF
            return 0
        # Avoid 32-bit overflow (dump bit buffer to top of output)
        if bd.inbufBitCount >= 24:
            bits = bd.inbufBits & ((1 << bd.inbufBitCount) - 1)
            bits_wanted -= bd.inbufBitCount
            bits = u32(bits << bits_wanted)
            bd.inbufBitCount = 0
        # Grab next 8 bits of input from buffer.
        bd.inbufBits = u32(bd.inbufBits << 8) | bd.byte()
        bd.inbufBitCount += 8
    # Calculate result
    bd.inbufBitCount -= bits_wanted
    bits |= (bd.inbufBits >> bd.inbufBitCount) & ((1 << bits_wanted) - 1)
    return bits


@dup(C, "get_next_block")
def get_next_block(bd: bunzip_data) -> int:
    """Unpacks the next block and sets up for the inverse burrows-wheeler step."""
    dbufSize = bd.dbufSize
    selectors = bd.selectors
    symToByte = bd.symToByte

    # Read in header signature and CRC, then validate signature.
    i = get_bits(bd, 24)
    j = get_bits(bd, 24)
    bd.headerCRC = get_bits(bd, 32)
    if i == 0x177245 and j == 0x385090:
        return RETVAL_LAST_BLOCK
    if i != 0x314159 or j != 0x265359:
        return RETVAL_NOT_BZIP_DATA
    # We can add support for blockRandomised if anybody complains.
    if get_bits(bd, 1):
        return RETVAL_OBSOLETE_INPUT
    origPtr = get_bits(bd, 24)
    if origPtr >= dbufSize:
        return RETVAL_DATA_ERROR
    # mapping table
    t = get_bits(bd, 16)
    symTotal = 0
    for i in range(16):
        if t & (1 << (15 - i)):
            k = get_bits(bd, 16)
            for j in range(16):
                if k & (1 << (15 - j)):
                    symToByte[symTotal] = 16 * i + j
                    symTotal += 1
    # How many different Huffman coding groups does this block use?
    groupCount = get_bits(bd, 3)
    if groupCount < 2 or groupCount > MAX_GROUPS:
        return RETVAL_DATA_ERROR
    # nSelectors: Every GROUP_SIZE many symbols we select a new Huffman coding group.
    nSelectors = get_bits(bd, 15)
    if not nSelectors:
        return RETVAL_DATA_ERROR
    mtf = list(range(groupCount)) + [0]
    for i in range(nSelectors):
        # Get next value
        j = 0
        while get_bits(bd, 1):
            if j >= groupCount:
                return RETVAL_DATA_ERROR
            j += 1
        # Decode MTF to get the next selector
        uc = mtf.pop(j)
        mtf.insert(0, uc)
        selectors[i] = uc
    # Read the Huffman coding tables for each group
    symCount = symTotal + 2
    for j in range(groupCount):
        length = [0] * MAX_SYMBOLS
        t = get_bits(bd, 5) - 1
        for i in range(symCount):
            while True:
                if not 0 <= t <= MAX_HUFCODE_BITS - 1:
                    return RETVAL_DATA_ERROR
                # If first bit is 0, stop. Else second bit indicates whether to increment or decrement the value.
                k = get_bits(bd, 2)
                if k < 2:
                    bd.inbufBitCount += 1
                    break
                t += ((k + 1) & 2) - 1
            # Correct for the initial -1, to get the final symbol length
            length[i] = t + 1
        # Find largest and smallest lengths in this group
        minLen = min(length[:symCount])
        maxLen = max(length[:symCount])
        hufGroup = bd.groups[j]
        hufGroup.minLen = minLen
        hufGroup.maxLen = maxLen
        base = hufGroup.base
        limit = hufGroup.limit
        # Calculate permute[]
        pp = 0
        for i in range(minLen, maxLen + 1):
            limit[i] = 0
            for t in range(symCount):
                if length[t] == i:
                    hufGroup.permute[pp] = t
                    pp += 1
        # Count symbols coded for at each bit length
        temp = [0] * (MAX_HUFCODE_BITS + 1)
        for i in range(symCount):
            temp[length[i]] += 1
        # Calculate limit[] and base[]
        pp = t = 0
        for i in range(minLen, maxLen):
            pp += temp[i]
            limit[i] = (pp << (maxLen - i)) - 1
            pp <<= 1
            t += temp[i]
            base[i + 1] = pp - t
        limit[maxLen + 1] = INT_MAX
        limit[maxLen] = pp + temp[maxLen] - 1
        base[minLen] = 0

    # We've finished reading and digesting the block header. Now read this block's Huffman coded symbols from the file.
    byteCount = [0] * 256
    mtfSymbol = list(range(256))
    dbuf: list[int] = []
    runPos = dbufCount = symCount = selector = 0
    t = 0
    while True:
        # Determine which Huffman coding group to use.
        if not symCount:
            symCount = GROUP_SIZE
            if selector >= nSelectors:
                return RETVAL_DATA_ERROR
            hufGroup = bd.groups[selectors[selector]]
            selector += 1
            base = hufGroup.base
            limit = hufGroup.limit
            maxLen = hufGroup.maxLen
            minLen = hufGroup.minLen
            permute = hufGroup.permute
        symCount -= 1
        # Read next Huffman-coded symbol.
        while bd.inbufBitCount < maxLen:
            if bd.inbufPos == bd.inbufCount:
                j = get_bits(bd, maxLen)
                break
            bd.inbufBits = u32(bd.inbufBits << 8) | bd.byte()
            bd.inbufBitCount += 8
        else:
            bd.inbufBitCount -= maxLen
            j = (bd.inbufBits >> bd.inbufBitCount) & ((1 << maxLen) - 1)
        # got_huff_bits: figure how many bits are in next symbol and unget extras
        i = minLen
        while j > limit[i]:
            i += 1
        bd.inbufBitCount += maxLen - i
        # Huffman decode value to get nextSym (with bounds checking)
        if i > maxLen:
            return RETVAL_DATA_ERROR
        j = (j >> (maxLen - i)) - base[i]
        if not 0 <= j < MAX_SYMBOLS:
            return RETVAL_DATA_ERROR
        nextSym = permute[j]
        if nextSym <= SYMBOL_RUNB:      # RUNA or RUNB
            # If this is the start of a new run, zero out counter
            if not runPos:
                runPos = 1
                t = 0
            t = s32(t + s32(runPos << nextSym))     # nothing keeps a run from growing until int wraps
            runPos = s32(runPos << 1)
            continue
        # When we hit the first non-run symbol after a run, we now know how many times to repeat the last literal
        if runPos:
            runPos = 0
            if s32(dbufCount + t) >= dbufSize:
                return RETVAL_DATA_ERROR
            uc = symToByte[mtfSymbol[0]]
            byteCount[uc] += t
            t = u32(t)                  # while (t--)
            if dbufCount + t > dbufSize:
                bd.overrun()
            dbuf += [uc] * t
            dbufCount += t
        # Is this the terminating symbol?
        if nextSym > symTotal:
            break
        if dbufCount >= dbufSize:
            return RETVAL_DATA_ERROR
        uc = mtfSymbol.pop(nextSym - 1)
        mtfSymbol.insert(0, uc)
        uc = symToByte[uc]
        # We have our literal byte. Save it into dbuf.
        byteCount[uc] += 1
        dbuf.append(uc)
        dbufCount += 1

    # Turn byteCount into cumulative occurrence counts of 0 to n-1.
    j = 0
    for i in range(256):
        k = j + byteCount[i]
        byteCount[i] = j
        j = k
    # Figure out what order dbuf would be in if we sorted it.
    for i in range(dbufCount):
        uc = dbuf[i] & 0xFF
        at = byteCount[uc]
        dbuf[at] |= i << 8
        byteCount[uc] = at + 1
    # Decode first byte by hand to initialize "previous" byte.
    if dbufCount:
        if origPtr >= dbufCount:
            return RETVAL_DATA_ERROR
        bd.writePos = dbuf[origPtr]
        bd.writeCurrent = bd.writePos & 0xFF
        bd.writePos >>= 8
        bd.writeRunCountdown = 5
    bd.dbuf = dbuf
    bd.writeCount = dbufCount
    return RETVAL_OK


@dup(C, "read_bunzip")
def read_bunzip(bd: bunzip_data, outbuf: bytearray, len_: int) -> int:
    """Undo burrows-wheeler transform on intermediate buffer to produce output: bytes put into ``outbuf``, or a RETVAL."""
    # If last read was short due to end of file, return last block now
    if bd.writeCount < 0:
        return bd.writeCount

    del outbuf[:]
    dbuf = bd.dbuf
    pos = bd.writePos
    xcurrent = bd.writeCurrent
    # We will always have pending decoded data to write into the output buffer unless this is the very first call
    inner = bool(bd.writeCopies)
    completed = False
    if inner:
        bd.writeCopies -= 1
    while True:
        # Loop outputting bytes
        while inner:
            # If the output buffer is full, snapshot state and return
            if len(outbuf) >= len_:
                bd.writePos = pos
                bd.writeCurrent = xcurrent
                bd.writeCopies += 1
                return len_
            # Write next byte into output buffer, updating CRC
            outbuf.append(xcurrent)
            bd.writeCRC = u32(bd.writeCRC << 8) ^ crc32Table[(bd.writeCRC >> 24) ^ xcurrent]
            # Loop now if we're outputting multiple copies of this byte
            if bd.writeCopies:
                bd.writeCopies -= 1
                continue
            # decode_next_byte:
            while True:
                if not bd.writeCount:
                    bd.writeCount = -1
                    inner = False
                    completed = True
                    break
                bd.writeCount -= 1
                previous = xcurrent
                pos = dbuf[pos]
                xcurrent = pos & 0xFF
                pos >>= 8
                bd.writeRunCountdown -= 1
                if bd.writeRunCountdown:
                    if xcurrent != previous:
                        bd.writeRunCountdown = 4
                else:
                    # We have a repeated run, this byte indicates the count
                    bd.writeCopies = xcurrent
                    xcurrent = previous
                    bd.writeRunCountdown = 5
                    # Sometimes there are just 3 bytes (run length 0)
                    if not bd.writeCopies:
                        continue
                    # Subtract the 1 copy we'd output anyway to get extras
                    bd.writeCopies -= 1
                break
        if completed:
            # Decompression of this block completed successfully
            completed = False
            bd.writeCRC = bd.writeCRC ^ 0xFFFFFFFF
            bd.totalCRC = u32((bd.totalCRC << 1) | (bd.totalCRC >> 31)) ^ bd.writeCRC
            # If this block had a CRC error, force file level CRC error.
            if bd.writeCRC != bd.headerCRC:
                bd.totalCRC = u32(bd.headerCRC + 1)
                return RETVAL_LAST_BLOCK

        # Refill the intermediate buffer by Huffman-decoding next block of input
        previous = get_next_block(bd)
        if previous:
            bd.writeCount = previous
            return previous if previous != RETVAL_LAST_BLOCK else len(outbuf)
        bd.writeCRC = 0xFFFFFFFF
        dbuf = bd.dbuf
        pos = bd.writePos
        xcurrent = bd.writeCurrent
        # goto decode_next_byte
        inner = _decode_next_byte(bd, dbuf)
        completed = not inner
        pos, xcurrent = bd.writePos, bd.writeCurrent


def _decode_next_byte(bd: bunzip_data, dbuf: list[int]) -> bool:
    """C's jump into the loop at decode_next_byte; False if the block is empty."""
    pos, xcurrent = bd.writePos, bd.writeCurrent
    while True:
        if not bd.writeCount:
            bd.writeCount = -1
            return False
        bd.writeCount -= 1
        previous = xcurrent
        pos = dbuf[pos]
        xcurrent = pos & 0xFF
        pos >>= 8
        bd.writeRunCountdown -= 1
        if bd.writeRunCountdown:
            if xcurrent != previous:
                bd.writeRunCountdown = 4
        else:
            bd.writeCopies = xcurrent
            xcurrent = previous
            bd.writeRunCountdown = 5
            if not bd.writeCopies:
                continue
            bd.writeCopies -= 1
        bd.writePos, bd.writeCurrent = pos, xcurrent
        return True


@dup(C, "start_bunzip")
def start_bunzip(bdp: Ref, inbuf: int, len_: int) -> int:
    bd = bdp.v = bunzip_data(inbuf, len_)

    # Ensure that file starts with "BZh['1'-'9']."
    i = get_bits(bd, 32)
    BZh0 = int.from_bytes(b"BZh0", "big")
    if not 0 <= i - BZh0 - 1 < 9:
        return RETVAL_NOT_BZIP_DATA

    # Fourth byte (ascii '1'-'9'), indicates block size in units of 100k of uncompressed data.
    bd.dbufSize = 100000 * (i - BZh0)
    return RETVAL_OK


BLOCK_SIGNATURE = 0x314159265359


@custom(C, "get_next_block", "looks at the bit behind every signature that is found, whether or not a block begins there")
def _may_be_randomised(data: bytes) -> bool:
    """Whether behind anything that looks like a block's signature the bit is set that Linux refuses (blockRandomised)."""
    for shift in range(8):
        whole = (BLOCK_SIGNATURE >> shift & (1 << 40) - 1).to_bytes(5, "big")          # the five bytes that are whole
        at = data.find(whole, 1)
        while at >= 0:
            # signature, CRC, the bit
            bits = int.from_bytes(data[at - 1:at + 11].ljust(12, b"\0"), "big") >> 96 - shift - 81 & (1 << 81) - 1
            if bits >> 33 == BLOCK_SIGNATURE and bits & 1:
                return True
            at = data.find(whole, at + 1)
    return False


@custom(C, "read_bunzip", "libbz2, for as long as it finds nothing wrong")
class QuickBzip2:
    """Output of libbz2 in pieces; ``used``: bytes of the stream once it is complete, -1 if it is not, or if Linux's own decoder
    has to say.
    """

    def __init__(self, buf: int, len_: int):
        self.data = view(buf, len_)
        self.used = -1

    def pieces(self) -> Iterator[bytes]:
        if _may_be_randomised(bytes(self.data)):
            return
        d = bz2.BZ2Decompressor()
        pos = 0
        try:
            while not d.eof:
                piece: bytes | memoryview = b""
                if d.needs_input:
                    if pos >= len(self.data):
                        return
                    piece = self.data[pos:pos + (1 << 20)]
                    pos += 1 << 20
                yield d.decompress(piece, 1 << 20)
        except OSError:
            return
        self.used = min(pos, len(self.data)) - len(d.unused_data)


@custom(C, "bunzip2",
        "libbz2 decodes what it accepts; what it refuses is decoded again, as Linux does. From memory to flush(): there is no "
        "fill()")
def bunzip2(buf: int, len_: int, fill: Fill | None, flush: Flush, outbuf: int, pos: Ref, error: ErrorFn) -> int:
    i = -1
    outbuf = malloc(BZIP2_IOBUF_SIZE)
    if not outbuf:
        error("Could not allocate output buffer")
        return RETVAL_OUT_OF_MEMORY
    bd_mem = malloc(SIZEOF_BUNZIP_DATA)
    try:
        if not bd_mem:
            # start_bunzip() gives RETVAL_OUT_OF_MEMORY, for which there is no message
            return RETVAL_OUT_OF_MEMORY
        level = this.mem.ld8(buf + 3) - ord("0") if len_ > 3 else 0
        if 1 <= level <= 9:
            if not scratch(100000 * level * 4):
                pos.v = 4
                return RETVAL_OUT_OF_MEMORY
        given = 0
        quick = QuickBzip2(buf, len_)
        pending = b""
        for piece in quick.pieces():
            pending += piece
            whole = memoryview(pending)
            for at in range(0, len(whole) - BZIP2_IOBUF_SIZE + 1, BZIP2_IOBUF_SIZE):
                if not flush_bytes(whole[at:at + BZIP2_IOBUF_SIZE], outbuf, flush):
                    error("Compressed file ends unexpectedly")
                    return RETVAL_UNEXPECTED_OUTPUT_EOF
                given += BZIP2_IOBUF_SIZE
            pending = pending[len(pending) & ~(BZIP2_IOBUF_SIZE - 1):]
        if quick.used >= 0:
            pos.v = quick.used
            if pending and not flush_bytes(pending, outbuf, flush):
                error("Compressed file ends unexpectedly")
                return RETVAL_UNEXPECTED_OUTPUT_EOF
            return RETVAL_OK
        flush = dropping(given, flush)

        bdp = Ref(None)
        out = bytearray()
        i = start_bunzip(bdp, buf, len_)
        bd: bunzip_data = bdp.v
        if not i:
            while True:
                i = read_bunzip(bd, out, BZIP2_IOBUF_SIZE)
                if i <= 0:
                    break
                if not flush_bytes(out[:i], outbuf, flush):
                    i = RETVAL_UNEXPECTED_OUTPUT_EOF
                    break
        # Check CRC and release memory
        if i == RETVAL_LAST_BLOCK:
            if bd.headerCRC != bd.totalCRC:
                error("Data integrity error when decompressing.")
            else:
                i = RETVAL_OK
        elif i == RETVAL_UNEXPECTED_OUTPUT_EOF:
            error("Compressed file ends unexpectedly")
        pos.v = bd.inbufPos
        return i
    finally:
        free(bd_mem)
        free(outbuf)
