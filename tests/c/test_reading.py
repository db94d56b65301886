# SPDX-License-Identifier: GPL-2.0-only
"""All files of a tree read in one call: as many bytes, and the same errors, as a walk that takes a manifest."""
from __future__ import annotations

import hashlib

import pytest

from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.writer import build
from kemu.report.manifest import Entry
from kemu.rung.c.kernel import Instance, Kernel, MountRefused
from kemu.rung.c.reading import Reading, read_tree
from kemu.rung.entries import errno_name
from tests.conftest import DATA

ALONE = ["deep-plain", "dup-zstd-fragded", "none-lz4", "tiny-b512", "tiny-compact", "tiny-lz4hc-allfrag", "tiny-lzma-allfrag",
         "tiny-plain", "tiny-zstd-allfrag", "xattr-m4k", "xattr-prefix"]
LZ4 = (DATA / "small-lz4.erofs").read_bytes()
LINES = b"".join(b"%07d a line\n" % n for n in range(1_000_000))


def walked(k: Instance) -> list[Entry]:
    """What a walk that reads all files shows."""
    return k.walk(b"/")[0].entries()


@pytest.mark.parametrize("name", ALONE)
def test_a_reading_reads_what_a_walk_shows(kernel: Kernel, name: str) -> None:
    with kernel.mounted(DATA / "erofs" / f"{name}.erofs") as k:
        entries = walked(k)
        files = [e for e in entries if e["type"] == "file"]
        assert read_tree(k) == Reading(len(files), sum(e["size"] for e in files), len(entries) - 1)


def test_parts_are_disjoint_and_whole(kernel: Kernel) -> None:
    with kernel.mounted(LZ4) as k:
        whole = read_tree(k)
        for of in (2, 3, whole.files + 1):
            parts = [read_tree(k, part=part, of=of) for part in range(of)]
            assert sum(r.files for r in parts) == whole.files and sum(r.bytes for r in parts) == whole.bytes
            assert max(r.files for r in parts) - min(r.files for r in parts) <= 1
            assert {r.names for r in parts} == {whole.names}
        with pytest.raises(ValueError, match="part 2 of 2"):
            read_tree(k, part=2, of=2)


def test_a_part_of_a_tree_and_a_part_of_its_names(kernel: Kernel) -> None:
    tree = t.Dir(entries={b"a": t.Dir(entries={b"one": t.File(data=b"1" * 5000), b"two": t.Symlink(target=b"one"),
                                               b"pipe": t.Fifo()}),
                          b"b": t.File(data=b"22")})
    with kernel.mounted(bytes(build(tree, ImagePlan()).data)) as k:
        assert read_tree(k) == Reading(2, 5002, 5)
        assert read_tree(k, "/a") == Reading(1, 5000, 3)
        assert read_tree(k, most=1).names == 1
        assert read_tree(k, "/none").failed == [("/", 2)]


def test_what_cannot_be_read_is_named(kernel: Kernel) -> None:
    """Damaged data, damaged inodes: what fails is what fails in a walk, and everything else is read."""
    seen = 0
    for at in range(4096, len(LZ4), len(LZ4) // 40):
        image = bytearray(LZ4)
        image[at:at + 64] = b"\xff" * min(64, len(LZ4) - at)
        try:
            with kernel.mounted(bytes(image)) as k:
                entries = walked(k)
            with kernel.mounted(bytes(image)) as k:
                r = read_tree(k)
        except MountRefused:
            continue
        failed = {path: errno_name(error) for path, error in r.failed}
        kinds = {e["path"]: e["type"] for e in entries}
        wrong = {e["path"]: e["error"] for e in entries if e["error"] and e["type"] in ("file", "dir")}
        assert {path: error for path, error in failed.items() if kinds[path]} == wrong, at
        assert {path for path in failed if not kinds[path]} <= {e["path"] for e in entries if e["error"]}, at
        seen += len(r.failed)
    assert seen


def test_memory_stays_small_and_what_is_read_twice_is_read_again(kernel: Kernel) -> None:
    node, plan = t.File(data=LINES), ImagePlan()
    plan.inodes = {id(node): InodePlan(data="full", extended=True, z=ZPlan(cuts=(1 << 17,), big=1, max_blocks=16))}
    with kernel.mounted(bytes(build(t.Dir(entries={b"large": node}), plan).data)) as k:
        before = k.counters()
        assert read_tree(k) == Reading(1, len(LINES), 1)
        after = k.counters()
        assert (after["pages"] - before["pages"]) << 12 <= 6 << 20 < len(LINES)
        assert after["bio_bytes"] > before["bio_bytes"]
        assert hashlib.sha256(b"".join(p for p in k.contents("/large") if isinstance(p, bytes))).digest() == \
            hashlib.sha256(LINES).digest()
        assert read_tree(k).bytes == len(LINES)
        assert k.counters()["bio_bytes"] - after["bio_bytes"] > after["bio_bytes"] - before["bio_bytes"], "read, not remembered"


def test_large_xattrs_are_shown_whole(kernel: Kernel) -> None:
    """Lists and values for which a page is too small, and those for which it is just enough."""
    xattrs = {b"user." + b"n%03d" % n + b"x" * 200: b"v" for n in range(40)}
    xattrs |= {b"user.long%d" % n: bytes(n) for n in (4095, 4096, 4097, 20_000)}
    tree = t.Dir(entries={b"many": t.File(data=b"1", xattrs=xattrs), b"few": t.File(xattrs={b"user.a": b"b"}),
                          b"none": t.File()})
    entries = {e["path"]: e for e in kernel.erofs(bytes(build(tree, ImagePlan()).data)).entries}
    assert entries["/many"]["xattrs"] == {name.decode(): value.hex() for name, value in xattrs.items()}
    assert entries["/few"]["xattrs"] == {"user.a": b"b".hex()} and entries["/none"]["xattrs"] == {}
