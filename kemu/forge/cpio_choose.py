# SPDX-License-Identifier: GPL-2.0-only
"""Random cpio archives, valid, odd and broken, from choices; with the tree and the message that they must lead to where that is
defined.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kemu.forge import tree as t
from kemu.forge.compressors import available, compress
from kemu.forge.content import KINDS, content
from kemu.forge.cpio import CRC, ODC, Member, Segment, encode, trailer
from kemu.forge.cpio_model import NO_ID, CpioModel, Undefined
from kemu.forge.nodes import names_for
from kemu.forge.pick import Pick

INVALID_MAGIC = "invalid magic at start of compressed archive"


@dataclass(frozen=True, slots=True)
class CpioOptions:
    """What archives may be made.

    max_segments  archives one behind the other
    max_members   of each, besides the trailer
    max_size      of a file
    methods       compressions; None: all that can be written here
    tight_end     the initramfs may end with the NUL of a name. find_link() then copies that name with strscpy(), which reads
    whole
                  words: beyond the end, where a kernel without a fixup for it (ARCH=um) panics if nothing is mapped
    """

    max_segments: int = 3
    max_members: int = 8
    max_size: int = 3000
    methods: tuple[str, ...] | None = None
    tight_end: bool = False


@dataclass(eq=False, slots=True)
class CpioArchive:
    """An initramfs and what unpacking it must give.

    truth      manifest of the tree afterwards (``kemu boot --builtin none --manifest``), None where it is not defined here
    messages   what follows ``Initramfs unpacking failed:`` ([]: nothing), None where it is not defined here
    breaks     what was broken, in words; empty for a valid archive
    """

    data: bytes
    segments: list[Segment]
    truth: list[dict[str, Any]] | None
    messages: list[str] | None
    breaks: list[str] = field(default_factory=list)
    label: str = ""

    def describe(self) -> str:
        """The archive as a table of members."""
        head = (f"cpio archive {self.label or '(built)'}: {len(self.data)} bytes"
                + "".join(f"\n  broken: {b}" for b in self.breaks))
        if self.messages:
            head += f"\n  expected: Initramfs unpacking failed: {self.messages[0]}"
        return head + "".join(f"\n  {s!r}" for s in self.segments)

    def __repr__(self) -> str:
        return self.describe()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it."""
        printer.text(self.describe())


