# SPDX-License-Identifier: GPL-2.0-only
"""Images of one compressed file whose streams are given as bytes: for what no compressor writes, in every format that EROFS has.

Short ones, long ones, cut ones, streams that say something else than the index does. The rest of the image is as plain as can be.
"""
from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kemu.forge.compressors import lz4_block, lzma, zlib, zstandard
from kemu.forge.content import KINDS, content
from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.writer import fix_checksum
from kemu.forge.pick import Pick
from kemu.machine.hostmodule import MissingLibrary

#: formats by number; also the order of the bits in available_compr_algs
FORMATS = ("lz4", "lzma", "deflate", "zstd")
LZMA_DICT = 65536
ROOT, FILE = 64, 68             # nids


@dataclass(frozen=True, slots=True)
class Extent:
    """``length`` bytes of the file that ``stream`` is said to decompress to; ``blocks``: how many it gets. ``partial``:
    Z_EROFS_LI_PARTIAL_REF.
    """

    length: int
    stream: bytes
    blocks: int = 1
    partial: bool = False
    inline: bool = False


def compress(how: str, data: bytes) -> bytes:
    """``data`` as one pcluster of this format; ``MissingLibrary`` where it cannot be had."""
    if how == "lz4":
        packed: bytes = lz4_block.compress(data, store_size=False)
        return packed
    if how == "deflate":
        z = zlib.compressobj(6, zlib.DEFLATED, -15)
        deflated: bytes = z.compress(data) + z.flush()
        return deflated
    if how == "lzma":
        # MicroLZMA: the first byte, always 0 in .lzma, is the complement of the properties; this one has an end marker
        alone: bytes = lzma.compress(data, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": LZMA_DICT}])
        return bytes([alone[0] ^ 0xFF]) + alone[14:]
    frame: bytes = zstandard.ZstdCompressor(level=3, write_checksum=False, write_content_size=False).compress(data)
    return frame


def _configs(algorithms: Sequence[int], max_pclusterblks: int) -> bytes:
    text = {0: struct.pack("<HHH10x", 14, 65535, max_pclusterblks), 1: struct.pack("<HIH8x", 14, LZMA_DICT, 0),
            2: struct.pack("<HB5x", 6, 15),
            3: struct.pack("<HBB4x", 6, 0, 7)}
    return b"".join(text[a] for a in sorted(algorithms))


def stream_image(how: str, extents: Sequence[Extent], size: int | None = None, *, blkszbits: int = 12,
                 max_pclusterblks: int = 16) -> bytes:
    """A flat image with ``/f``; ``size``: its i_size, if that is not what the extents come to. ``max_pclusterblks``: what the
    superblock says.

    No two extents may begin in one block of the file. One of several blocks must be longer than a block.
    """
    bs = 1 << blkszbits
    algorithm = FORMATS.index(how)
    length = sum(e.length for e in extents)
    size = length if size is None else size
    first = -(-8192 // bs)
    incompat = d.EROFS_FEATURE_INCOMPAT_LZ4_0PADDING | d.EROFS_FEATURE_INCOMPAT_COMPR_CFGS
    big = any(e.blocks > 1 for e in extents)
    tail = extents[-1].stream if extents and extents[-1].inline else b""
    if tail:
        incompat |= d.EROFS_FEATURE_INCOMPAT_ZTAILPACKING
    index: list[bytes] = []
    payload: list[bytes] = []
    block, la = first, 0
    count = max(-(-length // bs), -(-size // bs))
    starts: dict[int, tuple[Extent, int, int]] = {}
    for e in extents:
        starts[la // bs] = (e, la % bs, block)
        la += e.length
        if not e.inline:
            room = e.blocks * bs
            payload.append(e.stream[-room:].rjust(room, b"\0"))
            block += e.blocks
    head, back = None, 0
    for lcn in range(count):
        if lcn in starts:
            head, ofs, pblk = starts[lcn]
            back = 0
            index.append(d.lcluster_head(d.Z_EROFS_LCLUSTER_TYPE_HEAD1 | (d.Z_EROFS_LI_PARTIAL_REF if head.partial else 0), ofs,
                                         0 if head.inline else pblk))
            continue
        back += 1
        after = next((s for s in sorted(starts) if s > lcn), count)
        index.append(d.lcluster_nonhead(d.Z_EROFS_LI_D0_CBLKCNT | head.blocks if back == 1 and big and head else back,
                                        after - lcn))
    advise = (d.Z_EROFS_ADVISE_BIG_PCLUSTER_1 if big else 0) | (d.Z_EROFS_ADVISE_INLINE_PCLUSTER if tail else 0)
    names = b"...f"
    dirents = d.dirent(ROOT, 36, 2) + d.dirent(ROOT, 37, 2) + d.dirent(FILE, 39, 1) + names
    image = bytearray(8192)
    sb = d.super_block(feature_compat=d.EROFS_FEATURE_COMPAT_SB_CHKSUM, blkszbits=blkszbits, sb_extslots=0, root_nid=ROOT, inos=2,
                       epoch=0,
                       fixed_nsec=0, blocks=block, meta_blkaddr=0, xattr_blkaddr=0, uuid=bytes(16), volume_name=b"",
                       feature_incompat=incompat,
                       compr=1 << algorithm, build_time=0)
    image[1024:1024 + len(sb)] = sb
    cfgs = _configs([algorithm], max_pclusterblks)
    image[1024 + d.SUPER_SIZE:1024 + d.SUPER_SIZE + len(cfgs)] = cfgs
    root = d.inode_compact(d.EROFS_INODE_FLAT_INLINE << 1, 0, 0o40755, 2, len(dirents), 0, 0, 1, 0, 0) + dirents
    image[ROOT * 32:ROOT * 32 + len(root)] = root
    inode = d.inode_compact(d.EROFS_INODE_COMPRESSED_FULL << 1, 0, 0o100644, 1, size, 0, block - first, 2, 0, 0)
    body = inode + d.map_header(len(tail), advise, algorithm, 0) + bytes(8) + b"".join(index) + tail
    image[FILE * 32:FILE * 32 + len(body)] = body
    if len(image) > 8192:
        raise ValueError(f"{count} blocks of {bs} bytes: the index is too long")
    fix_checksum(image)
    return bytes(image) + b"".join(payload)


@dataclass(frozen=True, slots=True)
class StreamImage:
    """What :func:`choose_streams` made, and a line for each thing that is worth saying about it."""

    data: bytes
    notes: list[str]

    def describe(self) -> str:
        """The image in a few lines."""
        return f"EROFS image of one compressed file, {len(self.data)} bytes\n" + "\n".join(f"  {n}" for n in self.notes)


def _stream(pick: Pick, how: str, data: bytes, notes: list[str]) -> bytes:
    """``data`` compressed, in one case of two with something wrong."""
    form = pick.int("stream", 0, 9)
    if form < 5:
        return compress(how, data)
    if form == 5:
        n = pick.int("short by", 1, max(1, len(data)))
        notes.append(f"stream of {max(0, len(data) - n)} bytes")
        return compress(how, data[:-n])
    if form == 6:
        n = pick.int("long by", 1, 5000)
        notes.append(f"stream of {len(data) + n} bytes")
        return compress(how, data + content("text", 1, n))
    stream = bytearray(compress(how, data))
    if form == 7:
        n = pick.int("cut", 1, len(stream))
        notes.append(f"the last {n} bytes of the stream are missing")
        return bytes(stream[:-n])
    if form == 8:
        tail = bytes([pick.one_of("tail", (0, 0xFF, 0x41))]) * pick.int("tail length", 1, 40)
        notes.append(f"{len(tail)} bytes of {tail[0]:#x} behind the stream")
        return bytes(stream) + tail
    for _ in range(pick.int("damaged bytes", 1, 2)):
        at = pick.int("at", 0, len(stream) - 1)
        stream[at] ^= 1 << pick.int("bit", 0, 7)
        notes.append(f"byte {at} of the stream is {stream[at]:#x}")
    return bytes(stream)


def choose_streams(pick: Pick) -> StreamImage:
    """A file of one to three extents in one of the formats; blocks, lengths and streams may contradict each other."""
    how = pick.one_of("format", available())
    bits = pick.one_of("block bits", (12, 9, 10, 11))
    bs = 1 << bits
    notes = [f"{how}, blocks of {bs} bytes"]
    extents: list[Extent] = []
    count = pick.int("extents", 1, 3)
    for i in range(count):
        said: list[str] = []
        if i < count - 1:
            length = bs * pick.int("whole blocks", 1, 6) + pick.int("more", 0, 50)
        else:
            length = pick.int("length", 1, 6 * bs)
        data = content(pick.one_of("content", KINDS), pick.int("tag", 0, 3), length)
        stream = _stream(pick, how, data, said)
        inline = i == count - 1 and len(stream) <= 400 and pick.rare("inline", 4)
        blocks = -(-len(stream) // bs) or 1
        if pick.rare("wrong blocks", 12):
            blocks = max(1, blocks + pick.one_of("blocks by", (1, -1, 2)))
        e = Extent(length, stream, 1 if inline or length <= bs else blocks, pick.rare("partial", 6), inline)
        extents.append(e)
        notes.append(f"{length} bytes in {len(stream)}, "
                     f"{'inline' if inline else f'{e.blocks} blocks'}{', partial' if e.partial else ''}"
                     + "".join(f"; {s}" for s in said))
    total = sum(e.length for e in extents)
    size = total
    if pick.rare("other size", 6):
        size = max(0, total + pick.one_of("size by", (-1, 1, -100, 100, bs, -bs)))
        notes.append(f"i_size {size} instead of {total}")
    return StreamImage(stream_image(how, extents, size, blkszbits=bits), notes)


@functools.cache
def available() -> tuple[str, ...]:
    """The formats that can be written here: all of them, where Python has what it mostly has."""
    return tuple(how for how in FORMATS if _works(how))


def _works(how: str) -> bool:
    try:
        compress(how, b"x")
    except MissingLibrary:
        return False
    return True
