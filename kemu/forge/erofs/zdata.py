# SPDX-License-Identifier: GPL-2.0-only
"""Cutting a file into extents that an lcluster index can express, and encoding their pclusters.

What the kernel demands (fs/erofs/zmap.c, zdata.c, decompressor.c), and so what :func:`cut` keeps:

* at most one extent starts in an lcluster, and the first one starts at 0;
* a pcluster of several blocks says so in the NONHEAD right behind its head: the extent must span the whole next lcluster, or
  reach it before EOF, and the inode must advise big pclusters for that type;
* an extent that does not reach EOF has at least as many decoded as encoded bytes ("too much compressed data"); PLAIN never has
  more ("not enough plain data");
* LZ4 data ends where its pcluster ends; the zeros before it do not fill a block;
* a PLAIN extent that reaches EOF has blocks up to the end of the last lcluster, and is inlined only if it starts in it
  (in an inode that advises interlaced data, fsck.erofs 1.9 reads it from the wrong place: only with ``beyond_fsck``);
* PLAIN data of several blocks is not interlaced (fsck.erofs cannot read it, though the kernel can);
* a hole is where Linux 7.2 does not read the extent before it as a hole too (unless ``suspects``; kemu.forge.erofs.suspects).
"""
from __future__ import annotations

from dataclasses import dataclass

from kemu.forge.compressors import lz4_block
from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.plan import PlanError, ZPlan

PLAIN, HEAD1, HEAD2 = d.Z_EROFS_LCLUSTER_TYPE_PLAIN, d.Z_EROFS_LCLUSTER_TYPE_HEAD1, d.Z_EROFS_LCLUSTER_TYPE_HEAD2


@dataclass(slots=True)
class ZExtent:
    """One extent: ``length`` decoded bytes at ``la``, encoded in ``blocks`` blocks (0 and ``inline`` for a tail, 0 for a hole).
    """

    la: int
    length: int
    type: int
    blocks: int
    encoded: bytes
    how: str
    inline: bool = False
    hole: bool = False
    partial: bool = False
    alias: ZExtent | None = None
    pa: int = 0
    pblk: int = 0


def lz4_compress(data: bytes, high: bool = False) -> bytes:
    """One LZ4 block without a size before it."""
    packed: bytes = lz4_block.compress(data, mode="high_compression" if high else "default", store_size=False)
    return packed


def _plain(data: bytes, la: int, bs: int, blocks: int, interlaced: bool, slack: int) -> bytes:
    if interlaced and blocks == 1:
        off = la % bs
        right = min(bs - off, len(data))
        block = bytearray([slack]) * bs
        block[off:off + right] = data[:right]
        block[:len(data) - right] = data[right:]
        return bytes(block)
    return data + bytes([slack]) * (blocks * bs - len(data))


def cut(data: bytes, z: ZPlan, bs: int, slack: int = 0) -> list[ZExtent]:
    """The extents of ``data``. Raises PlanError where lclusters larger than a block leave incompressible data no place."""
    size = len(data)
    lsize = bs << z.lclusterbits
    out: list[ZExtent] = []
    la = 0
    n = 0
    limit = max(1, min(z.max_blocks, d.Z_EROFS_PCLUSTER_MAX_SIZE // bs, d.Z_EROFS_LI_D0_CBLKCNT - 1))
    while la < size:
        lcn = la // lsize
        kind = z.kinds[n % len(z.kinds)]
        length = min(z.cuts[n % len(z.cuts)] or lsize, size - la)
        next_lcluster = (lcn + 1) * lsize
        if la + length < size:
            length = max(length, min(next_lcluster, size) - la)
        ext = None
        if kind == "h":
            kind = "1"
            if (z.suspects or _hole_is_read(out, la, z, lsize)) and not any(data[la:la + length]):
                ext = ZExtent(la, length, HEAD1, 0, b"", "hole", hole=True)
        if ext is None and kind != "p":
            ext = _encoded(data, la, length, kind, z, bs, lsize, limit)
            if ext is None and length > lsize:    # try the shortest extent before giving up
                ext = _encoded(data, la, min(next_lcluster, size) - la, kind, z, bs, lsize, limit)
        if ext is None:
            ext = _raw(data, la, length, z, bs, lsize, limit, slack)
        out.append(ext)
        la += ext.length
        n += 1
    if z.tail and out:
        _inline_tail(out[-1], data, z, bs)
    return out


def _hole_is_read(before: list[ZExtent], la: int, z: ZPlan, lsize: int) -> bool:
    if la % lsize:
        return False
    return not (z.big and before and not before[-1].hole and before[-1].la // lsize == la // lsize - 1)


def _spans_next(la: int, length: int, size: int, lsize: int) -> bool:
    """True if the lcluster behind the head is a NONHEAD within the file, where CBLKCNT can be."""
    lcn = la // lsize
    end = la + length
    return (lcn + 1) * lsize < size and (end >= size or end // lsize >= lcn + 2)


def _encoded(data: bytes, la: int, length: int, kind: str, z: ZPlan, bs: int, lsize: int, limit: int) -> ZExtent | None:
    packed = lz4_compress(data[la:la + length], z.high)
    blocks = -(-len(packed) // bs)
    big = z.big & (1 if kind == "1" else 2)
    most = limit if big and _spans_next(la, length, len(data), lsize) else 1
    eof = la + length == len(data)
    if blocks > most or (not eof and length < blocks * bs):
        return None
    encoded = bytes(blocks * bs - len(packed)) + packed
    return ZExtent(la, length, HEAD1 if kind == "1" else HEAD2, blocks, encoded, "lz4")


def _raw(data: bytes, la: int, length: int, z: ZPlan, bs: int, lsize: int, limit: int, slack: int) -> ZExtent:
    size = len(data)
    lcn = la // lsize
    most = limit if z.big & 2 and not z.interlaced else 1
    # the longest extent that fits and that leaves the next one an lcluster of its own
    for want in (length, (lcn + 2) * lsize - la, (lcn + 1) * lsize + bs - la, (lcn + 1) * lsize - la, bs):
        want = min(want, size - la)
        # what the kernel computes as m_llen at EOF runs to the end of the last lcluster
        blocks = -(-(-(-size // lsize) * lsize - la if la + want == size else want) // bs)
        if (la + want) // lsize == lcn and la + want < size:
            continue
        if blocks == 1 or (blocks <= most and _spans_next(la, want, size, lsize)):
            piece = data[la:la + want]
            rotated = z.interlaced and blocks == 1
            return ZExtent(la, want, PLAIN, blocks, _plain(piece, la, bs, blocks, z.interlaced, slack),
                           "interlaced" if rotated else "shifted")
    raise PlanError(f"incompressible data at {la} does not fit lclusters of {lsize} bytes with blocks of {bs}")


def _inline_tail(ext: ZExtent, data: bytes, z: ZPlan, bs: int) -> None:
    """Turn the last extent into an inline pcluster if it is small enough."""
    lsize = bs << z.lclusterbits
    if ext.hole or (ext.type == PLAIN and (ext.la // lsize != (len(data) - 1) // lsize or (z.interlaced and not z.beyond_fsck))):
        return
    piece = data[ext.la:ext.la + ext.length]
    if ext.type == PLAIN:
        encoded = piece
    else:
        encoded = bytes(z.tail_zeros) + lz4_compress(piece, z.high)
    if len(encoded) > bs - 64:
        return
    ext.encoded, ext.blocks, ext.inline = encoded, 0, True
    ext.how = "inline-shifted" if ext.type == PLAIN else "inline-lz4"
