# SPDX-License-Identifier: GPL-2.0-only
"""cpio archives as init/initramfs.c reads them, with every header field under control.

A :class:`Member` is one header with its name and body; an initramfs is a list of :class:`Segment`: archives, plain or compressed,
zeros, junk. The writer exists for what real tools never write; for the rest see the wrappers of real cpio.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kemu.forge import tree as t
from kemu.forge.compressors import compress

NEWC, CRC, ODC = b"070701", b"070702", b"070707"
TRAILER = b"TRAILER!!!"
HEADER_LEN = 110

#: header fields after the magic, in order, eight hexadecimal digits each
FIELDS = ("ino", "mode", "uid", "gid", "nlink", "mtime", "filesize", "major", "minor", "rmajor", "rminor", "namesize", "chksum")


@dataclass(slots=True)
class Member:
    """One member. Fields that are None follow from the rest: ``namesize``, ``filesize``, ``chksum`` (0 unless the magic is CRC).

    raw        the eight bytes of a field as they stand in the header, whatever they are
    name_pad   bytes after the name instead of its NUL and padding
    data_pad   bytes after the body instead of its padding
    upper      hexadecimal digits A-F instead of a-f
    """

    name: bytes
    mode: int = 0
    data: bytes = b""
    ino: int = 0
    uid: int = 0
    gid: int = 0
    nlink: int = 1
    mtime: int = 0
    major: int = 0
    minor: int = 0
    rmajor: int = 0
    rminor: int = 0
    namesize: int | None = None
    filesize: int | None = None
    chksum: int | None = None
    magic: bytes = NEWC
    raw: dict[str, bytes] = field(default_factory=dict)
    name_pad: bytes | None = None
    data_pad: bytes | None = None
    upper: bool = False

    def checksum(self) -> int:
        """What the CRC format stores: the sum of the body's bytes."""
        return sum(self.data) & 0xFFFFFFFF

    def encode(self) -> bytes:
        """Header, name, body, each padded to 4 bytes (the member itself starts at a multiple of 4)."""
        values = {
            "namesize": len(self.name) + 1 if self.namesize is None else self.namesize,
            "filesize": len(self.data) if self.filesize is None else self.filesize,
            "chksum": (self.checksum() if self.magic == CRC else 0) if self.chksum is None else self.chksum,
        }
        digits = b"%08X" if self.upper else b"%08x"
        head = self.magic + b"".join([
            self.raw[f] if f in self.raw else digits % ((values[f] if f in values else getattr(self, f)) & 0xFFFFFFFF)
            for f in FIELDS])
        if self.name_pad is None:
            head += self.name + b"\0"
            head += bytes(-len(head) % 4)
        else:
            head += self.name + self.name_pad
        body = self.data + (bytes(-len(self.data) % 4) if self.data_pad is None else self.data_pad)
        return head + body

    def __repr__(self) -> str:
        extra = "".join(f" {k}={getattr(self, k)!r}" for k in ("namesize", "filesize", "chksum", "raw", "name_pad", "data_pad")
                        if getattr(self, k) not in (None, {}))
        name = self.name if len(self.name) <= 60 else self.name[:40] + b"..."
        return (f"Member({name!r} mode={self.mode:o} size={len(self.data)} ino={self.ino} nlink={self.nlink} uid={self.uid} "
                f"gid={self.gid} mtime={self.mtime} dev={self.major}:{self.minor} rdev={self.rmajor}:{self.rminor} "
                f"magic={self.magic.decode('latin-1')}{' upper' if self.upper else ''}{extra})")


def trailer() -> Member:
    """The member that ends an archive."""
    return Member(TRAILER)


@dataclass(slots=True)
class Segment:
    """One part of an initramfs.

    kind      "cpio" (``members``, compressed with ``method`` if given), "zeros" (``count`` NULs), "raw" (``blob``)
    damaged   what was done to the encoded bytes afterwards: (offset, new bytes) and, last, a length to cut to
    """

    kind: str = "cpio"
    members: list[Member] = field(default_factory=list)
    method: str = ""
    level: int = 6
    count: int = 0
    blob: bytes = b""
    damaged: list[tuple[int, bytes]] = field(default_factory=list)
    cut: int | None = None
    _packed: tuple[bytes, bytes] | None = None

    def encode(self) -> bytes:
        """The bytes of this segment."""
        if self.kind == "zeros":
            data = bytes(self.count)
        elif self.kind == "raw":
            data = self.blob
        else:
            data = b"".join([m.encode() for m in self.members]) + bytes(self.count)
            if self.method:
                if self._packed is None or self._packed[0] != data:
                    self._packed = (data, compress(self.method, data, self.level))
                data = self._packed[1]
        if self.damaged or self.cut is not None:
            work = bytearray(data)
            for offset, new in self.damaged:
                work[offset:offset + len(new)] = new
            data = bytes(work[:self.cut])
        return data

    def __repr__(self) -> str:
        hurt = (f" damaged {self.damaged}" if self.damaged else "") + (f" cut to {self.cut}" if self.cut is not None else "")
        if self.kind == "zeros":
            return f"zeros({self.count}){hurt}"
        if self.kind == "raw":
            return f"raw({self.blob[:16]!r}{'...' if len(self.blob) > 16 else ''}, {len(self.blob)} bytes){hurt}"
        lines = "".join(f"\n    {m!r}" for m in self.members)
        return f"cpio{' ' + self.method if self.method else ''}{f' +{self.count} zeros' if self.count else ''}{hurt}{lines}"


def encode(segments: Iterable[Segment]) -> bytes:
    """The whole initramfs."""
    return b"".join([s.encode() for s in segments])


def members_of(root: t.Dir, *, data_on: str = "first", magic: bytes = NEWC, dot: bool = True, first_ino: int = 1) -> list[Member]:
    """The members of a tree, directories before what is in them, without a trailer.

    data_on   of a file with several names, the body is with the "first", the "last" or "all" of them
    dot       begin with a member "." for the root, as ``find . | cpio`` does
    """
    nlink = t.nlinks(root)
    ino: dict[int, int] = {}
    left: dict[int, int] = {}
    out = []
    for path, node in t.walk(root):
        if path == b"/" and not dot:
            continue
        key = id(node)
        first = key not in ino
        ino.setdefault(key, first_ino + len(ino))
        left[key] = left.get(key, 1 if isinstance(node, t.Dir) else nlink[key]) - 1
        m = Member(path[1:] or b".", node.IFMT | node.mode, ino=ino[key], uid=node.uid, gid=node.gid, nlink=nlink[key],
                   mtime=node.mtime, magic=magic, major=8)
        if isinstance(node, t.Device):
            m.rmajor, m.rminor = node.major, node.minor
        elif isinstance(node, t.Symlink):
            m.data = node.target
        elif (isinstance(node, t.File) and (data_on == "all" or (first and data_on == "first")
                                            or (not left[key] and data_on == "last"))):
            m.data = node.data
        out.append(m)
    return out
