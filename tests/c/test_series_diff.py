# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series diff``: a difference of each kind between a patch and its port is told with the function; equal ones are equal.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.rung.uml.series import read_series
from kemu.rung.uml.tree import Tree
from kemu.series.diff.run import Functions, Sides
from tests.c.diff import planted

HERE = Path(__file__).parent
PATCH = HERE / "diff" / "blend.patch"
SECONDS = 40.0
# kind: the function, and a word of the line that is told of each side ("": that side has none)
KINDS = {"errno": ("erofs_read_inode", "-EINVAL", "-EIO"), "mask": ("erofs_read_inode", "DOT_OMITTED", "- 1"),
         "rounding": ("erofs_read_inode", "round_up", "512"), "field": ("erofs_read_inode", "i_uid_write", "i_gid"),
         "bound": ("erofs_fill_dentries", "maxsize - nameoff", ">="), "release": ("erofs_fill_symlink", "kfree(link)", ""),
         "sign": ("erofs_read_inode", "inode_set_mtime", "s32"), "order": ("erofs_put_super", "", "erofs_drop_internal_inodes"),
         "width": ("erofs_read_inode", "i_size", "u16"), "ignored": ("erofs_read_inode", "err = erofs_fill_symlink", ""),
         "off_by_one": ("erofs_read_inode", "chunkbits", "+ 1")}


def _compared(kind: str, tree: Tree) -> Functions:
    return Sides(getattr(planted, kind), read_series(PATCH).patches, (), tree).compare(SECONDS, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_difference_is_told_with_its_function(kind: str, tree: Tree) -> None:
    name, in_c, in_python = KINDS[kind]
    found = _compared(kind, tree).parted
    assert found is not None and found.names == [name] and found.what and found.input
    assert in_c in found.c.text and in_python in found.python.text
    assert not in_c or found.c.where.startswith("fs/erofs/")


def test_equal_ones_are_equal(tree: Tree) -> None:
    out = _compared("right", tree)
    assert out.parted is None and out.apart == [] and out.unreached == []
    assert out.asked == ["erofs_fill_dentries", "erofs_fill_symlink", "erofs_put_super", "erofs_read_inode"]
    assert out.trials > 100


def _diff(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kemu", "-q", "series", "diff", *words], capture_output=True, text=True,
                          timeout=500, cwd=HERE.parents[1], env={**os.environ, "KEMU_FLAVOUR": "plain"})


def test_whole_mounts_tell_what_no_function_shows(tree: Tree, tmp_path: Path) -> None:
    """The patch alone, and a Series that changes something else: the port's mounts are not the patch's."""
    mine = tmp_path / "mine.py"
    mine.write_text((HERE / "diff" / "planted.py").read_text())
    done = _diff("--c", str(PATCH), f"{mine}:errno", "--mounts-only", "--seconds", "40", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert report["same"] is False and report["difference"]["how"] == "mounts" and "EIO" in report["difference"]["what"]


def test_a_folder_that_ties_both_halves(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text((HERE / "diff" / "planted.py").read_text())
    (tmp_path / "0001-blend.patch").write_text(PATCH.read_text())
    (tmp_path / "series.toml").write_text('title = "blend"\npython = "mine.py:right"\n')
    done = _diff(str(tmp_path), "--seconds", "5")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "the port does what the patch does" in done.stdout and "4 functions" in done.stdout


def test_what_has_no_c_is_compared_with_what_emit_makes_of_it(tree: Tree) -> None:
    done = _diff("erofs-memback-rfc", "--seconds", "5")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "the port does what the patch does" in done.stdout and "what kemu series emit makes of it" in done.stderr
