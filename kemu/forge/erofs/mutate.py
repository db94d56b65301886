# SPDX-License-Identifier: GPL-2.0-only
"""Damage that knows the format: a field of the superblock, an inode, a dirent, an index; bytes of compressed data; a cut.

Every mutation leaves a note that names the structure, the field and both values, so that a failure reads as a sentence. What a
kernel must answer to a damaged image is not known here: that is for an oracle, or for "all back ends agree".
"""
from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kemu.forge import tree as t
from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.image import ErofsImage, InodeTruth
from kemu.forge.erofs.writer import fix_checksum
from kemu.forge.pick import Pick

Fields = tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change. ``offset`` and ``size`` say where; ``kind`` is one of KINDS."""

    kind: str
    note: str
    offset: int
    size: int


@dataclass(eq=False, slots=True)
class CorruptImage:
    """A damaged image, the image that it was, and what was done to it. ``checksum_fixed``: the superblock's CRC is right again.
    """

    data: bytes
    base: ErofsImage
    mutations: list[Mutation]
    checksum_fixed: bool

    def describe(self) -> str:
        """The damage first, then the image."""
        lines = [f"  {m.kind}: {m.note}" for m in self.mutations]
        how = "made good" if self.checksum_fixed else "left alone"
        return (f"corrupted EROFS image, {len(self.data)} bytes, checksum {how}\n" + "\n".join(lines) + "\nof "
                + self.base.describe(12, 4))

    def __repr__(self) -> str:
        return self.describe()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it."""
        printer.text(self.describe())