class CpioChooser:
    """Chooses archives that have a defined effect on what ``model`` holds already."""

    def __init__(self, pick: Pick, options: CpioOptions, model: CpioModel | None = None) -> None:
        self.pick, self.options = pick, options
        self.methods = options.methods if options.methods is not None else available()
        self.model = CpioModel() if model is None else model
        self.names = names_for(pick)
        self.dirs = [b""]
        self.used: list[bytes] = []
        self.linkable: list[Member] = []
        self.ino = 0

    def segments(self) -> list[Segment]:
        """A row of archives, compressed or not, with what stands between them."""
        out: list[Segment] = []
        pos = 0
        if self.pick.rare("leading zeros", 12):
            out.append(Segment("zeros", count=4 * self.pick.int("zeros", 1, 40)))
            pos = out[0].count
        for s in self.pick.several("segment", 1, self.options.max_segments, self.segment):
            if pos and self.pick.rare("padded", 2):
                out.append(Segment("zeros", count=-pos % 512 or 512))
                pos += out[-1].count
            out.append(s)
            pos += len(s.encode())
            if s.method:           # decoders differ in how much they swallow: eight zeros, then a multiple of four
                out.append(Segment("zeros", count=8 + -pos % 4))
                pos += out[-1].count
        last = out[-1]
        if not self.options.tight_end and last.kind == "cpio" and not last.count and not last.members[-1].data:
            out.append(Segment("zeros", count=8))
        return out

    def segment(self) -> Segment:
        """One archive, which the model has then."""
        pick = self.pick
        seg = Segment()
        magic = CRC if pick.rare("crc", 5) else b"070701"
        upper = pick.rare("upper", 6)

        def member() -> None:
            m = self._member()
            m.magic, m.upper = magic, upper
            try:
                self.model.unpack([m])
            except Undefined:
                return
            seg.members.append(m)
            if m.mode & 0o170000 == t.S_IFDIR and m.name not in self.dirs:
                self.dirs.append(m.name)
            self.used.append(m.name)

        pick.several("member", 0, self.options.max_members, member)
        if not pick.rare("no trailer", 6) or not seg.members:
            seg.members.append(trailer())
            self.model.unpack([seg.members[-1]])
        if self.methods and pick.rare("compressed", 3):
            seg.method = pick.one_of("method", self.methods)
            seg.level = pick.one_of("level", (6, 1, 0))
        if pick.rare("zeros inside", 4):
            seg.count = 4 * pick.int("words", 0, 32)
        return seg

    def _name(self) -> bytes:
        pick = self.pick
        form = pick.int("name form", 0, 9)
        if form == 9 and self.used:
            return pick.one_of("again", self.used)
        if form == 8:
            return b"no/such/parent"
        parent = pick.one_of("parent", self.dirs[-4:]) if form >= 4 else b""
        name = pick.one_of("name", self.names[:6])
        path = parent + b"/" + name if parent else name
        if pick.rare("spelling", 8):
            path = pick.one_of("prefix", (b"./", b"/", b".//")) + path
        return path if len(path) < 1000 else name

    def _member(self) -> Member:
        pick = self.pick
        kind = pick.int("kind", 0, 9)
        if pick.rare("dot", 12):
            return self._attributes(Member(b".", t.S_IFDIR | 0o755, nlink=2))
        self.ino += 1
        m = Member(self._name(), ino=self.ino)
        if kind <= 3:
            m.mode = t.S_IFREG | 0o644
            size = pick.int("size", 0, self.options.max_size if pick.rare("big", 3) else 60)
            m.data = content(pick.one_of("content", KINDS), pick.int("tag", 0, 3), size)
            if pick.rare("several names", 3):
                m.nlink = 2
                self.linkable.append(m)
        elif kind <= 5:
            m.mode, m.nlink = t.S_IFDIR | 0o755, 2
            if pick.rare("body of a directory", 20):
                m.data = b"ignored"
        elif kind == 6:
            m.mode = t.S_IFLNK | 0o777
            m.data = (b"../target/" * 500)[:pick.one_of("length", (1, 7, 100, 4095, 4096, 0, 4097))]
            if pick.rare("to a name", 2):
                m.data = pick.one_of("slash", (b"", b"/")) + pick.one_of("target", self.names[:6])
        elif kind == 7:
            m.mode = pick.one_of("special", (t.S_IFCHR, t.S_IFBLK, t.S_IFIFO, t.S_IFSOCK)) | 0o600
            m.rmajor, m.rminor = pick.one_of("rdev", ((1, 3), (0, 0), (4, 64), (255, 256), (4095, 1048575)))
            if pick.rare("special link", 4):
                m.nlink = 2
                self.linkable.append(m)
        elif self.linkable:
            of = pick.one_of("link", self.linkable)
            m = Member(m.name, of.mode, b"", of.ino, nlink=pick.one_of("nlink", (2, 1, 3)), major=of.major, minor=of.minor,
                       rmajor=of.rmajor, rminor=of.rminor)
            if of.mode & 0o170000 == t.S_IFREG and pick.rare("body again", 3):
                m.data = content("text", 1, pick.int("size", 0, 100))
        else:
            m.mode = pick.one_of("odd mode", (t.S_IFREG | 0o600, 0, 0o17 << 12, t.S_IFDIR | 0o700))
        return self._attributes(m)

    def _attributes(self, m: Member) -> Member:
        pick = self.pick
        if pick.rare("attributes", 2):
            m.mode = m.mode & 0o170000 | pick.one_of("mode", (0o644, 0o755, 0o4755, 0o2711, 0o1777, 0, 0o7777))
            m.uid = pick.one_of("uid", (0, 1000, 65536, NO_ID))
            m.gid = pick.one_of("gid", (0, 100, 70000, NO_ID))
            m.mtime = pick.one_of("mtime", (0, 1_600_000_000, 1))
        return m


