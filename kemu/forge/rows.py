# SPDX-License-Identifier: GPL-2.0-only
"""Rows of segments as a boot loader hands them over: archives, compressed ones and EROFS images, where each truly begins and
ends, the tree that they must lead to, and what is wrong with a row that must be refused.

Unlike :mod:`kemu.forge.initrd` the archives and images of a row know each other: names collide, whiteouts and opaque directories
hide what is below.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kemu.forge import tree as t
from kemu.forge.cpio import HEADER_LEN, Member, Segment, trailer
from kemu.forge.cpio_choose import CpioChooser, CpioOptions
from kemu.forge.cpio_model import Undefined
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.merge import MergedRoot
from kemu.forge.pick import Pick

EROFS_MAGIC = b"\xe2\xe1\xf5\xe0"
SUPER = 1024
#: decoders that may swallow zeros behind their data: eight of them follow
GREEDY = ("lz4", "bzip2", "lzma")
#: formats whose data is refused whenever its second half is missing, without a read beyond its end
CUTTABLE = ("gzip", "xz", "zstd", "lzma")


@dataclass(frozen=True, slots=True)
class RowOptions:
    """``most``: segments of a row; ``flaws``: one row in four is one that must be refused, or left alone; ``beyond``: also one
    that ends in gzip's
    trailer, which Linux's own unpacker counts without reading it: it goes on behind the initrd."""

    most: int = 8
    flaws: bool = True
    beyond: bool = False
    cpio: CpioOptions = CpioOptions(max_members=4, max_size=600)
    erofs: ErofsOptions = ErofsOptions(max_nodes=5, max_blocks=2, max_bytes=1 << 13, max_devices=0, overlay=True, short_root=True)
    alignments: tuple[int, ...] = (4096, 512, 4, 1)


@dataclass(eq=False, slots=True)
class RowPart:
    """One segment: ``size`` bytes at ``offset`` of the initrd; an image, or members. ``method``: "" if it is not compressed."""

    offset: int
    size: int
    image: ErofsImage | None = None
    members: list[Member] = field(default_factory=list)
    method: str = ""

    @property
    def kind(self) -> str:
        """"erofs" or "cpio"."""
        return "erofs" if self.image is not None else "cpio"

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.offset + self.size


@dataclass(eq=False, slots=True)
class Row:
    """``refused``: where the kernel must say that it does not understand what is there; None if it must not say so."""

    data: bytes
    parts: list[RowPart]
    refused: int | None = None
    flaw: str = ""

    @property
    def layered(self) -> bool:
        """Whether the row is one for the layered initrd: an image in it, and nothing wrong."""
        return self.refused is None and any(p.image is not None for p in self.parts)

    def root(self, builtin: list[Member]) -> MergedRoot:
        """The reference. Raises Undefined where an archive's effect is not defined."""
        root = MergedRoot(self.layered)
        root.archive(builtin)
        if not self.layered:
            root.archive([m for p in self.parts for m in p.members])
            return root
        for p in self.parts:
            if p.image is not None:
                root.image(p.image.root, {k: i.nlink for k, i in p.image.inodes.items()})
            else:
                root.archive(p.members)
        return root

    def describe(self) -> str:
        """Where each segment is, and what it holds."""
        lines = [f"a row of {len(self.parts)} segments, {len(self.data)} bytes" + (f": {self.flaw}" if self.flaw else "")]
        for p in self.parts:
            lines.append(f" at {p.offset} (mod 4096: {p.offset % 4096}), {p.size} bytes: {p.method or p.kind}")
            lines += ["   " + line for line in (p.image.describe().splitlines() if p.image is not None else map(repr, p.members))]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.describe()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it."""
        printer.text(self.describe())


def microcode() -> list[Member]:
    """What early microcode comes in: an archive that must be first and not compressed."""
    dirs = [Member(n, t.S_IFDIR | 0o755, nlink=2, ino=i + 1, mtime=1)
            for i, n in enumerate((b"kernel", b"kernel/x86", b"kernel/x86/microcode"))]
    return [*dirs, Member(b"kernel/x86/microcode/GenuineIntel.bin", t.S_IFREG | 0o644, bytes(range(1, 100)), ino=9, mtime=1),
            trailer()]


def choose_row(pick: Pick, options: RowOptions = RowOptions(), builtin: list[Member] | None = None) -> Row:
    """A row. ``builtin``: the kernel's own archive, below everything (its names collide too)."""
    r = _Row(pick, options)
    r.model.archive(builtin or [])
    if pick.rare("microcode", 5):
        r.archive(Segment(members=microcode()))
    left = options.most - len(r.parts)
    images = pick.int("image among", 0, min(left, 3)) if left else 0
    pick.several("segment", 1, left, lambda: r.segment(len(r.parts) == images))
    if pick.rare("zeros at the end", 4):
        r.data.extend(bytes(pick.int("zeros", 1, 5000)))
    row = Row(bytes(r.data), r.parts)
    if options.flaws and pick.rare("flawed", 4):
        _Flaws(pick, row, options.beyond).apply()
    return row


