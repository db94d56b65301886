# SPDX-License-Identifier: GPL-2.0-only
"""The compressed half of an inode: its extents, its index, and which of its pclusters must lie together."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs import zindex
from kemu.forge.erofs.plan import ImagePlan, PlanError, ZPlan
from kemu.forge.erofs.zdata import ZExtent, cut


class PartialPool:
    """The LZ4 pclusters written so far that another file may refer to, by what they start with."""

    def __init__(self) -> None:
        self.known: dict[bytes, list[tuple[bytes, ZExtent]]] = {}

    def offer(self, ext: ZExtent, piece: bytes) -> None:
        """Let later files use ``ext``."""
        self.known.setdefault(piece[:16], []).append((piece, ext))

    def find(self, piece: bytes, blocks_ok: Callable[[int], bool]) -> tuple[ZExtent, bool] | None:
        """A pcluster whose decoded data starts with ``piece``, and whether it holds more than that."""
        for whole, ext in self.known.get(piece[:16], ()):
            if len(whole) >= len(piece) and whole.startswith(piece) and blocks_ok(ext.blocks):
                return ext, len(whole) > len(piece)
        return None


@dataclass(slots=True)
class Piece:
    """Consecutive blocks of pclusters: each with its byte offset; ``data`` is None while it is not known. ``key``: see Run."""

    places: list[tuple[ZExtent, int]]
    blocks: int
    data: bytes | None
    key: tuple[str, int]


class ZBody:
    """Extents and index of one inode. ``start``: bytes of inode and xattrs before the map header."""

    def __init__(self, size: int, data: bytes | None, z: ZPlan, full: bool, start: int, image: ImagePlan, slack: int,
                 pool: PartialPool) -> None:
        self.size, self.full, self.image, self.slack, self.pool = size, full, image, slack, pool
        self.bs = 1 << image.blkszbits
        self.directory = data is None
        self.z = self._possible(z, data is None)
        self.extents = self._first_cut(data)
        self.lbits = image.blkszbits + self.z.lclusterbits
        self.clusters = zindex.lclusters(self.extents, size, self.lbits, self.z.big, self.z.eof_head)
        self.header_off = -(-start // 8) * 8
        self.index_off = self.header_off + (16 if full else 8)
        self.packs = zindex.pack_map(self.index_off, size, image.blkszbits, len(self.clusters), self.z.compact_2b)
        self.fixed = self.index_off + (8 * len(self.clusters) if full else self.packs.size())

    def _possible(self, z: ZPlan, directory: bool) -> ZPlan:
        """``z`` without what this index, block size or kind of inode cannot have."""
        bits = self.image.blkszbits
        if directory:            # contents come after placement: one block an lcluster, whatever it will hold
            z = ZPlan(kinds=z.kinds.replace("h", "1"), compact_2b=z.compact_2b)
        if self.full:
            return replace(z, lclusterbits=min(z.lclusterbits, 16 - bits))
        if bits > 14:
            raise PlanError("compact indexes need blocks of at most 16384 bytes")
        two = z.compact_2b and bits <= 12
        return replace(z, lclusterbits=min(z.lclusterbits, (12 if two else 14) - bits), compact_2b=two,
                       kinds=z.kinds.replace("h", "1"), big=3 if z.big else 0)

    def _first_cut(self, data: bytes | None) -> list[ZExtent]:
        if data is None:
            return [ZExtent(la, min(self.bs, self.size - la), 0, 1, b"", "shifted") for la in range(0, self.size, self.bs)]
        try:
            extents = cut(data, self.z, self.bs, self.slack)
        except PlanError:
            self.z = replace(self.z, lclusterbits=0)
            extents = cut(data, self.z, self.bs, self.slack)
        if self.full and self.image.dedupe:
            self._partial_refs(data, extents)
        return extents

    def _partial_refs(self, data: bytes, extents: list[ZExtent]) -> None:
        """Use pclusters of earlier files for extents that are equal to, or the start of, what those hold."""
        lsize = self.bs << self.z.lclusterbits
        for e in extents:
            if e.hole or e.inline:
                continue
            piece = data[e.la:e.la + e.length]
            lcn = e.la // lsize
            nonhead = (lcn + 1) * lsize < self.size and (e.la + e.length >= self.size or (e.la + e.length) // lsize >= lcn + 2)

            def blocks_ok(n: int, nonhead: bool = nonhead) -> bool:
                return n == 1 or bool(nonhead and self.z.big & 1)

            found = self.pool.find(piece, blocks_ok)
            if found:
                e.alias, e.partial = found
                e.type, e.blocks, e.how = d.Z_EROFS_LCLUSTER_TYPE_HEAD1, e.alias.blocks, "lz4"
                e.encoded = b""
            elif e.how == "lz4":
                self.pool.offer(e, piece)

    @property
    def tail(self) -> bytes:
        """The inline pcluster, b"" without one."""
        last = self.extents[-1]
        return last.encoded if last.inline else b""

    def pieces(self, scatter: bool) -> list[Piece]:
        """Which pclusters must be consecutive on disk: those of one compact pack; all of them unless ``scatter``."""
        if self.full:
            groups = [[e] for e in self.extents if e.blocks and not e.alias]
        else:
            groups = zindex.pack_groups(self.packs, self.clusters)
        if not scatter:
            groups = [[e for g in groups for e in g]]
        out = []
        for group in groups:
            blocks = 0
            places = []
            for e in group:
                places.append((e, blocks * self.bs))
                blocks += e.blocks
            data = None if self.directory else b"".join([e.encoded for e in group])
            key = (f"{group[0].how} {group[0].blocks * self.bs}", blocks) if len(group) == 1 else ("together", id(group))
            if blocks:
                out.append(Piece(places, blocks, data, key))
        return out

    def set_data(self, data: bytes) -> bytes:
        """The contents, now that they are known (directories). Returns the blocks."""
        for e, new in zip(self.extents, cut(data, self.z, self.bs), strict=True):
            e.type, e.encoded, e.how = new.type, new.encoded, new.how
        return b"".join(e.encoded for e in self.extents)

    def encode(self, start: int) -> bytes:
        """Everything behind the first ``start`` bytes of the body; the extents have their block addresses."""
        z = self.z
        advise = (d.Z_EROFS_ADVISE_BIG_PCLUSTER_1 if z.big & 1 else 0) | (d.Z_EROFS_ADVISE_BIG_PCLUSTER_2 if z.big & 2 else 0)
        if self.tail:
            advise |= d.Z_EROFS_ADVISE_INLINE_PCLUSTER
        if z.interlaced:
            advise |= d.Z_EROFS_ADVISE_INTERLACED_PCLUSTER
        if not self.full and z.compact_2b:
            advise |= d.Z_EROFS_ADVISE_COMPACTED_2B
        out = bytes(self.header_off - start) + d.map_header(len(self.tail), advise, 0, z.lclusterbits)
        if self.full:
            out += bytes(8) + zindex.encode_full(self.clusters, z.big, z.short_deltas and not z.big)
        else:
            out += zindex.encode_compact(self.packs, self.clusters, self.lbits, bool(z.big))
        return out + self.tail
