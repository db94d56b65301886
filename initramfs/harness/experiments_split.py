# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of the cut of an initrd into segments (initramfs/segments.py): where the true offsets are known, whatever lies
between the segments and whatever is damaged.

Only the initrd's memory may be read, to the byte. Nothing is booted, so that many rows can be tried.
"""
from __future__ import annotations

import functools
import struct
from contextlib import suppress
from dataclasses import dataclass

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge import tree
from kemu.forge.compressors import available, compress
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.cpio_choose import CpioOptions, choose_cpio
from kemu.forge.cpio_model import Undefined
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick
from kemu.linux.errno import EINVAL, ENOENT

from initramfs.segments import split

__role__ = "harness"
SUPER = 1024
MAGIC = b"\xe2\xe1\xf5\xe0"
IMAGE = ErofsOptions(max_nodes=3, max_blocks=2, max_bytes=1 << 14)
ARCHIVE = CpioOptions(max_segments=1, max_members=3, max_size=200, methods=())
MIB = 1 << 20
INCOMPAT_DEVICE_TABLE, INCOMPAT_48BIT = 8, 0x80


@dataclass
class Part:
    """One segment, where it lies, and whether it must be refused."""

    kind: str
    start: int
    data: bytes
    refused: bool = False
    whole: bool = False             # one archive with a trailer

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.start + len(self.data)


class Row:
    """The parts of an initrd and the bytes between them."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.data = bytearray()

    def pad(self, n: int) -> None:
        """Add ``n`` zeros."""
        self.data += bytes(n)

    def add(self, kind: str, data: bytes, refused: bool = False, whole: bool = False) -> None:
        """Add a part and remember what it is."""
        self.parts.append(Part(kind, len(self.data), data, refused, whole))
        self.data += data

    def describe(self, at: int) -> str:
        """What it is made of, in one line."""
        parts = ", ".join(f"{p.kind} [{p.start}, {p.end})" for p in self.parts)
        return f"{len(self.data)} bytes at offset {at} of a page: {parts}"


# ------------------------------------------------------------------------- parts

@functools.lru_cache(maxsize=64)
def _plain(mark: str, blkszbits: int = 12) -> bytes:
    return bytes(build(tree.Dir(entries={mark.encode(): tree.File(data=mark.encode() * 50)}),
                       ImagePlan(blkszbits=blkszbits)).data)


def _image(pick: Pick, mark: str) -> tuple[bytes, bool]:
    """An image, and whether it needs other devices. Its first KiB may hold something: a boot sector, a byte, text up to the
    superblock.
    """
    devices = False
    if pick.rare("any image", 4):
        image = choose_image(pick, IMAGE)
        data, devices = bytearray(image.data), bool(image.plan.devices)
    else:
        data = bytearray(_plain(mark, pick.one_of("block bits", (12, 9, 10, 11))))
    head = pick.int("head", 0, 3)
    if head == 1:
        data[:3], data[510:512] = b"\xeb\x3c\x90", b"\x55\xaa"
    elif head == 2:
        data[pick.int("where", 0, SUPER - 1)] = pick.one_of("byte", (1, 0xEB, 0x30, 0xFF))
    elif head == 3:
        n = pick.int("bytes", 1, SUPER)
        data[SUPER - n:SUPER] = bytes(i % 251 + 1 for i in range(n))
    return bytes(data), devices


def _archive(pick: Pick, mark: str) -> tuple[bytes, bool]:
    """An archive, and whether it is one that ends with a trailer; one of its files may look like something else."""
    if pick.rare("any archive", 4):
        with suppress(Undefined):                   # nobody can say what it unpacks to
            return choose_cpio(pick, ARCHIVE).data, False
    members = [Member(mark.encode(), 0o100644, mark.encode() * pick.int("size", 0, 50))]
    if pick.rare("an image inside", 3):
        # the magic may be where the archive's own would be
        lead = SUPER - 112 if pick.rare("at the begin", 2) else 0
        members.insert(0, Member(b"i", 0o100644, bytes(lead) + _plain("inside")[SUPER if lead else 0:]))
    if pick.rare("nearly a trailer", 4):
        members.insert(0, Member(pick.one_of("name", (b"TRAILER!!!x", b"TRAILER!!", b"TRAILER!!!/", b"xTRAILER!!!")), 0o100644,
                                 b"x"))
    whole = not pick.rare("no trailer", 4)
    if whole:
        members.append(trailer())
    return encode([Segment(members=members)]), whole


