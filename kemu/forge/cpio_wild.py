# SPDX-License-Identifier: GPL-2.0-only
"""Archives that no model follows: members of any kind over each other, and damage to the bytes of whole archives.

:func:`choose_wild` makes archives whose members are legal one by one and contradict each other (links over devices, names that
end in slashes, types that change); :func:`damage` hurts the bytes of any initramfs. What they must become only an oracle can say.
"""
from __future__ import annotations

import re
from collections.abc import Callable

from kemu.forge import tree as t
from kemu.forge.compressors import available, compress
from kemu.forge.content import content
from kemu.forge.cpio import CRC, FIELDS, HEADER_LEN, NEWC, Member, Segment, encode, trailer
from kemu.forge.cpio_choose import CpioArchive
from kemu.forge.pick import Pick

NAMES = (b"a", b"b", b"d", b"d/e", b"d/f", b"l", b"l/x", b"d/../b", b"a/", b"d/", b"d/.", b"..", b".", b"/", b"", b"d//e", b"./a",
         b"d/e/g",
         b"TRAILER!!!", b"n" * 255, b"n" * 256, b"d/" * 2046 + b"abc", b"\xff\xfe", b"a\0b", b"a/x")
TYPES = (t.S_IFREG, t.S_IFDIR, t.S_IFLNK, t.S_IFCHR, t.S_IFBLK, t.S_IFIFO, t.S_IFSOCK, 0, 0o170000)
TARGETS = (b"a", b"d", b"/d", b"..", b"l", b"", b"no", b"d/e", b"/", b"x" * 4095, b"x" * 4096, b"a\0b")
SIZES = (0, 1, 2, 3, 4, 5, 110, 4095, 4096, 4097, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFF00)
_MAGIC = re.compile(rb"07070[12]")


