# SPDX-License-Identifier: GPL-2.0-only
"""The cpio writer, its model of the kernel's unpacker, and the archives that are made of both."""
from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections import Counter

import pytest

from kemu.forge import tree as t
from kemu.forge.compressors import available, compress
from kemu.forge.content import content
from kemu.forge.cpio import CRC, Member, Segment, encode, members_of, trailer
from kemu.forge.cpio_choose import BREAKS, CpioOptions, break_cpio, choose_cpio
from kemu.forge.cpio_model import CpioModel, Undefined
from kemu.forge.pick import Pick, SeedValues
from tests.conftest import SHARED
from tests.unit.forge.cpio_reader import NotPlain, read_members

INDEX = SHARED / "corpus" / "cpio" / "index.jsonl"


def unpacked(*members: Member) -> dict[str, dict]:
    model = CpioModel()
    model.unpack(list(members))
    model.finish()
    return {e["path"]: e for e in model.manifest()}


def reg(name: bytes, data: bytes = b"", **fields) -> Member:
    return Member(name, t.S_IFREG | 0o644, data, **fields)


def folder(name: bytes, **fields) -> Member:
    return Member(name, t.S_IFDIR | 0o755, nlink=2, **fields)


def test_a_header_byte_for_byte():
    m = Member(b"ab", 0o100644, b"hello", ino=1, uid=2, gid=3, nlink=4, mtime=5, major=6, minor=7, rmajor=8, rminor=9)
    assert m.encode() == (b"070701" b"00000001" b"000081a4" b"00000002" b"00000003" b"00000004" b"00000005" b"00000005"
                          b"00000006"
                          b"00000007" b"00000008" b"00000009" b"00000003" b"00000000" b"ab\0\0\0\0" b"hello\0\0\0")


def test_every_field_can_be_wrong():
    m = Member(b"a", raw={"uid": b"+0000001"}, namesize=77, filesize=88, chksum=99, magic=b"x", name_pad=b"!", data_pad=b"?",
               data=b"d")
    raw = m.encode()
    assert raw.startswith(b"x") and b"+0000001" in raw and b"0000004d" in raw and b"00000058" in raw and raw.endswith(b"a!d?")


def test_what_is_written_reads_back():
    for seed in range(200):
        archive = choose_cpio(Pick(SeedValues(seed)), CpioOptions(methods=()))
        members = [m for s in archive.segments for m in s.members]
        got = read_members(archive.data)
        assert [(m.name, m.mode, m.data, m.ino, m.nlink, m.uid, m.mtime) for m in got] == \
               [(m.name, m.mode, m.data, m.ino, m.nlink, m.uid & 0xFFFFFFFF, m.mtime) for m in members]


@pytest.mark.parametrize("data_on", ["first", "last", "all"])
def test_a_tree_becomes_itself(data_on):
    f = t.File(data=b"contents", mtime=7)
    root = t.Dir(entries={b"d": t.Dir(mode=0o700, entries={b"f": f, b"g": f}), b"h": f, b"l": t.Symlink(target=b"d/f"),
                          b"null": t.Device(major=1, minor=3), b"p": t.Fifo()})
    model = CpioModel()
    model.unpack([*members_of(root, data_on=data_on), trailer()])
    model.finish()
    got = {e["path"]: e for e in model.manifest()}
    assert {p: got[p]["sha256"] for p in ("/d/f", "/d/g", "/h")} == dict.fromkeys(("/d/f", "/d/g", "/h"), got["/h"]["sha256"])
    assert got["/h"]["size"] == 8 and got["/h"]["nlink"] == 3 and got["/null"]["rdev"] == [1, 3] and got["/l"]["target"] == "d/f"


def test_model_members_over_members():
    assert unpacked(folder(b"a"), reg(b"a", b"x"))["/a"]["type"] == "file"
    assert unpacked(folder(b"a"), reg(b"a/f"), reg(b"a", b"x"))["/a"]["type"] == "dir"            # not empty: EISDIR
    assert unpacked(reg(b"a", b"long"), reg(b"a", b"s"))["/a"]["size"] == 1
    assert "/no/f" not in unpacked(reg(b"no/f", b"x"))
    assert unpacked(folder(b"a", mtime=1), folder(b"a", mtime=2))["/a"]["mtime"] == [1, 0]       # the list is walked backwards


