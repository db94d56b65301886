# SPDX-License-Identifier: GPL-2.0-only
"""Compressed archives with odd headers, their checksums right: what only a decoder's own rules refuse.

:func:`choose_packed` makes one; what Linux makes of it only Linux or its ported decoders can say.
"""
from __future__ import annotations

import re
import struct
from binascii import crc32
from collections.abc import Callable

from kemu.forge.compressors import available, compress, lz4_legacy
from kemu.forge.cpio import Segment, encode, trailer
from kemu.forge.cpio_choose import CpioArchive, choose_cpio
from kemu.forge.cpio_wild import choose_wild
from kemu.forge.packed_deflate import deflate_odd
from kemu.forge.pick import Pick
from kemu.machine.hostmodule import host_module

bz2 = host_module("bz2", "bzip2")
lzma = host_module("lzma", "xz and lzma")
zlib = host_module("zlib", "gzip")
zstandard = host_module("zstandard", "zstd")

ODD = 5         # a field is odd once in so many times


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", crc32(data))


def _vli(n: int, waste: int = 0) -> bytes:
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    for _ in range(waste):          # encodings that are longer than need be
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


class _Odd:
    """Fields that are right, or now and then are not; what was done is kept."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick
        self.done: list[str] = []

    def rare(self, what: str, n: int = ODD) -> bool:
        if self.pick.rare(what, n):
            self.done.append(what)
            return True
        return False

    def field(self, what: str, right: int, others: tuple[int, ...], n: int = ODD) -> int:
        if self.pick.rare(what, n):
            value = self.pick.one_of(what, others)
            self.done.append(f"{what}: {value:#x}")
            return value
        return right


# xz

_FILTERS = (4, 5, 7, 8, 9, 10, 11, 6, 3, 0x21, 0x20, 0, 12)         # BCJ, IA64, delta, LZMA2, unknown ones
_LIBLZMAS = (4, 5, 6, 7, 8, 9)
_CHECKS = {0: 0, 1: 4, 4: 8, 10: 32}


def _lzma2(odd: _Odd, data: bytes, bcj: int) -> bytes:
    """The data of a block; what liblzma has no filter for is packed as it is, and comes out filtered."""
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4096, "lc": odd.pick.one_of("lc", (3, 0, 4)), "lp": 0,
              "pb": odd.pick.one_of("pb", (2, 0, 4))}]
    if odd.rare("chunks as they are", 4):
        pieces = [data[at:at + 3000] for at in range(0, len(data), 3000)]
        return b"".join((b"\x01" if not i else b"\x02") + struct.pack(">H", len(p) - 1) + p for i, p in enumerate(pieces)) + b"\0"
    if bcj in _LIBLZMAS and odd.pick.int("filtered", 0, 1):
        chain.insert(0, {"id": bcj})
    out = bytearray(lzma.compress(data, format=lzma.FORMAT_RAW, filters=chain))
    if len(out) > 8 and odd.rare("a chunk's header", 8):
        at = odd.pick.int("at", 0, 6)
        out[at] = odd.pick.one_of("byte", (0, 1, 2, 3, 0x80, 0xA0, 0xC0, 0xE0, 0xFF, 225, 0x5D))
    elif len(out) > 8 and odd.rare("a byte of the data", 8):
        out[odd.pick.int("at", 6, len(out) - 1)] ^= 1 << odd.pick.int("bit", 0, 7)
    return bytes(out)


def _xz_head(odd: _Odd, body: bytes, part: bytes, bcj: int) -> bytearray:
    """The header of a block, without its CRC."""
    head = bytearray(2)
    if odd.rare("compressed size", 3):
        head[1] |= 0x40
        head += _vli(odd.field("its value", len(body), (0, len(body) + 1, len(body) - 1, 1 << 62, (1 << 63) - 1)),
                     odd.rare("too long", 20))
    if odd.rare("uncompressed size", 3):
        head[1] |= 0x80
        head += _vli(odd.field("its value", len(part), (0, len(part) + 1, max(len(part) - 1, 0), 1 << 40)),
                     odd.rare("too long", 20))
    if bcj or (odd.done and odd.done[-1] == "a filter"):
        head[1] |= 1
        props = {3: b"\0"}.get(bcj, b"")
        if odd.rare("start offset", 4):
            props = struct.pack("<I", odd.pick.one_of("offset", (0, 16, 4096)))
        head += _vli(bcj) + bytes((len(props),)) + props
        if odd.rare("another filter", 8):
            head[1] = head[1] & ~3 | 2
            head += b"\x04\0"
    head[1] |= odd.field("reserved flags", 0, (4, 8, 0x10, 0x20, 0x3C), 20)
    head += bytes((odd.field("LZMA2's id", 0x21, (0x20, 0x40, 4, 3), 20), odd.field("size of its properties", 1, (0, 2, 4), 20),
                   odd.field("dictionary", 0, (1, 8, 16, 20, 22, 40, 41, 0x80, 0xFF), 6)))
    pad = -len(head) % 4 + 4 * odd.pick.one_of("padding", (0, 0, 0, 1, 5))
    head += bytes(pad)
    if pad and odd.rare("header padding", 20):
        head[-1] = 1
    head[0] = len(head) // 4
    if odd.rare("size of the header", 30):
        head[0] = odd.pick.one_of("size", (1, 2, 0xFF, head[0] + 1))
    return head


def xz_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """A stream of one to three blocks."""
    odd = _Odd(pick)
    check = odd.field("check", 1, (0, 4, 10, 2, 15, 16))
    flags = bytes((odd.field("stream flags", 0, (1, 0x80), 20), check))
    out = bytearray(b"\xfd7zXZ\0" + flags + _crc(flags))
    if odd.rare("CRC of the stream header", 30):
        out[8] ^= 1
    records = []
    n = pick.one_of("blocks", (1, 1, 2, 3, 0))
    step = -(-len(data) // n) if n else 0
    for i in range(n):
        part = data[i * step:(i + 1) * step]
        bcj = pick.one_of("filter", _FILTERS) if odd.rare("a filter", 2) else 0
        body = _lzma2(odd, part, bcj)
        head = _xz_head(odd, body, part, bcj)
        begin = len(out)
        out += head + _crc(bytes(head))
        if odd.rare("CRC of the header", 30):
            out[-1] ^= 1
        out += body
        unpadded = len(out) - begin
        out += bytes(-len(body) % 4)
        if len(body) % 4 and odd.rare("block padding", 20):
            out[-1] = 1
        out += _crc(part) if check == 1 else bytes(_CHECKS.get(check, 4))
        if odd.rare("the check", 20) and check == 1:
            out[-1] ^= 1
        records.append((unpadded + _CHECKS.get(check, 4), len(part)))
    count = odd.field("records", len(records), (0, len(records) + 1, 1 << 40), 20)
    index = bytearray(b"\0" + _vli(count, odd.rare("number too long", 30)))
    for unpadded, size in records:
        index += (_vli(odd.field("unpadded size", unpadded, (unpadded + 1, unpadded ^ 3, 0), 20))
                  + _vli(odd.field("size", size, (size + 1, 0), 20)))
    index += bytes(-len(index) % 4)
    out += index + _crc(bytes(index))
    if odd.rare("CRC of the index", 30):
        out[-1] ^= 1
    tail = struct.pack("<I", odd.field("backward size", len(index) // 4, (0, 1, len(index), 0xFFFFFFFF), 20)) + flags
    out += _crc(tail) + tail + (b"YZ" if not odd.rare("footer magic", 30) else b"ZY")
    if odd.rare("CRC of the footer", 30):
        out[-12] ^= 1
    done += odd.done
    return bytes(out)


# gzip

def gzip_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """One member: every flag, and deflate data with odd codes."""
    odd = _Odd(pick)
    flags = 0
    if odd.rare("flags", 2):
        flags = pick.int("flags", 0, 255)
    head = bytearray(b"\x1f\x8b" + bytes((odd.field("method", 8, (0, 7, 9), 20), flags)) + bytes(4) + b"\0\x03")
    if odd.rare("fields as the flags have them", 3):
        if flags & 4:
            head += b"\x06\0extra!"
        if flags & 8:
            head += b"name\0"
        if flags & 16:
            head += b"comment\0"
        if flags & 2:
            head += struct.pack("<H", crc32(bytes(head)) & 0xFFFF)
    elif flags & 8:
        head += b"n" * pick.one_of("name", (0, 1, 300)) + b"\0"
    if odd.rare("magic 1f 9e", 20):
        head[1] = 0x9E
    if pick.rare("odd codes", 2):
        body = deflate_odd(pick, data, odd.done)
    else:
        packer = zlib.compressobj(pick.one_of("level", (6, 0, 1)), zlib.DEFLATED, -15, 9, pick.one_of("strategy", (0, 2, 4)))
        body = packer.compress(data) + packer.flush()
    tail = struct.pack("<II", crc32(data), len(data))
    if odd.rare("trailer", 4):
        tail = pick.one_of("tail", (bytes(8), tail[:4], b"", b"\xff" * 8))
    done += odd.done
    return bytes(head) + body + tail


# bzip2

_BLOCK, _END = 0x314159265359, 0x177245385090


def bzip2_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """One stream: its level, its signatures and the fields behind them."""
    odd = _Odd(pick)
    level = pick.one_of("level", (1, 9))
    packed = bz2.compress(data * pick.one_of("times", (1, 1, 1, 40)), level)
    n = len(packed) * 8
    bits = int.from_bytes(packed, "big")
    text = bin(bits)[2:].zfill(n)

    def put(at: int, width: int, value: int) -> None:
        nonlocal bits
        shift = n - at - width
        bits = bits & ~((1 << width) - 1 << shift) | value << shift

    for m in re.finditer(bin(_BLOCK)[2:].zfill(48), text):
        at = m.start()
        if odd.rare("randomised"):
            put(at + 80, 1, 1)
        if odd.rare("CRC of a block", 12):
            put(at + 48, 32, pick.int("crc", 0, 1))
        if odd.rare("origPtr", 12):
            put(at + 81, 24, pick.one_of("origPtr", (0, 1, 99_999, 100_000, 100_010, 0xFFFFFF)))
        if odd.rare("map of symbols", 20):
            put(at + 105, 16, pick.one_of("map", (0, 1, 0xFFFF)))
        if odd.rare("a signature", 20):
            put(at, 48, pick.one_of("signature", (0, _END, _BLOCK ^ 1)))
    m2 = text.rfind(bin(_END)[2:].zfill(48))
    if m2 >= 0 and odd.rare("CRC of the stream", 12):
        put(m2 + 48, 32, pick.int("crc", 0, 1))
    if odd.rare("one bit", 8):
        put(pick.int("at", 32, n - 1), 1, pick.int("bit", 0, 1))
    out = bytearray(bits.to_bytes(len(packed), "big"))
    out[3] = odd.field("level", out[3], (0x30, 0x31, 0x39, 0x3A, 0x68), 8)
    done += odd.done
    return bytes(out)


# lzma

def lzma_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """A .lzma file."""
    odd = _Odd(pick)
    dict_size = pick.one_of("window", (1 << 16, 1 << 12, 0x1300, 0x2F00))           # the kernel knows the format by 5d 00
    lc, lp, pb = pick.one_of("lc, lp, pb", ((3, 0, 2), (3, 0, 2), (3, 0, 2), (0, 4, 0)))
    out = bytearray(lzma.compress(data, format=lzma.FORMAT_ALONE,
                                  filters=[{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": dict_size, "lc": lc, "lp": lp,
                                            "pb": pb}]))
    out[0] = odd.field("properties", out[0], (0, 0x5D, 224, 225), 30)
    if odd.rare("window", 4):
        out[1:5] = struct.pack("<I", pick.one_of("bytes", (0, 256, 512, 0xF00, 4096, 0x1100, 1 << 20, 0x7FFFFF00, 0xFFFFFF00,
                                                           1 << 31, dict_size + 256, dict_size - 256)))
    if odd.rare("size", 2):
        size = pick.one_of("bytes", (len(data), len(data) - 1, len(data) + 1, 0, 1, 110, 1 << 31, 1 << 32, 1 << 63,
                                     (1 << 64) - 2))
        out[5:13] = struct.pack("<Q", max(size, 0))
    if odd.rare("cut", 8):
        del out[-pick.int("bytes", 1, 12):]
    if odd.rare("one bit", 8):
        out[pick.int("at", 13, len(out) - 1)] ^= 1 << pick.int("bit", 0, 7)
    done += odd.done
    return bytes(out)


# lz4

def lz4_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """A legacy frame: sizes of chunks, magics between them."""
    odd = _Odd(pick)
    packed = lz4_legacy(data, pick.one_of("chunk", (8 << 20, 1000, 4096)))
    out = bytearray(packed[:4])
    at = 4
    while at < len(packed):
        size = struct.unpack_from("<I", packed, at)[0]
        chunk = bytearray(packed[at + 4:at + 4 + size])
        at += 4 + size
        if odd.rare("magic again", 6):
            out += packed[:4]
        if odd.rare("an empty chunk", 12):
            out += bytes(4)
        said = size
        if odd.rare("size", 6):
            said = pick.one_of("bytes", (size | 0x80000000, size - 1, 1, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC, 0x80000001))
        if chunk and odd.rare("one bit", 8):
            chunk[pick.int("at", 0, len(chunk) - 1)] ^= 1 << pick.int("bit", 0, 7)
        out += struct.pack("<I", said & 0xFFFFFFFF) + chunk
    if odd.rare("behind it", 4):
        out += pick.one_of("tail", (b"\0", bytes(4), bytes(9), b"\x01\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"))
    done += odd.done
    return bytes(out)


# zstd

def zstd_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """A frame with a header of its own: raw, repeated and compressed blocks."""
    odd = _Odd(pick)
    single = pick.rare("single segment", 3)
    checksum = pick.rare("checksum", 2)
    fcs = pick.int("bytes of the size", 0, 3)
    did = odd.field("dictionary id", 0, (1, 2, 3), 8)
    size = odd.field("content size", len(data), (len(data) + 1, max(len(data) - 1, 0), 0, 1 << 20), 8)
    if not single and fcs == 0:
        size = -1
    elif (fcs == 0 and size > 255) or (fcs == 1 and not 256 <= size < 65792):
        fcs = 2
    fhd = fcs << 6 | single << 5 | checksum << 2 | did | odd.field("reserved bits", 0, (8, 16, 24), 12)
    head = bytearray(b"\x28\xb5\x2f\xfd" + bytes((fhd,)))
    if not single:
        head.append(odd.field("window", 0x40, (0, 0x07, 0x18, 0x58, 0x60, 0x87, 0x88, 0xA0, 0xA8, 0xFF), 3))
    head += (1).to_bytes((0, 1, 2, 4)[did], "little") if did and pick.rare("id not 0", 2) else bytes((0, 1, 2, 4)[did])
    if fcs == 0 and single:
        head.append(size)
    elif fcs:
        head += (size - 256 if fcs == 1 else size).to_bytes((0, 2, 4, 8)[fcs], "little")
    out = head
    pieces = [data[at:at + 2500] for at in range(0, len(data), 2500)] or [b""]
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        kind = pick.one_of("kind", (0, 1, 2)) if odd.rare("kind of block", 2) else 0
        if kind == 1:
            out += (len(piece) << 3 | 2 | last).to_bytes(3, "little") + piece[:1]
        elif kind == 2:
            frame = zstandard.ZstdCompressor(level=1, write_content_size=True, write_checksum=False).compress(piece)
            at = (5 + (0 if frame[4] & 0x20 else 1) + (0, 2, 4,
                                                       8)[frame[4] >> 6] + (1 if frame[4] & 0x20 and not frame[4] >> 6 else 0))
            body = bytearray(frame[at:])
            body[0] = body[0] & 0xFE | last
            out += body
        else:
            out += ((odd.field("size of the block", len(piece), (0, len(piece) + 1, 1 << 17, (1 << 17) + 1),
                               20) << 3 | last).to_bytes(3, "little") + piece)
        if odd.rare("a reserved block", 30):
            out += (6).to_bytes(3, "little")
    if checksum:
        out += zstandard.ZstdCompressor(write_checksum=True).compress(data)[-4:]
        if odd.rare("wrong checksum", 4):
            out[-1] ^= 1
    if odd.rare("a skippable frame behind it", 6):
        out += b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    done += odd.done
    return bytes(out)


# lzo

def lzo_odd(pick: Pick, data: bytes, done: list[str]) -> bytes:
    """As lzop writes it, the data as they are."""
    odd = _Odd(pick)
    version = pick.one_of("version", (0x1030, 0x0940, 0x093F, 0x0900))
    out = bytearray(b"\x89LZO\0\r\n\x1a\n" + struct.pack(">HHHB", version, 0x2080, 0x0940, 1))
    if version >= 0x0940:
        out.append(5)
    flags = odd.field("flags", 0x03000001, (0x800, 0x40, 0, 0xFFFFFFFF, 0x0C), 3)
    out += struct.pack(">I", flags)
    if flags & 0x800 and not odd.rare("no filter's number", 4):
        out += struct.pack(">I", 1)
    out += struct.pack(">II", 0o100644, 0)
    if version >= 0x0940:
        out += bytes(4)
    name = b"n" * pick.one_of("name", (0, 5, 255))
    out += bytes((odd.field("length of the name", len(name), (0, 255, len(name) ^ 1), 12),)) + name + bytes(4)
    step = pick.one_of("block", (256 << 10, 1000))
    for at in range(0, len(data), step):
        piece = data[at:at + step]
        dst = odd.field("size", len(piece), (0, len(piece) + 1, (256 << 10) + 1, 0xFFFFFFFF, 1), 20)
        out += (struct.pack(">III", dst, odd.field("packed size", len(piece), (0, len(piece) - 1, len(piece) + 1, 0xFFFFFFFF),
                                                   20), 0) + piece)
    if not odd.rare("no end", 12):
        out += bytes(4)
    done += odd.done
    return bytes(out)


FORMATS: dict[str, Callable[[Pick, bytes, list[str]], bytes]] = {
    "xz": xz_odd, "gzip": gzip_odd, "bzip2": bzip2_odd, "lzma": lzma_odd, "lz4": lz4_odd, "zstd": zstd_odd, "lzo": lzo_odd,
}


def choose_packed(pick: Pick, label: str = "", formats: tuple[str, ...] = ()) -> CpioArchive:
    """A plain archive, packed once with an odd header; sometimes another one behind it."""
    names = formats or tuple(n for n in FORMATS if n != "zstd" or n in available())
    done: list[str] = []
    data = b""
    segments: list[Segment] = []
    for _ in range(1 + pick.rare("another", 4)):
        inner = choose_wild(pick, devices=False) if pick.rare("wild", 4) else choose_cpio(pick)
        plain = b"".join(encode([Segment(members=s.members)]) for s in inner.segments)[:20_000] + trailer().encode()
        segments += inner.segments
        name = pick.one_of("format", names)
        done.append(name)
        data += (FORMATS[name](pick, plain, done) if not pick.rare("plain", 12)
                 else compress(name if name != "lzo" else "gzip", plain))
        data += bytes(pick.one_of("zeros", (0, -len(data) % 4, 512)))
    return CpioArchive(data, segments, None, None, done, label)
