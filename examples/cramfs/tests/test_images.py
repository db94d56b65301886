# SPDX-License-Identifier: GPL-2.0-only
"""Images that mkfs.cramfs made: the port shows the tree that they were made from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kemu.forge.pick import Pick, SeedValues
from kemu.report import manifest
from kemu.report.walk import walk
from tests.trees import DATA, MKFS, NO_MKFS, make_tree, manifest_of, mkfs

from cramfs.harness.choose import choose_image
from cramfs.harness.mount import MountError, mounted

FSCK = shutil.which("fsck.cramfs", path="/usr/sbin:/sbin:/usr/bin")


def reads(image: str | bytes | Path, want: list[manifest.Entry], **options: Any) -> None:
    with mounted(image, **options) as m:
        assert manifest.diff(walk(m.path), want, "port", "written") == ""


@pytest.mark.parametrize("kind", ["linear", "vmalloc"])
@pytest.mark.parametrize("at", [0, 512, 4093])
def test_the_image_that_is_kept(at: int, kind: str) -> None:
    reads(DATA / "small.cramfs", manifest.load(DATA / "small.jsonl"), at=at, kind=kind)


@pytest.mark.skipif(MKFS is None, reason=NO_MKFS)
@pytest.mark.parametrize("options", [(), ("-z",), ("-p",), ("-z", "-p", "-n", "name"), ("-b", "16384")], ids=" ".join)
def test_a_tree_of_the_host(options: tuple[str, ...], tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    mkfs(tmp_path / "tree", tmp_path / "image", *options)
    reads(tmp_path / "image", manifest_of(tmp_path / "tree"), page_size=int(options[1]) if options[:1] == ("-b",) else 4096)


@pytest.mark.skipif(MKFS is None, reason=NO_MKFS)
def test_the_other_endianness_is_refused(tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    mkfs(tmp_path / "tree", tmp_path / "image", "-N", "big")
    with pytest.raises(MountError, match="cramfs: wrong endianness") as info, mounted(tmp_path / "image"):
        pass
    assert info.value.errno == 22


def test_a_block_size_that_is_not_the_page_size_shows() -> None:
    with mounted(DATA / "small.cramfs", page_size=16384) as m:
        assert {e["path"]: e["error"] for e in walk(m.path)}["/noise"] == "EIO"


@pytest.mark.skipif(FSCK is None, reason=NO_MKFS.replace("mkfs", "fsck"))
def test_fsck_accepts_what_the_writer_of_the_experiments_makes(tmp_path: Path) -> None:
    assert FSCK is not None
    checked = 0
    for seed in range(1000):
        image = choose_image(Pick(SeedValues(seed)))
        # fsck.cramfs knows neither shifted roots, nor odd names, nor sizes that version 1 did not say
        if image.plan.gap or image.plan.flags & ~2 != 1 or not image.root.entries or any(n.stray for _, n in image.walk()):
            continue
        (tmp_path / "image").write_bytes(image.data)
        p = subprocess.run([FSCK, tmp_path / "image"], capture_output=True, text=True)
        assert p.returncode == 0, f"seed {seed}: {p.stderr}\n{image.describe()}"
        checked += 1
        if checked == 10:
            return
    pytest.fail(f"only {checked} images of this kind")
