# SPDX-License-Identifier: GPL-2.0-only
"""The port, asked case by case: one failing call, and what else can be seen of an inode."""
from __future__ import annotations

import errno

import pytest

from kemu.report.manifest import ordered
from kemu.report.walk import walk
from tests.conftest import DATA

from erofs_memback.harness.judge import Emulated
from erofs_memback.harness.mount import mounted

IMAGE = (DATA / "erofs" / "tiny-b512.erofs").read_bytes()


def test_every_single_call_fails_once() -> None:
    """Nothing but an errno comes of it, of the mount or of an entry; the count ends where nothing fired."""
    none = Emulated().erofs(IMAGE, fail_nth=1 << 31)
    assert none.fired is False and none.points > 50 and none.mount_error is None
    errors = set()
    for n in range(1, none.points + 1):
        a = Emulated().erofs(IMAGE, fail_nth=n)
        assert a.fired and a.points >= n and a.crash is None, (n, a.message)
        errors.add(a.mount_error)
    assert errors == {None, "ENOMEM", "EIO"}
    assert Emulated().erofs(IMAGE, fail_nth=none.points + 1).fired is False
    assert Emulated().erofs(IMAGE).fired is None


def test_facts() -> None:
    """A line for each inode of the walk."""
    a = Emulated().erofs(IMAGE, facts=True)
    assert [f.split("\t")[0] for f in sorted(a.facts)] == sorted(e["path"] for e in a.entries)
    root = next(f for f in a.facts if f.startswith("/\t"))
    assert "\tstatfs=e0f5e1e2:512:" in root and "\tdirents=0," in root
    assert all("\tfiemap=" in f and "\tholes=" in f and "\tdirect=0," in f for f in a.facts if f.startswith("/d0/"))
    assert not Emulated().erofs(IMAGE).facts


@pytest.mark.parametrize("backend", ["disk", "file"])
def test_o_direct_is_as_linux_has_it(backend: str) -> None:
    """A compressed file cannot be opened so; a file-backed mount reads through the cache."""
    a = Emulated().erofs((DATA / "demo.erofs").read_bytes(), backend=backend, facts=True)
    ways = {f.split("\tdirect=")[1].split(",")[0] for f in a.facts if "\tdirect=" in f}
    assert ways <= {"0", "-22"} and ways


@pytest.mark.parametrize("backend", ["bdev", "fileio", "dax", "memback"])
@pytest.mark.parametrize("image", ["demo.erofs", "erofs/tiny-b512.erofs"])
def test_what_is_read_through_a_mapping_is_what_is_read(backend: str, image: str) -> None:
    """Compressed or not; with DAX from the device's own memory."""
    if backend == "dax" and "b512" in image:
        pytest.skip("DAX needs blocks of a page")
    facts: list[str] = []
    with mounted(DATA / image, backend=backend) as m:
        entries = ordered(walk(m.path, facts=facts))
    shown = {f.split("\t")[0]: dict(x.split("=", 1) for x in f.split("\t")[1:]) for f in facts}
    files = [e for e in entries if e["type"] == "file"]
    assert files
    for e in files:
        want = f"0,{e['sha256'][:16]}" if e["size"] else str(-errno.EINVAL)
        assert shown[e["path"]]["mapped"] == want, e["path"]


def test_a_page_that_cannot_be_read_is_a_signal() -> None:
    """The image ends before the file's data: read() says EIO, a mapping has no page there."""
    a = Emulated().erofs(IMAGE[:len(IMAGE) * 3 // 4 & -512], facts=True)
    failed = {e["path"] for e in a.entries if e.get("error") == "EIO" and e["type"] == "file"}
    bad = {f.split("\t")[0] for f in a.facts if "\tmapped=" in f and not f.split("\tmapped=")[1].startswith(("0,", "-"))}
    assert failed and bad == failed
