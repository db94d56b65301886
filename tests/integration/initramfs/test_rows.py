# SPDX-License-Identifier: GPL-2.0-only
"""Rows of segments: where they are cut, the root that they lead to, and the reference that says so.

KEMU_SPLIT_EXAMPLES: rows that are cut (400); KEMU_MERGE_EXAMPLES: rows that are booted and compared whole (60);
KEMU_MERGE_ALIGNMENTS: places in a page at which one row is booted (16).
"""
from __future__ import annotations

import os
from typing import Any

import pytest

from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import SeedSource
from kemu.forge import tree as t
from kemu.forge.compressors import compress
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.erofs.writer import build
from kemu.forge.merge import MergedRoot
from kemu.forge.pick import Pick, SeedValues
from kemu.forge.rows import Row, RowPart, choose_row
from kemu.machine.machine import Machine
from kemu.machine.splat import Splat

from initramfs.harness import experiments_layered as _experiments  # noqa: F401
from initramfs.harness.observed import CONSOLE, PROGRAM, boot, expected_pages
from initramfs.segments import split


def examples(name: str, number: int) -> int:
    return int(os.environ.get(name, number))


@pytest.mark.parametrize(("experiment", "variable", "number"),
                         [("layered.offsets", "KEMU_SPLIT_EXAMPLES", 400), ("layered.merge", "KEMU_MERGE_EXAMPLES", 60)])
def test_rows(experiment: str, variable: str, number: int) -> None:
    seen: set[str] = set()
    for seed in range(examples(variable, number)):
        out = execute(registry[experiment], SeedSource(0x5EED0000 + seed))
        assert out.finding is None, (f"{out.finding.title}\nkemu replay {out.finding.token}\n"
                                     + "\n".join([*out.finding.report[:20], *out.finding.input]))
        seen |= out.behaviour
    assert {"erofs", "cpio", "gzip"} <= seen and ("refused" in seen or "cut" in seen)


def test_a_row_is_cut_the_same_at_every_place_in_a_page() -> None:
    row = next(r for r in (choose_row(Pick(SeedValues(s))) for s in range(200)) if r.layered and len(r.parts) >= 5
               and any(p.method for p in r.parts))
    want = [(p.kind, p.offset) for p in row.parts]
    for at in range(4096):
        with Machine(memory=32 << 20) as m:
            region = m.place(row.data, at, "linear", "initrd", True)
            got = split(region.addr, region.addr + region.size)
            assert not isinstance(got, int) and [(s.kind, s.start - region.addr) for s in got] == want, at