def choose_cpio(pick: Pick, options: CpioOptions = CpioOptions(), label: str = "") -> CpioArchive:
    """A valid archive, plain or odd: every member has a defined effect and no message appears."""
    chooser = CpioChooser(pick, options)
    segments = chooser.segments()
    model = CpioModel()
    for s in segments:
        model.unpack(s.members)
    model.finish()
    assert not model.messages
    return CpioArchive(encode(segments), segments, model.manifest(), [], label=label)


# broken archives


def _plain(segments: list[Segment]) -> list[tuple[int, int]]:
    return [(i, k) for i, s in enumerate(segments) if s.kind == "cpio" and not s.method for k in range(len(s.members))]


class _Breaker:
    """Each method breaks one thing. It returns what it did, the message to expect and whether members before it define the tree.
    """

    def __init__(self, pick: Pick, segments: list[Segment], methods: tuple[str, ...]) -> None:
        self.pick, self.segments, self.methods = pick, segments, methods
        self.stop: tuple[int, int] | None = None        # the first member that no longer counts
        self.message: str | None = None
        self.known = True

    def _victim(self) -> tuple[int, int, Member] | None:
        places = _plain(self.segments)
        if not places:
            return None
        i, k = self.pick.one_of("member", places)
        return i, k, self.segments[i].members[k]

    def _ends(self, i: int, k: int, message: str) -> None:
        if self.stop is None or (i, k) < self.stop:
            self.stop, self.message = (i, k), message

    def damaged_header(self) -> str | None:
        v = self._victim()
        if v is None:
            return None
        name = self.pick.one_of("field", ("mode", "ino", "filesize", "namesize", "mtime", "chksum", "uid"))
        v[2].raw[name] = self.pick.one_of("digits", (b"+0000001", b" 0000001", b"0x000001", b"0000000g", b"-0000001",
                                                     b"\0\0\0\0\0\0\0\0"))
        self._ends(v[0], v[1], "damaged header")
        return f"{name} of member {v[1]} of segment {v[0]} is {v[2].raw[name]!r}"

    def magic(self) -> str | None:
        v = self._victim()
        if v is None:
            return None
        v[2].magic = self.pick.one_of("magic", (b"070703", ODC, b"0x0701", b"x70701", b"07070\0"))
        starts = v[2].magic[:1] == b"0"
        odc = v[2].magic == ODC
        self._ends(v[0], v[1], INVALID_MAGIC if not starts else
                   "incorrect cpio method used: use -H newc option" if odc else "no cpio magic")
        return f"magic of member {v[1]} of segment {v[0]} is {v[2].magic!r}"

    def unterminated(self) -> str | None:
        v = self._victim()
        if v is None:
            return None
        m = v[2]
        kind = m.mode & 0o170000
        if (kind not in (t.S_IFREG, t.S_IFLNK) and m.data) or (kind == t.S_IFLNK and len(m.data) > 4096):
            return None                                     # such a member is skipped before its name is looked at
        m.name_pad = b"X" + bytes(-(len(m.name) + 3) % 4)
        self._ends(v[0], v[1], "malformed archive")
        return f"the name of member {v[1]} of segment {v[0]} has no NUL"

    def checksum(self) -> str | None:
        v = self._victim()
        if v is None or v[2].mode & 0o170000 != t.S_IFREG:
            return None
        v[2].magic, v[2].chksum = CRC, v[2].checksum() ^ 1 << self.pick.int("bit", 0, 31)
        self.known = self.known and self.stop is None      # two breaks: leave the order to the oracle
        return f"checksum of member {v[1]} of segment {v[0]} is wrong"

    def sizes(self) -> str | None:
        v = self._victim()
        if v is None:
            return None
        name = self.pick.one_of("size field", ("filesize", "namesize"))
        value = self.pick.one_of("size", (0, 1, 2, 3, 100, 4095, 4096, 4097, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE))
        setattr(v[2], name, value)
        self.known = False
        return f"{name} of member {v[1]} of segment {v[0]} is {value:#x}"

    def padding(self) -> str | None:
        i = self.pick.int("after segment", 0, len(self.segments) - 1)
        count = self.pick.int("zeros", 1, 3)
        self.segments.insert(i + 1, Segment("zeros", count=count))
        self.known = False
        return f"{count} zeros after segment {i}"

    def junk(self) -> str | None:
        i = self.pick.int("before segment", 0, len(self.segments))
        blob = self.pick.one_of("junk", (b"junk", b"0", b"07070", b"\xff" * 8, b"\x1f\x8b", b"\x02\x21\x4c\x18",
                                         b"\x28\xb5\x2f\xfd\0", b"BZh9",
                                         b"\xfd7zXZ\0", b"]\0\0", b"\x89LZO\0\r\n\x1a\n", b"070701" + b"0" * 104))
        self.segments.insert(i, Segment("raw", blob=blob))
        self.known = False
        return f"{blob!r} before segment {i}"

    def cut(self) -> str | None:
        i = self.pick.int("segment", 0, len(self.segments) - 1)
        length = len(self.segments[i].encode())
        self.segments[i].cut = self.pick.int("cut to", 0, max(0, length - 1))
        self.known = False
        return f"segment {i} cut to {self.segments[i].cut} of {length} bytes"

    def flip(self) -> str | None:
        i = self.pick.int("segment", 0, len(self.segments) - 1)
        data = self.segments[i].encode()
        if not data:
            return None
        at = self.pick.int("at", 0, len(data) - 1)
        new = data[at] ^ 1 << self.pick.int("bit", 0, 7)
        self.segments[i].damaged.append((at, bytes([new])))
        self.known = False
        return f"byte {at} of segment {i} {data[at]:#x} -> {new:#x}"

    def nested(self) -> str | None:
        i = self.pick.int("segment", 0, len(self.segments) - 1)
        method = self.pick.one_of("method", self.methods)
        self.segments[i] = Segment("raw", blob=compress(method, self.segments[i].encode()))
        self.known = False
        return f"segment {i} compressed once more ({method})"

    def empty(self) -> str | None:
        method = self.pick.one_of("method", self.methods)
        self.segments.append(Segment("raw", blob=compress(method, b"")))
        self.known = False
        return f"an empty {method} stream at the end"