def test_model_links():
    two = [reg(b"a", b"data", ino=5, nlink=2), reg(b"b", b"", ino=5, nlink=2)]
    assert unpacked(*two)["/b"]["nlink"] == 2
    assert unpacked(two[0], trailer(), two[1])["/b"]["nlink"] == 1
    with pytest.raises(Undefined, match="hard link to a fifo"):
        unpacked(two[0], Member(b"a", t.S_IFIFO | 0o600), two[1])


def test_model_through_a_symlink():
    link = Member(b"l", t.S_IFLNK | 0o777, b"d")
    assert "/d/f" in unpacked(folder(b"d"), link, reg(b"l/f"))


def test_model_stops_at_a_bad_checksum():
    model = CpioModel()
    model.unpack([reg(b"a", b"x", magic=CRC, chksum=5), reg(b"b")])
    assert model.messages == ["bad data checksum"]
    assert [e["path"] for e in model.manifest()] == ["/", "/a"]


@pytest.mark.skipif(not INDEX.exists(), reason="no corpus of real archives beside this checkout")
def test_model_agrees_with_linux():
    agreed = 0
    for case in map(json.loads, INDEX.read_text().splitlines()):
        if not case["manifest"] or case["name"] == "h-namepath4095":       # deeper than what made the list could walk
            continue
        try:
            members = read_members((INDEX.parent / case["name"]).read_bytes())
            model = CpioModel()
            model.unpack(members)
            model.finish()
        except (NotPlain, Undefined):
            continue
        want = [json.loads(line) for line in (INDEX.parent / (case["name"] + ".jsonl")).read_text().splitlines()]
        got = model.manifest()
        for w, g in zip(want, got):
            if w["mtime"] is None and g["mtime"] and g["mtime"][0] > 1_790_000_000:      # later than the boot: left out there
                g["mtime"] = None
        assert got == want, case["name"]
        agreed += 1
    assert agreed > 70


@pytest.mark.parametrize("method", available())
def test_compressed_parts_unpack(method):
    data = content("mixed", 1, 20000)
    packed = compress(method, data)
    if method == "gzip":
        assert gzip.decompress(packed) == data
    elif method == "bzip2":
        assert bz2.decompress(packed) == data
    elif method in ("xz", "lzma"):
        assert lzma.decompress(packed) == data
    elif method == "zstd":
        import zstandard
        assert zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read() == data
    else:
        import lz4.block
        assert packed[:4] == b"\x02\x21\x4c\x18"
        size = int.from_bytes(packed[4:8], "little")
        assert lz4.block.decompress(packed[8:8 + size], uncompressed_size=8 << 20) == data and len(packed) == 8 + size


def test_archives_are_rich():
    seen: Counter[str] = Counter()
    for seed in range(600):
        archive = choose_cpio(Pick(SeedValues(seed)))
        for s in archive.segments:
            seen[s.kind] += 1
            seen[s.method] += 1
            for m in s.members:
                seen[m.magic.decode()] += 1
                seen[f"{m.mode >> 12:o}"] += 1
                seen["upper"] += m.upper
            seen["no trailer"] += s.kind == "cpio" and s.members[-1].name != b"TRAILER!!!"
        seen["hard link"] += any((e["nlink"] or 0) > 1 and e["type"] == "file" for e in archive.truth)
        assert archive.messages == [] and archive.data == encode(archive.segments)
    wanted = ["cpio", "zeros", "070701", "070702", "upper", "no trailer", "hard link", "10", "4", "12", "2", "6", "1", "14",
              *available()]
    assert [w for w in wanted if not seen[w]] == []


def test_breaks():
    seen: Counter[str] = Counter()
    for seed in range(900):
        pick = Pick(SeedValues(seed))
        archive = choose_cpio(pick)
        before = archive.data
        broken = break_cpio(archive, pick)
        assert broken.breaks
        assert broken.data != before or "byte" in broken.breaks[0] or "size" in broken.breaks[0], broken
        assert (broken.truth is None) == (broken.messages is None)
        for m in broken.messages or []:
            seen[m] += 1
    assert {"damaged header", "no cpio magic", "malformed archive", "bad data checksum",
            "incorrect cpio method used: use -H newc option", "invalid magic at start of compressed archive"} <= set(seen)
    assert len(BREAKS) == 11


def test_repr_shows_members():
    archive = choose_cpio(Pick(SeedValues(4)))
    assert "Member(" in repr(archive) and f"{len(archive.data)} bytes" in repr(archive)
    assert "zeros(3)" in repr(Segment("zeros", count=3))