class _Wild:
    def __init__(self, pick: Pick, devices: bool) -> None:
        self.pick = pick
        self.types = TYPES if devices else tuple(x for x in TYPES if x not in (t.S_IFCHR, t.S_IFBLK, t.S_IFIFO))

    def member(self) -> Member:
        pick = self.pick
        ifmt = pick.one_of("type", self.types)
        m = Member(pick.one_of("name", NAMES if pick.rare("odd name", 3) else NAMES[:6]),
                   ifmt | pick.one_of("mode", (0o644, 0o755, 0, 0o7777, 0o2755)))
        m.ino, m.nlink = pick.int("ino", 0, 2), pick.one_of("nlink", (1, 2, 2, 0, 3))
        if ifmt == t.S_IFLNK:
            m.data = pick.one_of("target", TARGETS)
        elif ifmt == t.S_IFREG or pick.rare("body", 6):
            m.data = content("text", pick.int("tag", 0, 3), pick.one_of("size", (0, 5, 100, 4096, 5000)))
        if ifmt in (t.S_IFCHR, t.S_IFBLK):
            m.rmajor, m.rminor = pick.one_of("rdev", ((1, 3), (0, 0), (240, 1), (4095, 1048575), (4096, 1 << 20)))
        if pick.rare("attributes", 3):
            m.uid, m.gid = pick.one_of("uid", (1000, 0xFFFFFFFF)), pick.one_of("gid", (100, 0xFFFFFFFF))
            m.mtime = pick.one_of("mtime", (1, 1_600_000_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
        if pick.rare("crc", 6):
            m.magic = CRC
            if pick.rare("wrong", 4):
                m.chksum = m.checksum() ^ 1
        if pick.rare("odd field", 12):
            name = pick.one_of("field", FIELDS)
            m.raw[name] = (b"%08X" % pick.one_of("value", SIZES) if pick.rare("number", 2)
                           else b"0000000%c" % pick.one_of("digit", b"gG @`/:\0"))
        if pick.rare("no nul", 20):
            m.name_pad = b"x" * (-(HEADER_LEN + len(m.name)) % 4 or 4)
        return m

    def segment(self) -> Segment:
        pick = self.pick
        s = Segment(members=pick.several("member", 1, 9, self.member))
        if not pick.rare("no trailer", 4):
            s.members.append(trailer())
        if pick.rare("compressed", 4):
            s.method = pick.one_of("method", available())
        if pick.rare("zeros", 3):
            s.count = pick.one_of("count", (4, 1, 2, 512, 4096))
        return s


def choose_wild(pick: Pick, *, devices: bool = True, label: str = "") -> CpioArchive:
    """An archive without a ground truth. ``devices``: device nodes and FIFOs among the members."""
    segments = pick.several("segment", 1, 3, _Wild(pick, devices).segment)
    return CpioArchive(encode(segments), segments, None, None, ["members over each other"], label)


# damage to bytes

def _headers(data: bytes) -> list[int]:
    return [m.start() for m in _MAGIC.finditer(data) if m.start() + HEADER_LEN <= len(data)]


def _number(data: bytearray, pick: Pick) -> str:
    found = _headers(bytes(data))
    if not found:
        return _flip(data, pick)
    at = pick.one_of("header", found)
    i = pick.int("field", 0, len(FIELDS) - 1)
    value = pick.one_of("value", SIZES) if pick.rare("edge", 2) else pick.int("number", 0, 300)
    data[at + 6 + 8 * i:at + 14 + 8 * i] = b"%08x" % value
    return f"{FIELDS[i]} of the header at {at} is {value:#x}"


def _digit(data: bytearray, pick: Pick) -> str:
    found = _headers(bytes(data))
    if not found:
        return _flip(data, pick)
    at = pick.one_of("header", found) + pick.int("digit", 0, HEADER_LEN - 1)
    data[at] = pick.one_of("byte", b"0fFgG \0+-x8")
    return f"byte {at} of a header is {data[at]:#x}"


def _type(data: bytearray, pick: Pick) -> str:
    found = _headers(bytes(data))
    if not found:
        return _flip(data, pick)
    at = pick.one_of("header", found)
    mode = pick.one_of("type", TYPES) | 0o644
    data[at + 14:at + 22] = b"%08x" % mode
    return f"mode of the header at {at} is {mode:o}"


def _flip(data: bytearray, pick: Pick) -> str:
    at = pick.int("at", 0, len(data) - 1)
    data[at] ^= 1 << pick.int("bit", 0, 7)
    return f"byte {at} is {data[at]:#x}"


def _cut(data: bytearray, pick: Pick) -> str:
    del data[pick.int("length", 0, len(data) - 1):]
    return f"cut to {len(data)} bytes"


def _remove(data: bytearray, pick: Pick) -> str:
    at = pick.int("at", 0, len(data) - 1)
    n = pick.one_of("bytes", (1, 2, 3, 4, 110, 512)) if pick.rare("odd", 2) else pick.int("n", 1, 40)
    del data[at:at + n]
    return f"{n} bytes at {at} removed"


def _insert(data: bytearray, pick: Pick) -> str:
    at = pick.int("at", 0, len(data))
    what = pick.one_of("what", (b"\0", b"\0" * 4, b"\0" * 512, b"0", b"x", b"070701", b"\x1f\x8b", trailer().encode(),
                                b"\xfd7zXZ\0", b"BZh"))
    data[at:at] = what
    return f"{what[:12]!r} ({len(what)} bytes) at {at}"


def _repeat(data: bytearray, pick: Pick) -> str:
    at = pick.int("from", 0, len(data) - 1)
    part = data[at:at + pick.int("n", 1, 400)]
    to = pick.int("to", 0, len(data))
    data[to:to] = part
    return f"{len(part)} bytes at {at} once more at {to}"


def _zeros(data: bytearray, pick: Pick) -> str:
    at = pick.int("at", 0, len(data) - 1)
    n = min(pick.int("n", 1, 64), len(data) - at)
    data[at:at + n] = bytes(n)
    return f"{n} zeros at {at}"


def _pack(data: bytearray, pick: Pick) -> str:
    """What is compressed need not be whole members: from the middle of one on, or a piece out of it."""
    at = pick.int("at", 0, len(data))
    if pick.rare("at a header", 2):
        at = pick.one_of("header", _headers(bytes(data)) or [at])
    end = len(data) if not pick.rare("a piece", 3) else pick.int("end", at, len(data))
    method = pick.one_of("method", available())
    data[at:end] = compress(method, bytes(data[at:end]), pick.one_of("level", (6, 0)))
    return f"bytes {at} to {end} compressed ({method})"


DAMAGE: tuple[Callable[[bytearray, Pick], str], ...] = (_number, _digit, _type, _flip, _cut, _remove, _insert, _repeat, _zeros,
                                                        _pack)


def damage(archive: CpioArchive, pick: Pick, most: int = 3,
           kinds: tuple[Callable[[bytearray, Pick], str], ...] = DAMAGE) -> CpioArchive:
    """``archive`` with its bytes hurt once to ``most`` times."""
    data = bytearray(archive.data)
    breaks: list[str] = []

    def one() -> None:
        if data:
            breaks.append(pick.one_of("damage", kinds)(data, pick))

    pick.several("damage", 1, most, one)
    return CpioArchive(bytes(data), archive.segments, None, None, [*archive.breaks, *breaks], archive.label)


__all__ = ["DAMAGE", "NEWC", "choose_wild", "damage"]