def _part(pick: Pick, row: Row, kind: str) -> None:
    mark = f"p{len(row.parts)}"
    if row.parts and pick.rare("padding", 2):
        row.pad(pick.one_of("zeros", (1, 4, 511, 512, 1020, 1023, 1024, 1025, 4096)))
    if kind == "e":
        if not any(p.kind == "e" for p in row.parts) and pick.rare("magic across a MiB", 12):
            row.pad(MIB - SUPER - pick.int("bytes before", 1, 3) - len(row.data))
        else:
            row.pad(-len(row.data) % pick.one_of("alignment", (4, 1, 512, 4096)))
        data, devices = _image(pick, mark)
        row.add("e", data, devices)
    elif kind == "z":
        method = pick.one_of("method", available())
        row.pad(-len(row.data) % 4)
        row.add("z", compress(method, _archive(pick, mark)[0]))
        row.pad(8 if method == "lz4" else 0)        # it has no end mark
    else:
        row.pad(-len(row.data) % 4)
        data, whole = _archive(pick, mark)
        row.add("c", data, whole=whole)


def _row(pick: Pick, most: int = 5) -> Row:
    row = Row()
    for kind in [pick.one_of("kind", ("e", "c", "z")) for _ in range(pick.int("segments", 1, most))]:
        pick.group(lambda: _part(pick, row, kind))  # noqa: B023 - called at once
    if pick.rare("zeros behind", 3):
        row.pad(pick.int("bytes behind", 1, 2000))
    return row


# ------------------------------------------------------------------------- the judge

def _cut(run: Run, row: Row, at: int) -> tuple[list[tuple[str, int, int]] | int, list[str]]:
    """What split() says, and its messages."""
    with run.machine() as m:
        region = m.place(bytes(row.data), at, "linear", "initrd")
        found = split(region.addr, region.addr + region.size)
        log = [text for _, _, text in m.log.entries if text.startswith("initrd: ")]
        return found if isinstance(found, int) else [(s.kind, s.start - region.addr, s.end - region.addr) for s in found], log


def _judge(run: Run, row: Row, got: list[tuple[str, int, int]] | int, log: list[str]) -> None:
    bad = next((p for p in row.parts if p.refused), None)
    if not any(p.kind == "e" for p in row.parts):
        if not isinstance(got, int) or (got != -ENOENT and MAGIC not in row.data):
            run.fail(f"no image is in it, and the answer is {got}", *log, cause="no image")
        return
    if bad is not None:
        if got != -EINVAL:
            run.fail(f"segment at {bad.start} must be refused, and the answer is {got}", *log, cause="not refused",
                     severity="critical")
        if not log or f"offset {bad.start}:" not in log[-1]:
            run.fail(f"segment at {bad.start} is what is wrong, and the log says: {log[-1:]}", cause="refused elsewhere")
        return
    if isinstance(got, int):
        run.fail(f"nothing is wrong, and the answer is {got}", *log, cause="refused", severity="high")
        return
    want = [(p.start, p.end) for p in row.parts if p.kind == "e"]
    have = [(a, b) for kind, a, b in got if kind == "erofs"]
    if have != want:
        missed = [w for w in want if w not in have]
        run.fail(f"images at {have}, put at {want}", cause="an image is lost" if missed else "an image that is none",
                 severity="critical")
    at = 0
    for kind, a, b in [*got, ("end", len(row.data), len(row.data))]:
        if a < at or b < a:
            run.fail(f"segments overlap or end before they begin: {got}", cause="overlap", severity="critical")
        if row.data[at:a].strip(b"\0"):
            run.fail(f"bytes between {at} and {a} belong to no segment: {got}", cause="bytes lost", severity="critical")
        if kind == "cpio" and not any(p.start <= a < p.end for p in row.parts if p.kind != "e"):
            run.fail(f"an archive is said to be at [{a}, {b})", cause="archive", severity="high")
        at = b
    for p in row.parts:
        begun = [a for kind, a, _ in got if kind == "cpio" and p.start <= a < p.end]
        if p.whole and len(begun) > 1:
            run.fail(f"the archive at {p.start} is cut in {len(begun)}: {got}", cause="archive cut")


@experiment("layered.splits", series="layered", weight=0.5)
def splits(run: Run) -> None:
    """Archives and images in a row are cut where they were put together, whatever lies between them and in their first KiB."""
    row = _row(run.pick)
    at = run.pick.int("at", 0, 4095)
    run.show(row.describe(at))
    got, log = _cut(run, row, at)
    run.saw(str(got) if isinstance(got, int) else " ".join(k for k, *_ in got), *(e.partition(": ")[2] for e in log))
    _judge(run, row, got, log)


# ------------------------------------------------------------------------- damage

