# SPDX-License-Identifier: GPL-2.0-only
"""Every archive of the corpus: the tree and the message of the port are those of Linux 7.2."""
from __future__ import annotations

import json
from typing import Any

import pytest

from kemu.report import manifest
from tests.conftest import SHARED

from initramfs.harness.boots import boot_initrd
from initramfs.harness.short import forms

CPIO = SHARED / "corpus" / "cpio"
# The walk that made the manifests went no deeper than this many bytes of path; Linux has unpacked what lies below.
LONGEST_PATH = 3400
LATE = 1_700_000_000


def cases() -> list[dict[str, Any]]:
    index = CPIO / "index.jsonl"
    return [json.loads(line) for line in index.read_text().splitlines()] if index.exists() else []


def boot(name: str, **kw: Any) -> Any:
    return boot_initrd(str(CPIO / name), builtin="none", **kw)


@pytest.mark.skipif(not cases(), reason="the corpus is not here")
@pytest.mark.parametrize("case", cases(), ids=lambda c: c["name"])
def test_tree_and_message_are_linux(case: dict[str, Any]) -> None:
    r = boot(case["name"])
    if case["crash"]:
        # Linux reads beyond its input here and dies: the port must say so and end with an error
        assert r.unpack_error == "decompressor failed"
        assert len(r.splats) == 1
        assert r.splats[0].title.startswith("BUG: KASAN: out-of-bounds")
        assert r.initrd.addr + r.initrd.size <= r.splats[0].facts["first_bad"]
        return
    assert [f"Initramfs unpacking failed: {r.unpack_error}"] * bool(r.unpack_error) == case["kernel_message"]
    assert r.splats == []
    want = manifest.load(CPIO / f"{case['name']}.jsonl")
    # made on the day when the archive was: null was for what the clock may have set
    late = {e["path"] for e in want if e["mtime"] is None}
    tree = [e | {"mtime": None} if e["path"] in late and e["mtime"] and e["mtime"][0] >= LATE else e for e in r.tree
            if len(e["path"]) <= LONGEST_PATH]
    assert manifest.diff(want, tree, "Linux", "kemu") == ""


@pytest.mark.skipif(not cases(), reason="the corpus is not here")
@pytest.mark.parametrize("at", [1, 3, 511, 4095])
@pytest.mark.parametrize("name", ["gnu-newc", "dracut-gz", "zz0-xz", "cat-bigpad", "zmut-bz2-00"])
def test_the_offset_in_memory_changes_nothing(name: str, at: int) -> None:
    a, b = boot(name), boot(name, at=at)
    assert manifest.equal(a.tree, b.tree)
    assert a.unpack_error == b.unpack_error


@pytest.mark.skipif(not cases(), reason="the corpus is not here")
@pytest.mark.parametrize("page_size", [16384, 65536])
def test_the_page_size_changes_nothing(page_size: int) -> None:
    for name in ("gnu-newc", "z-lz4", "h-sym100", "mut-021"):
        assert manifest.equal(boot(name).tree, boot(name, page_size=page_size).tree), name


@pytest.mark.skipif(not cases(), reason="the corpus is not here")
def test_a_tmpfs_root_holds_the_same_tree() -> None:
    for name in ("gnu-newc", "h-sym9000", "h-hl-many", "h-file-over-sym"):
        ramfs, tmpfs = boot(name), boot(name, cmdline="root=0:0 rootfstype=tmpfs")
        assert "rootfs" in "".join(ramfs.log)
        ignore = ("mode",) if ramfs.tree[0]["mode"] != tmpfs.tree[0]["mode"] else ()
        assert manifest.equal(ramfs.tree[1:], tmpfs.tree[1:]), name
        assert manifest.equal(ramfs.tree, tmpfs.tree, ignore=ignore), name


@pytest.mark.skipif(not cases(), reason="the corpus is not here")
def test_the_short_forms_change_nothing() -> None:
    for case in cases()[::5]:
        short, slow = boot(case["name"], short=forms()), boot(case["name"])
        assert manifest.equal(short.tree, slow.tree), case["name"]
        assert short.log == slow.log, case["name"]