class _Mutator:
    def __init__(self, image: ErofsImage, pick: Pick) -> None:
        self.image, self.pick = image, pick
        self.data = bytearray(image.data)
        self.done: list[Mutation] = []
        self.inodes = sorted(image.inodes.values(), key=lambda i: i.pos)

    # helpers

    def note(self, kind: str, note: str, offset: int, size: int) -> bool:
        self.done.append(Mutation(kind, note, offset, size))
        return True

    def other_value(self, old: int, bits: int) -> int:
        """A value for a field of ``bits`` bits: one bit flipped, a neighbour, a boundary, or anything."""
        pick, top = self.pick, (1 << bits) - 1
        form = pick.int("form", 0, 3)
        if form == 0:
            new = old ^ 1 << pick.int("bit", 0, bits - 1)
        elif form == 1:
            new = old + pick.one_of("step", (1, -1, 2, 4, 8, 16, 32, -32, 512, 4096))
        elif form == 2:
            new = pick.one_of("boundary", (0, 1, top, top - 1, top >> 1, (top >> 1) + 1, 0xFFFF & top, 12 & top))
        else:
            new = pick.int("any", 0, top)
        new &= top
        return new if new != old else old ^ 1

    def field(self, kind: str, what: str, base: int, fields: Fields, names: tuple[str, ...] = ()) -> bool:
        """Change one field of the structure at ``base``."""
        name, offset, code = self.pick.one_of("field", [f for f in fields if not names or f[0] in names])
        size = struct.calcsize("<" + code)
        if base + offset + size > len(self.data):
            return False
        raw = self.data[base + offset:base + offset + size]
        if code.endswith("s"):
            at = self.pick.int("byte", 0, size - 1)
            old, new = raw[at], self.other_value(raw[at], 8)
            self.data[base + offset + at] = new
            return self.note(kind, f"{what}: {name}[{at}] {old:#x} -> {new:#x}", base + offset + at, 1)
        old = int.from_bytes(raw, "little")
        new = self.other_value(old, size * 8)
        self.data[base + offset:base + offset + size] = new.to_bytes(size, "little")
        return self.note(kind, f"{what}: {name} {old:#x} -> {new:#x}", base + offset, size)

    def name_of(self, i: InodeTruth) -> str:
        path = next((p for p, n in t.walk(self.image.root) if n is i.node), b"?")
        text = ascii(t.manifest_path(path))
        return f"{text if len(text) < 60 else text[:50] + '...'} (nid {i.nid})"

    def some_inode(self, want: Callable[[InodeTruth], bool] = lambda i: True) -> InodeTruth | None:
        suited = [i for i in self.inodes if want(i)]
        return self.pick.one_of("inode", suited) if suited else None

    def in_dir(self, i: InodeTruth, la: int) -> int | None:
        """Image offset of byte ``la`` of an uncompressed directory."""
        for e in i.extents:
            if e.la <= la < e.la + e.length and e.pa is not None and e.how in ("plain", "inline", "chunk"):
                return e.pa + la - e.la
        return None

    # the kinds

    def super(self) -> bool:
        return self.field("super", "superblock", d.EROFS_SUPER_OFFSET, d.SUPER_FIELDS)

    def inode(self) -> bool:
        i = self.some_inode()
        assert i is not None
        fields = d.INODE_EXTENDED_FIELDS if i.extended else d.INODE_COMPACT_FIELDS
        return self.field("inode", f"inode of {self.name_of(i)}", i.pos, fields)

    def dirent(self) -> bool:
        i = self.some_inode(lambda i: bool(i.dir_blocks) and i.layout not in ("full", "compact"))
        if i is None or not i.dir_blocks:
            return False
        block = self.pick.int("block", 0, len(i.dir_blocks) - 1)
        names = i.dir_blocks[block]
        number = self.pick.int("dirent", 0, len(names) - 1)
        la = block * self.image.block_size
        base = self.in_dir(i, la)
        if base is None:
            return False
        what = f"dirent {ascii(names[number].decode('latin-1'))} in {self.name_of(i)}"
        if self.pick.int("part", 0, 2) < 2:
            return self.field("dirent", what, base + 12 * number, d.DIRENT_FIELDS)
        at = base + 12 * len(names) + sum(map(len, names[:number])) + self.pick.int("at", 0, len(names[number]) - 1)
        if at >= len(self.data):
            return False
        old, new = self.data[at], self.pick.one_of("char", (0, 0x2F, 0x2E, 0xFF, 0x41))
        self.data[at] = new if new != old else old ^ 1
        return self.note("dirent", f"{what}: name byte {old:#x} -> {self.data[at]:#x}", at, 1)

    def index(self) -> bool:
        i = self.some_inode(lambda i: i.index_pos is not None)
        if i is None or i.index_pos is None:
            return False
        p = self.image.plan.inodes.get(id(i.node))
        if i.layout == "chunk":
            unit = 8 if p and p.chunk_indexes else 4
            number = self.pick.int("chunk", 0, max(0, len(i.extents) - 1))
            fields: Fields = d.CHUNK_INDEX_FIELDS if unit == 8 else (("blkaddr", 0, "I"),)
            return self.field("index", f"chunk {number} of {self.name_of(i)}", i.index_pos + unit * number, fields)
        header = -(-(i.pos + (64 if i.extended else 32) + i.xattr_isize) // 8) * 8
        if self.pick.rare("header", 3):
            return self.field("index", f"map header of {self.name_of(i)}", header, d.MAP_HEADER_FIELDS)
        end = i.pos + i.body - sum(e.plen for e in i.extents if e.how.startswith("inline"))
        if i.layout == "full":
            number = self.pick.int("lcluster", 0, max(0, (end - i.index_pos) // 8 - 1))
            return self.field("index", f"lcluster {number} of {self.name_of(i)}", i.index_pos + 8 * number,
                              d.LCLUSTER_INDEX_FIELDS)
        if i.layout == "extents" and p and p.z:
            size = p.z.recsz
            number = self.pick.int("record", 0, max(0, (end - i.index_pos) // size - 1))
            first = i.index_pos + (8 if size == 4 else 0)
            return self.field("index", f"extent record {number} of {self.name_of(i)}", first + size * number,
                              d.EXTENT_FIELDS[:max(1, min(size // 4, 5))])
        word = self.pick.int("word", 0, max(0, (end - i.index_pos) // 4 - 1))
        return self.field("index", f"compact index of {self.name_of(i)}", i.index_pos + 4 * word, ((f"word {word}", 0, "I"),))

    def payload(self) -> bool:
        """Bytes of file data, encoded or not."""
        i = self.some_inode(lambda i: any(e.plen for e in i.extents))
        if i is None:
            return False
        e = self.pick.one_of("extent", [e for e in i.extents if e.plen])
        assert e.pa is not None
        lead = len(self.data[e.pa:e.pa + e.plen]) - len(self.data[e.pa:e.pa + e.plen].lstrip(b"\0"))
        at = self.pick.int("at", 0, e.plen - 1)
        if self.pick.rare("start", 3):            # the first byte of the stream: a token
            at = min(lead, e.plen - 1)
        if e.pa + at >= len(self.data):
            return False
        old = self.data[e.pa + at]
        new = self.data[e.pa + at] = self.other_value(old, 8)
        return self.note("payload",
                         f"{e.how} extent at {e.la:#x} of {self.name_of(i)}: byte {at} of {e.plen} {old:#x} -> {new:#x}",
                         e.pa + at, 1)

    def xattr(self) -> bool:
        i = self.some_inode(lambda i: i.xattr_isize > 0)
        if i is None:
            return False
        base = i.pos + (64 if i.extended else 32)
        at = self.pick.one_of("at", (4, 12, 13, 14, 16, 0))
        size = 2 if at == 14 else 1
        if base + at + size > len(self.data) or at + size > i.xattr_isize:
            return False
        old = int.from_bytes(self.data[base + at:base + at + size], "little")
        new = self.other_value(old, 8 * size)
        self.data[base + at:base + at + size] = new.to_bytes(size, "little")
        part = {4: "h_shared_count", 12: "first word", 13: "first word", 14: "first word", 16: "second word",
                0: "h_name_filter"}[at]
        return self.note("xattr", f"xattr body of {self.name_of(i)}: {part} (byte {at}) {old:#x} -> {new:#x}", base + at, size)

    def blocks(self) -> bool:
        """One block written over another."""
        bs, count = self.image.block_size, len(self.data) // self.image.block_size
        if count < 2:
            return False
        src, dst = self.pick.int("from", 0, count - 1), self.pick.int("to", 0, count - 1)
        if src == dst:
            dst = (src + 1) % count
        self.data[dst * bs:(dst + 1) * bs] = self.data[src * bs:(src + 1) * bs]
        return self.note("blocks", f"block {dst} overwritten with block {src}", dst * bs, bs)

    def bytes(self) -> bool:
        """Anything anywhere."""
        at = self.pick.int("at", 0, len(self.data) - 1)
        old = self.data[at]
        new = self.data[at] = self.other_value(old, 8)
        return self.note("bytes", f"byte {at:#x} {old:#x} -> {new:#x}", at, 1)

    def truncate(self) -> bool:
        """The image ends early."""
        length = len(self.data)
        form = self.pick.int("cut form", 0, 2)
        bs = self.image.block_size
        if form == 0:
            new = length - self.pick.int("bytes", 1, min(bs, length))
        elif form == 1:
            new = self.pick.int("block", 0, (length - 1) // bs) * bs
        else:
            new = self.pick.int("length", 0, length - 1)
        del self.data[new:]
        return self.note("truncate", f"{length} bytes cut to {new}", new, length - new)


#: kinds of damage, the plainest first
KINDS = ("super", "inode", "dirent", "index", "payload", "xattr", "blocks", "bytes", "truncate")


def mutate(image: ErofsImage, pick: Pick, most: int = 3, kinds: tuple[str, ...] = KINDS) -> CorruptImage:
    """``image`` with one to ``most`` mutations. The checksum is made good again, except once in four times and where it is the
    damage.
    """
    m = _Mutator(image, pick)

    def one() -> None:
        if not m.data:
            return
        kind = pick.one_of("mutation", kinds)
        if not any(getattr(m, k)() for k in (kind, "inode", "payload")):       # no such structure, or cut off
            m.bytes()

    pick.several("mutations", 1, most, one)
    keep = pick.rare("bad checksum", 4) or any("checksum" in x.note for x in m.done)
    fixed = image.plan.checksum and not keep and len(m.data) >= d.EROFS_SUPER_OFFSET + d.SUPER_SIZE
    if fixed:
        fix_checksum(m.data)
    return CorruptImage(bytes(m.data), image, m.done, fixed)
