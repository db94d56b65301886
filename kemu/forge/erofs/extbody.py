# SPDX-License-Identifier: GPL-2.0-only
"""Compressed inodes with extent records (``struct z_erofs_extent``) instead of lclusters, as mkfs.erofs makes them with 48-bit
layouts.

Records of 16 or 32 bytes say where an extent starts, in bytes; records of 4 or 8 bytes belong to fixed lclusters, and with 4
bytes the pclusters follow each other. Physical addresses and lengths are in bytes too. What the kernel demands
(z_erofs_map_blocks_ext()):

* every extent is decoded whole, so its length is exact, except where Z_EROFS_EXTENT_PLEN_PARTIAL is set;
* PLAIN data whose address and length are multiples of the block is interlaced if the inode advises it;
* a length of 0 is a hole.
"""
from __future__ import annotations

import struct
from dataclasses import replace

from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.plan import ImagePlan, ZPlan
from kemu.forge.erofs.zbody import Piece
from kemu.forge.erofs.zdata import HEAD1, PLAIN, ZExtent, lz4_compress

PARTIAL = 1 << 27
FMT_BIT = 28
_MAX = d.Z_EROFS_PCLUSTER_MAX_SIZE


def rotate(data: bytes, la: int, plen: int, bs: int, slack: int) -> bytes:
    """``data`` as z_erofs_transform_plain() expects interlaced data in ``plen`` bytes: what belongs before the first block
    boundary last.
    """
    first = min(bs - la % bs, len(data))
    out = bytearray([slack]) * plen
    at = plen - (bs - la % bs)
    out[:len(data) - first] = data[first:]
    out[at:at + first] = data[:first]
    return bytes(out)


class ExtBody:
    """Extents and records of one inode. The same interface as :class:`~kemu.forge.erofs.zbody.ZBody`."""

    tail = b""

    def __init__(self, size: int, data: bytes, z: ZPlan, start: int, image: ImagePlan, slack: int) -> None:
        self.size, self.image, self.slack = size, image, slack
        self.bs = 1 << image.blkszbits
        self.fixed_lclusters = z.recsz <= 8
        lcb = min(z.lclusterbits, 15)
        if self.fixed_lclusters:
            while self.bs << lcb > _MAX:
                lcb -= 1
        interlaced = z.interlaced and not z.packed and (z.suspects or not self.fixed_lclusters or lcb == 0)
        self.z = replace(z, lclusterbits=lcb, interlaced=interlaced, tail=False, big=0)
        self.lbits = image.blkszbits + lcb
        self.extents = self._cut(data)
        self.header_off = -(-start // 8) * 8
        self.index_off = -(-(self.header_off + 8) // z.recsz) * z.recsz
        self.fixed = self.index_off + (8 if z.recsz == 4 else 0) + z.recsz * len(self.extents)

    def _cut(self, data: bytes) -> list[ZExtent]:
        z, bs, size = self.z, self.bs, self.size
        out: list[ZExtent] = []
        la = 0
        while la < size:
            n = len(out)
            length = 1 << self.lbits if self.fixed_lclusters else z.cuts[n % len(z.cuts)] or bs
            length = min(length, size - la, _MAX)
            kind = z.kinds[n % len(z.kinds)]
            ext = None
            if kind == "h" and not any(data[la:la + length]):
                ext = ZExtent(la, length, HEAD1, 0, b"", "hole", hole=True)
            elif kind != "p":
                packed = lz4_compress(data[la:la + length], z.high)
                pad = 0 if z.exact or z.packed else -len(packed) % bs
                plen = len(packed) + pad
                if plen <= _MAX and (la + length == size or length >= plen):
                    ext = ZExtent(la, length, HEAD1, 0, bytes(pad) + packed, "lz4")
            if ext is None:
                ext = self._plain(data, la, length)
            ext.blocks = -(-len(ext.encoded) // bs)
            out.append(ext)
            la += ext.length
        return out

    def _plain(self, data: bytes, la: int, length: int) -> ZExtent:
        z, bs = self.z, self.bs
        if z.interlaced and not z.suspects:
            length = min(length, bs)
        piece = data[la:la + length]
        plen = length if z.exact or z.packed else -(-length // bs) * bs
        if z.interlaced and plen % bs == 0:
            return ZExtent(la, length, PLAIN, 0, rotate(piece, la, plen, bs, self.slack), "interlaced")
        return ZExtent(la, length, PLAIN, 0, piece + bytes([self.slack]) * (plen - length), "shifted")

    def pieces(self, scatter: bool) -> list[Piece]:
        """What must be consecutive: everything for 4-byte records or where pclusters share blocks; else each on its own if
        ``scatter``.
        """
        z, bs = self.z, self.bs
        stored = [e for e in self.extents if e.encoded]
        together = not scatter or z.recsz == 4 or z.packed
        out: list[Piece] = []
        for group in ([stored] if together else [[e] for e in stored]):
            data = bytearray()
            places = []
            for e in group:
                if not z.packed and z.recsz != 4:
                    data += bytes(-len(data) % bs)
                places.append((e, len(data)))
                data += e.encoded
            if group:
                key = ((f"{group[0].how} {len(group[0].encoded)}", -(-len(data) // bs)) if len(group) == 1
                       else ("together", id(group)))
                out.append(Piece(places, -(-len(data) // bs), bytes(data), key))
        return out

    def encode(self, start: int) -> bytes:
        """Everything behind the first ``start`` bytes of the body; the extents have their addresses."""
        z = self.z
        advise = 1 | (z.recsz // 4).bit_length() - 1 << 1 | (d.Z_EROFS_ADVISE_INTERLACED_PCLUSTER if z.interlaced else 0)
        if self.fixed_lclusters:
            header = d.map_header(0, advise, 0, z.lclusterbits)
        else:
            header = struct.pack("<IHH", len(self.extents), advise, 0)
        out = bytearray(bytes(self.header_off - start) + header)
        out += bytes(self.index_off - self.header_off - 8)
        if z.recsz == 4:
            first = next((e.pa for e in self.extents if e.encoded), 0)
            out += struct.pack("<Q", first)
        for e in self.extents:
            plen = len(e.encoded)
            if plen:
                plen |= (0 if e.type == PLAIN else d.Z_EROFS_COMPRESSION_LZ4 + 1) << FMT_BIT | (PARTIAL if e.partial else 0)
            out += struct.pack("<IIIII12x", plen, e.pa & 0xFFFFFFFF, e.pa >> 32, e.la & 0xFFFFFFFF, e.la >> 32)[:z.recsz]
        return bytes(out)