def test_a_row_boots_the_same_at_every_place_in_a_page() -> None:
    parts = [[member("d", 0o040755, nlink=2), member("d/c", data=b"c" * 5000)],
             image({b"d": t.Dir(entries={b"e": t.File(data=b"e" * 9000)})}), image({b"f": t.Fifo()}),
             [member("d/e", 0o100600, b"new")]]
    row = row_of(*parts)
    images = [(p.offset, p.end) for p in row.parts if p.image is not None]
    truth = [e for e in row.root([*CONSOLE, PROGRAM]).manifest() if e["path"] != "/kemu-init"]
    for at in range(0, 4096, 4096 // examples("KEMU_MERGE_ALIGNMENTS", 16)):
        seen = boot("layered", row.data, builtin=CONSOLE, at=at)
        assert (MergedRoot().seen(seen.tree) == truth and seen.freed == expected_pages(images, len(row.data), at)
                and not seen.twice and not seen.left), at


def test_a_gzip_trailer_that_is_cut() -> None:
    """Linux counts it without looking; the layered initrd does not believe what lies beyond the end."""
    data = compress("gzip", encode([Segment(members=[member("f", data=b"1" * 500), trailer()])]))
    for missing in (1, 8):
        with pytest.raises(Splat, match="KASAN: out-of-bounds in unpack_to_rootfs"):
            boot("upstream", data[:-missing], builtin=CONSOLE)
        with Machine(memory=32 << 20) as m:
            region = m.place(image({}).data + data[:-missing], 0, "linear", "initrd", True)
            assert split(region.addr, region.addr + region.size) == -22


# ------------------------------------------------------------------------- the reference, by hand

def member(name: str, mode: int = 0o100644, data: bytes = b"", **kw: Any) -> Member:
    return Member(name.encode(), mode, data, **kw)


def image(entries: dict[bytes, t.Node], **root: Any) -> Any:
    return build(t.Dir(entries=entries, **root), ImagePlan())


def row_of(*parts: Any) -> Row:
    """Images and lists of members, one behind the other."""
    data, out = b"", []
    for p in parts:
        data += bytes(-len(data) % 4)
        raw = encode([Segment(members=[*p, trailer()])]) if isinstance(p, list) else p.data
        out.append(RowPart(len(data), len(raw), None if isinstance(p, list) else p,
                           [*p, trailer()] if isinstance(p, list) else []))
        data += raw
    return Row(data, out)


def both(*parts: Any) -> dict[str, dict[str, Any]]:
    """What the reference says of a row, which is what a boot says of it."""
    row = row_of(*parts)
    reference: MergedRoot = row.root([*CONSOLE, PROGRAM])
    seen = boot("layered", row.data, builtin=CONSOLE, at=7)
    truth = {e["path"]: e for e in reference.manifest() if e["path"] != "/kemu-init"}
    assert {e["path"]: e for e in reference.seen(seen.tree)} == truth
    return truth


def test_whiteouts_and_opaque_directories() -> None:
    white, opaque = t.Device(major=0, minor=0), {b"trusted.overlay.opaque": b"y"}
    low = image({b"gone": t.File(data=b"1"), b"d": t.Dir(entries={b"a": t.File(data=b"a"), b"b": t.File(data=b"b")}),
                 b"o": t.Dir(entries={b"x": t.File(data=b"x")}),
                 b"again": t.Dir(entries={b"old": t.File(data=b"old")})})
    high = image({b"gone": white, b"never": white, b"d": t.Dir(mode=0o711, entries={b"a": white, b"c": t.File(data=b"c")}),
                  b"o": t.Dir(xattrs=opaque, entries={b"y": t.File(data=b"y")}), b"again": white})
    tree = both(low, high, [member("again", 0o040700, nlink=2), member("never", data=b"now")])
    assert ({p for p in tree if p.startswith(("/d", "/o", "/gone", "/again", "/never"))} - {"/dev", "/dev/console"}
            == {"/d", "/d/b", "/d/c", "/o", "/o/y", "/again", "/never"})
    assert tree["/d"]["mode"] == 0o711 and tree["/again"]["mode"] == 0o700 and tree["/o"]["xattrs"] == {}


def test_names_of_one_file_part_when_one_of_them_changes() -> None:
    f = t.File(data=b"one", mtime=5)
    tree = both(image({b"a": f, b"b": f}), [member("a", data=b"two", mtime=9)])
    assert tree["/a"]["size"] == tree["/b"]["size"] == 3 and tree["/a"]["sha256"] != tree["/b"]["sha256"]
    assert (tree["/a"]["nlink"] == 1 and tree["/b"]["nlink"] == 2 and tree["/b"]["mtime"] == [5, 0]
            and tree["/a"]["mtime"] == [9, 0])


def test_what_a_change_of_owner_or_mode_takes_along() -> None:
    acl = bytes.fromhex("02000000" "01000700ffffffff" "02000500e8030000" "04000500ffffffff" "10000500ffffffff" "20000500ffffffff")
    f = t.File(data=b"1", mode=0o755, xattrs={b"security.capability": bytes.fromhex("0100000200000000000000000000000000000000"),
                                              b"user.x": b"y",
                                              b"system.posix_acl_access": acl})
    tree = both(image({b"f": f, b"g": f}), [member("f", 0o100640, b"2")])
    assert set(tree["/f"]["xattrs"]) == {"user.x", "system.posix_acl_access"} and len(tree["/g"]["xattrs"]) == 3
    assert tree["/f"]["xattrs"]["system.posix_acl_access"].endswith("04000500ffffffff" "10000400ffffffff" "20000000ffffffff")


def test_the_root_directory() -> None:
    tree = both(image({}, mode=0o701, uid=3, xattrs={b"user.a": b"1", b"trusted.overlay.opaque": b"y"}),
                image({}, mode=0o710, xattrs={b"user.b": b"2"}))
    assert (tree["/"]["mode"] == 0o710 and tree["/"]["uid"] == 0 and tree["/"]["xattrs"] == {"user.b": b"2".hex()}
            and "/dev/console" in tree)
    tree = both(image({}, xattrs={b"user.a": b"1"}), [member(".", 0o040705, nlink=2)])
    assert tree["/"]["mode"] == 0o705 and tree["/"]["xattrs"] == {"user.a": b"1".hex()}


def test_what_covers_what() -> None:
    tree = both([member("x", 0o040755, nlink=2), member("x/in", data=b"1"), member("null", 0o020666, rmajor=1, rminor=3),
                 member("hole", 0o020600)],
                image({b"x": t.File(data=b"file"), b"null": t.Symlink(target=b"x")}),
                image({b"x": t.Dir(entries={b"new": t.Fifo()})}),
                [member("null", 0o020600, rmajor=1, rminor=5)])
    assert tree["/x"]["type"] == "dir" and "/x/in" not in tree and tree["/x/new"]["type"] == "fifo"
    assert tree["/null"]["rdev"] == [1, 5] and "/hole" not in tree         # a device 0:0 is a whiteout


def test_links_and_times_end_with_their_archive() -> None:
    first = [member("d", 0o040755, nlink=2, mtime=3), member("d/a", data=b"", ino=7, nlink=2),
             member("d/b", data=b"both", ino=7, nlink=2)]
    tree = both(first, image({b"d": t.Dir(mtime=8, entries={b"c": t.File(data=b"c")})}))
    assert tree["/d/a"]["nlink"] == 2 and tree["/d/a"]["sha256"] == tree["/d/b"]["sha256"] and tree["/d"]["mtime"] == [8, 0]
    tree = both(first, [member("d/e", data=b"", ino=7, nlink=2)], image({}))
    assert tree["/d/e"]["nlink"] == 1 and tree["/d"]["mtime"] is None       # it got a name after its time was set


def test_pages_of_an_owner() -> None:
    assert expected_pages([(5000, 9000)], 20000, 0) == "FrrF"
    assert expected_pages([(5000, 9000)], 20000, 4095) == "FrrF"
    assert expected_pages([(0, 1)], 4096, 1) == ""