BREAKS = ("damaged_header", "magic", "unterminated", "checksum", "sizes", "padding", "junk", "cut", "flip", "nested", "empty")


def break_cpio(archive: CpioArchive, pick: Pick, most: int = 2, methods: tuple[str, ...] | None = None) -> CpioArchive:
    """``archive`` with one to ``most`` things broken. ``truth`` and ``messages`` stay defined where one clean break ends the
    unpacking.
    """
    b = _Breaker(pick, archive.segments, available() if methods is None else methods)
    breaks: list[str] = []

    def one() -> None:
        kinds: list[Callable[[], str | None]] = [getattr(b, pick.one_of("break", BREAKS)), b.flip, b.junk]
        breaks.append(next(said for said in (k() for k in kinds) if said))

    one()
    for _ in range(most - 1):
        if pick.rare("another", 3):
            one()
    truth: list[dict[str, Any]] | None = None
    messages: list[str] | None = None
    if b.known and len(breaks) == 1:
        model = CpioModel()
        for i, s in enumerate(b.segments):
            if b.stop is not None and i > b.stop[0]:
                break
            model.unpack(s.members if b.stop is None or i < b.stop[0] else s.members[:b.stop[1]])
        model.finish()
        truth = model.manifest()
        messages = [b.message] if b.message else model.messages
    return CpioArchive(encode(b.segments), b.segments, truth, messages, breaks, archive.label)