class _Row:
    def __init__(self, pick: Pick, options: RowOptions) -> None:
        self.pick, self.options = pick, options
        self.model = MergedRoot()
        self.data = bytearray()
        self.parts: list[RowPart] = []

    def segment(self, image: bool) -> None:
        """One more; an image for certain if ``image`` says so."""
        if image or not self.pick.int("kind", 0, 2):
            self.image()
        else:
            chooser = CpioChooser(self.pick, self.options.cpio, self.model)
            chooser.dirs += [p[1:] for p, n in t.walk(self.model.root) if isinstance(n, t.Dir) and p != b"/"][:4]
            self.archive(chooser.segment())

    def _pad(self, unit: int) -> None:
        if self.parts and self.pick.rare("padding", 3):
            self.data.extend(bytes(self.pick.int("padding bytes", 0, 3000)))
        self.data.extend(bytes(-len(self.data) % unit))

    def image(self) -> None:
        image = choose_image(self.pick, self.options.erofs)
        self._pad(self.pick.one_of("alignment", self.options.alignments))
        self.parts.append(RowPart(len(self.data), len(image.data), image))
        self.data.extend(image.data)
        self.model.image(image.root, {k: i.nlink for k, i in image.inodes.items()})

    def archive(self, segment: Segment) -> None:
        plain = b"".join([m.encode() for m in segment.members])
        self._pad(self.pick.one_of("alignment", (4, 1)) if segment.method else 4)
        before = self.parts[-1] if self.parts else None
        if (before is not None and before.image is None and not before.method and not segment.method
            and before.end == len(self.data)
                and before.members[-1].name != b"TRAILER!!!"):
            before.members += segment.members           # nothing ends the one before: it goes on
            before.size += len(plain)
        else:
            size = len(segment.encode()) if segment.method else len(plain)
            self.parts.append(RowPart(len(self.data), size, None, list(segment.members), segment.method))
        self.data.extend(segment.encode())
        if segment.method in GREEDY:
            self.data.extend(bytes(8))
        self.model.finish()