def _blocks(lo: int, union: int, bits48: bool, rootnid_8b: int) -> int:
    """Blocks of the primary device: the 16 bits beside the extension slots are their upper half only where the root has its 64
    bits elsewhere.
    """
    return lo + (union << 32) if bits48 and rootnid_8b else lo


def _room(blkszbits: int, blocks: int, devices: int, room: int) -> bool:
    """Whether a superblock with these fields is one to mount from ``room`` bytes of memory."""
    return 9 <= blkszbits <= 16 and 0 < blocks and blocks * 2 ** blkszbits <= room and not devices


@experiment("layered.splits-damaged", series="layered", weight=0.5)
def splits_damaged(run: Run) -> None:
    """A superblock of any size, a member or a stream that does not end, bytes that are nothing: refused, and by that segment's
    offset.
    """
    pick = run.pick
    row = Row()
    if pick.int("before", 0, 1):
        _part(pick, row, pick.one_of("kind", ("c", "z")))
    image = _plain("p", pick.one_of("block bits", (12, 9)))
    how = pick.one_of("damage", ("size", "junk", "member", "stream", "cut"))
    if how == "size":
        data = bytearray(image)
        bits = pick.one_of("blkszbits", (12, 9, 16, 8, 0, 17, 20, 30, 31, 32, 63, 64, 76, 255))
        lo = pick.one_of("blocks", (1, 0, 2, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
        hi = pick.one_of("blocks_hi", (0, 1, 0x10, 0x8000, 0xFFFF))
        bits48 = bool(pick.int("48 bit", 0, 1))
        root8 = pick.one_of("rootnid_8b", (0, 36, 1 << 40))
        devices = pick.one_of("devices", (0, 1))
        incompat = struct.unpack_from("<I", data, SUPER + 80)[0]
        incompat = (incompat & ~(INCOMPAT_48BIT | INCOMPAT_DEVICE_TABLE) | (INCOMPAT_48BIT if bits48 else 0)
                    | (INCOMPAT_DEVICE_TABLE if devices else 0))
        data[SUPER + 12] = bits
        struct.pack_into("<H", data, SUPER + 14, hi)
        struct.pack_into("<I", data, SUPER + 36, lo)
        struct.pack_into("<I", data, SUPER + 80, incompat)
        struct.pack_into("<H", data, SUPER + 86, devices)
        struct.pack_into("<Q", data, SUPER + 112, root8)
        row.pad(-len(row.data) % 4)
        blocks = _blocks(lo, hi, bits48, root8)
        good = _room(bits, blocks, devices, len(data))
        used = blocks << bits if good else len(data)
        row.add("e", bytes(data[:used]), not good)
        if used < len(data):                        # what the image does not need is not its own
            if data[used:].strip(b"\0"):
                row.parts.append(Part("rest", used + next(i for i, b in enumerate(data[used:]) if b) + row.parts[-1].start, b"",
                                      True))
            row.data += data[used:]
    elif how == "cut":
        row.pad(-len(row.data) % 4)
        data = bytearray(image[:len(image) - pick.int("bytes cut", 1, len(image) - SUPER)])
        row.add("e" if len(data) >= SUPER + 4 else "rest", bytes(data), True)
    else:
        row.add("e", image)
        row.pad(-len(row.data) % 4)
        if how == "junk":
            row.pad(4 * pick.int("words of padding", 0, 64))
            superblock = pick.rare("a superblock alone", 2)         # nothing is 1 KiB before it
            row.add("junk", image[SUPER:SUPER + 128] if superblock
                    else bytes(pick.int("junk", 1, 255) for _ in range(pick.int("bytes", 1, 8))), True)
            row.pad(pick.one_of("zeros", (0, 1 << 16)) if superblock else 0)
        elif how == "member":
            member = Member(b"f", 0o100644, b"data", filesize=pick.one_of("filesize",
                                                                          (1 << 20, 1 << 16, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0,
                                                                           200)))
            row.add("c", encode([Segment(members=[member])]), True)
        else:
            method = pick.one_of("method", [m for m in ("gzip", "bzip2", "xz") if m in available()])
            whole = bytearray(compress(method, _archive(pick, "z")[0]))
            del whole[-pick.int("last bytes", 1, 8) if pick.int("nearly whole", 0, 1)
                      else pick.int("left", 12, max(12, len(whole) // 2)):]
            row.add("z", bytes(whole), True)
    at = pick.int("at", 0, 4095)
    run.show(how, row.describe(at))
    got, log = _cut(run, row, at)
    run.saw(how, *(e.partition(": ")[2] for e in log))
    _judge(run, row, got, log)


__all__ = ["Part", "Row"]
