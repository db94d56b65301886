# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series test`` and wrong lines of fs/erofs: each is found, with an image that shows it."""
from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.forge.erofs.every import every_difference
from kemu.report import manifest
from kemu.rung.uml import Oracle, same
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.series import read_series
from kemu.rung.uml.seriestest import run_steps
from kemu.rung.uml.tree import Tree

pytestmark = pytest.mark.linux

# file, old line, new line, what the difference is called
WRONG = {
    "gid-from-uid": ("fs/erofs/inode.c", "i_gid_write(inode, le32_to_cpu(die->i_gid));",
                     "i_gid_write(inode, le32_to_cpu(die->i_uid));", "gid"),
    "gid-from-uid-compact": ("fs/erofs/inode.c", "i_gid_write(inode, le16_to_cpu(dic->i_gid));",
                             "i_gid_write(inode, le16_to_cpu(dic->i_uid));", "gid"),
    "no-security": ("fs/erofs/xattr.c", "\t\t[EROFS_XATTR_INDEX_SECURITY] = &erofs_xattr_security_handler,\n", "", "xattrs"),
    "no-default-acl": ("fs/erofs/xattr.c", "\t\t[EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT] = &nop_posix_acl_default,\n", "", "xattrs"),
    "trusted-is-user": ("fs/erofs/xattr.c", "\t.flags\t= EROFS_XATTR_INDEX_TRUSTED,", "\t.flags\t= EROFS_XATTR_INDEX_USER,",
                        "xattrs"),
    "blocks-rounded-down": ("fs/erofs/inode.c", "inode->i_blocks = round_up(inode->i_size, sb->s_blocksize) >> 9;",
                            "inode->i_blocks = round_down(inode->i_size, sb->s_blocksize) >> 9;", "blocks"),
    "last-block-missing": ("fs/erofs/data.c", "pos = erofs_pos(sb, erofs_iblks(inode) - tailinline);",
                           "pos = erofs_pos(sb, (inode->i_size >> sb->s_blocksize_bits) + !tailinline);",
                           "mount|sha256|error|end|target|fiemap|names"),
    "blocks-one-off": ("fs/erofs/data.c", "\t\t\tmap->m_llen = pos - map->m_la;",
                       "\t\t\tmap->m_llen = pos - map->m_la - (pos > inode->i_size);", "sha256|fiemap|end|error"),
    "no-nanoseconds": ("fs/erofs/inode.c", "\t\t\t\tle32_to_cpu(die->i_mtime_nsec));", "\t\t\t\t0);", "mtime"),
    "nlink-of-compact": ("fs/erofs/inode.c", "set_nlink(inode, le16_to_cpu(dic->i_nb.nlink));", "set_nlink(inode, 1);", "nlink"),
    "rdev-old": ("fs/erofs/inode.c", "inode->i_rdev = new_decode_dev(le32_to_cpu(copied.i_u.rdev));",
                 "inode->i_rdev = old_decode_dev(le32_to_cpu(copied.i_u.rdev));", "rdev"),
    "holes-mapped": ("fs/erofs/inode.c", "\t\t\tvi->startblk = EROFS_NULL_ADDR;", "\t\t\tvi->startblk = 0;",
                     "sha256|mount|error|end|holes|fiemap"),
}


def wrong(tree: Tree, folder: Path, name: str) -> Path:
    """A folder with the one patch."""
    path, old, new, _ = WRONG[name]
    text = (tree.path / path).read_text()
    assert text.count(old) == 1, f"{path}: {text.count(old)} times {old!r}"
    data = "".join(difflib.unified_diff(text.splitlines(True), text.replace(old, new).splitlines(True), f"a/{path}", f"b/{path}"))
    (folder / name).mkdir()
    (folder / name / "0001-x.patch").write_text(f"From: a <a@b.c>\nSubject: [PATCH] erofs: {name}\n\nText.\n---\n{data}")
    return folder / name