class _Flaws:
    """One thing that is wrong with a row, and where the kernel must say so."""

    def __init__(self, pick: Pick, row: Row, beyond: bool) -> None:
        self.pick, self.row, self.beyond = pick, row, beyond
        self.images = [p for p in row.parts if p.image is not None]
        self.plain = [p for p in row.parts if p.image is None and not p.method]

    def apply(self) -> None:
        flaw = self.pick.one_of("flaw", (self.junk, self.cut, self.superblock, self.header, self.misaligned))
        row = self.row
        before = row.data, list(row.parts)
        row.flaw = flaw() or ""
        if not row.flaw:
            row.data, row.parts, row.refused = before[0], before[1], None
        elif EROFS_MAGIC not in row.data:
            row.refused = None                          # nobody looks at it any closer

    def junk(self) -> str | None:
        row = self.row
        row.refused = len(row.data)
        junk = self.pick.one_of("junk", (b"junk", b"0", b"070701", b"070701" + b"x" * 300, b"\x1f\x8b", EROFS_MAGIC,
                                         b"\x01" * 4000, b"\xff"))
        last = row.parts[-1] if row.parts else None
        zeros = len(row.data) - (last.end if last is not None else 0)
        if junk == EROFS_MAGIC and zeros >= SUPER:
            if last is not None and last.method:        # how many of the zeros are its own, its decoder knows
                return None
            row.refused -= SUPER                        # that is where an image would have to begin
        elif (len(junk) > HEADER_LEN and last is not None and last in self.plain and not zeros
              and last.members[-1].name != b"TRAILER!!!" and junk[:1] == b"0"):
            row.refused = last.offset                   # nothing ends the archive: it goes on, with a header that is none
        row.data += junk
        return f"{junk[:8]!r} behind the last segment"

    def cut(self) -> str | None:
        row = self.row
        if not row.parts:
            return None
        part = self.pick.one_of("part", row.parts[::-1])
        n = self.pick.int("bytes that are missing", 1, part.size)
        tail = self.beyond and part.method == "gzip" and n <= 8
        if part.method and not tail and (part.method not in CUTTABLE or n < part.size // 2 + 1):
            return None
        row.parts = row.parts[:row.parts.index(part)]
        at = part.end - n
        row.data = row.data[:at]
        if part.image is not None:
            rest = row.data[part.offset:]
            if at - part.offset >= SUPER + 4:
                row.refused = part.offset
            else:
                rest = rest.lstrip(b"\0")               # what is left of the first KiB may be padding, too
                row.refused = at - len(rest) if rest else None
        elif part.method:
            row.refused = part.offset if n < part.size else None
        else:
            self._cut_archive(part, at)
        return f"cut to {at} bytes, {n} before the end of a segment at {part.offset}"

    def _cut_archive(self, part: RowPart, at: int) -> None:
        row = self.row
        pos, whole = part.offset, 0
        for m in part.members:
            size = len(m.encode())
            data = len(m.data)
            needs = size - (-data % 4) if data else size
            if pos + needs > at:
                break
            pos += size
            whole += 1
        left = at - pos
        if left <= 0:                                   # it ends between two members
            if whole:
                row.parts.append(RowPart(part.offset, min(pos, at) - part.offset, None, part.members[:whole]))
        else:
            row.refused = pos if left < HEADER_LEN else part.offset

    def superblock(self) -> str | None:
        row = self.row
        if not self.images:
            return None
        part = self.pick.one_of("image", self.images)
        assert part.image is not None
        form = self.pick.int("field", 0, 4)
        at, new = ((36, (len(row.data) - part.offset >> part.image.plan.blkszbits).to_bytes(4, "little")), (36, bytes(4)),
                   (36, b"\xff" * 4),
                   (12, bytes([self.pick.one_of("block size", (8, 17, 0, 255))])), (86, b"\1\0"))[form]
        if form == 0:
            new = (int.from_bytes(new, "little") + 1).to_bytes(4, "little")
        place = part.offset + SUPER
        data = bytearray(row.data)
        if form == 1:
            data[place + 14:place + 16] = bytes(2)
        if form == 4:
            data[place + 80] |= 8
        data[place + at:place + at + len(new)] = new
        row.data = bytes(data)
        row.refused = part.offset
        return f"the image at {part.offset} has {new.hex()} at {at} of its superblock"

    def header(self) -> str | None:
        row = self.row
        if not self.plain:
            return None
        part = self.pick.one_of("archive", self.plain)
        number = self.pick.int("member", 0, len(part.members) - 1)
        at = part.offset + sum(len(m.encode()) for m in part.members[:number])
        where = at + 6 + 8 * self.pick.int("field", 0, 12)
        bad = self.pick.one_of("digits", (b"0000000g", b"+0000001", b" 0000001", b"0x000001", bytes(8)))
        row.data = row.data[:where] + bad + row.data[where + 8:]
        row.refused = part.offset
        return f"member {number} of the archive at {part.offset} has {bad!r} in its header"

    def misaligned(self) -> str | None:
        row = self.row
        places = [p for p in self.plain if p is not row.parts[0]]
        if not places:
            return None
        part = self.pick.one_of("archive", places)
        n = self.pick.int("shift", 1, 3)
        row.data = row.data[:part.offset] + bytes(n) + row.data[part.offset:]
        row.refused = part.offset + n
        return f"the archive at {part.offset + n} begins at no multiple of 4"


__all__ = ["Row", "RowOptions", "RowPart", "Undefined", "choose_row", "microcode"]
