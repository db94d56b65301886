# SPDX-License-Identifier: GPL-2.0-only
"""The tree that whole images are made of, and the images, where mkfs.erofs is there."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kemu.cli.doctor import erofs_utils
from kemu.series.review import kept, made


def test_the_tree_has_every_kind(tmp_path: Path) -> None:
    made.tree(tmp_path, 9000)
    kinds = {stat.S_IFMT(os.lstat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}
    assert {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO} <= kinds
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "text").read_bytes() and len((tmp_path / "text").read_bytes()) == 9000


@pytest.mark.skipif(not erofs_utils(), reason="no mkfs.erofs here")
def test_images_of_each_option_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "_PLAIN", ("", "-b512 --chunksize=1024", "--no-such-option"))
    monkeypatch.setattr(made, "_ALGORITHMS", ())
    mkfs = str(erofs_utils())
    one, other = list(made.images(mkfs)), list(made.images(mkfs))
    assert [name for name, _ in one] == ["", "-b512 --chunksize=1024", "-b512 --chunksize=1024"]
    assert [case.data[1024:1028] for _, case in one] == [b"\xe2\xe1\xf5\xe0"] * 3 and one[2][1].devices
    assert [len(case.data) for _, case in one] == [len(case.data) for _, case in other]


def test_whole_images_are_kept_of_each_algorithm() -> None:
    for name in ("lz4", "lzma", "deflate", "zstd"):
        assert kept.reaching({f"z_erofs_{name}_decompress", f"__z_erofs_{name}_decompress"}) > 3