ASKED = ("gid-from-uid", "no-security", "blocks-one-off")           # the others take a minute and a half


@pytest.mark.parametrize("name", [name if name in ASKED else pytest.param(name, marks=pytest.mark.slow) for name in WRONG])
def test_a_wrong_line_is_found(kernel: Kernel, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    s = read_series(wrong(tree, tmp_path, name))
    s.name = "wrong"                                    # one copy of the tree for all of them
    builds, _, step = run_steps(s, tree, examples=400)
    assert builds.status == "ok", builds.details
    assert step.status == "not ok" and step.code == 1, (step.name, step.details)
    causes = re.findall(r"^(\w+) \(\d+ of \d+\): (\S+)$", step.details, re.M)
    assert any(re.fullmatch(WRONG[name][3], cause) for cause, _ in causes), step.details
    for _, path in causes:
        assert Path(path).is_relative_to(tmp_path / "state") and Path(path).stat().st_size, step.details
    assert re.match(r"same answers as the plain tree for \d+: \d+ of every difference", step.name)


def test_the_command_shows_the_image(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    """What it prints is run again as it stands: the kept image differs between the plain tree and the series."""
    folder = wrong(tree, tmp_path, "gid-from-uid")
    env = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}

    def kemu(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "kemu", *args], capture_output=True, text=True, env=env, check=False,
                              cwd=tmp_path)

    done = kemu("series", "test", str(folder), "-q", "--examples", "100")
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith("not ok 3 same answers as the plain tree for "), done
    words = re.search(r"^#\s+kemu (linux oracle .*) --series (\S+) ", done.stdout, re.M)
    assert words, done.stdout
    plain, series = kemu(*words[1].split(), "-q"), kemu(*words[1].split(), "--series", words[2], "-q")
    assert plain.returncode == series.returncode == 0
    text = manifest.diff(manifest.loads(plain.stdout), manifest.loads(series.stdout), "plain", "series")
    assert re.search(r"gid: plain \d+, series \d+", text)


def test_a_series_that_changes_nothing_and_what_is_skipped(kernel: Kernel, tree: Tree, tmp_path: Path) -> None:
    text = (tree.path / "fs/erofs/inode.c").read_text()
    data = "".join(difflib.unified_diff(text.splitlines(True), ["/* a comment */\n", *text.splitlines(True)],
                                        "a/fs/erofs/inode.c", "b/fs/erofs/inode.c"))
    (tmp_path / "x.patch").write_text(data)
    series = read_series(tmp_path / "x.patch")
    series.name = "wrong"
    last = list(run_steps(series, tree, examples=1000))[-1]
    assert (last.status == "ok"
            and "172 of every difference, 300 sound images, 250 damaged images, 50 images cut short, 150 images of odd streams, "
                "100 archives" in last.name), last
    none = list(run_steps(series, tree, examples=0))[-1]
    assert none.status == "skip" and none.why == "nothing was compared"
    done = subprocess.run([sys.executable, "-m", "kemu", "series", "test", str(tmp_path / "x.patch"), "-q", "--examples", "0"],
                          capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode == 0 and done.stdout.splitlines()[-1]
            == "ok 3 same answers as the plain tree # SKIP nothing was compared")
    assert done.stderr.splitlines()[-1] == "kemu: series: test: x: nothing was compared: there are no images, and none were made"


def test_linux_reads_every_difference_as_it_was_made(kernel: Kernel) -> None:
    with Oracle(kernel=kernel) as o:
        for label, image in every_difference():
            r = o.erofs(image.data, facts=True)
            assert not r.mount_error and not manifest.diff(image.manifest(), r.entries, "made", "Linux"), label
            assert len(r.facts) == len(r.entries), label


def test_the_same_samples_in_every_run() -> None:
    a, b = list(same.forged(60, 3)), list(same.forged(60, 3))
    assert a == b and a != list(same.forged(60, 4))
    assert {s.what for s in a} == {"of every difference", *same.FORGED}
