# SPDX-License-Identifier: GPL-2.0-only
"""A finding that is taken away."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import Expected, Outcome
from kemu.machine.given import Given, GivenBoot, GivenImage, GivenMount
from kemu.report.takeaway.archive_case import ArchiveCase
from kemu.report.takeaway.ctext import comment, identifier, runs, string
from kemu.report.takeaway.erofs_case import ErofsCase
from kemu.report.takeaway.folder import Sources, files, kunit_lines
from kemu.report.takeaway.patch import patch, series_toml
from kemu.samples import sample

TREE = Sources("7.2", {"fs/erofs": "obj-y += a.o\n", "init": "obj-y := b.o\n"})
ENTRY = {"path": "/a \"b\"\udcff?", "type": "file", "mode": 0o640, "uid": 1, "gid": 2, "size": 3, "nlink": 1, "mtime": [0, 0],
         "rdev": None, "target": None, "xattrs": {"user.x": "00ff"}, "sha256": None, "error": None}
ROOT = ENTRY | {"path": "/", "type": "dir", "mode": 0o755, "size": 27, "xattrs": {}}


def found(given: list[Given], expected: Expected | None = None, choices: tuple[str, ...] = ()) -> Outcome:
    f = Finding("x.y", "a */ title", "difference", "high", "erofs_f", "fs/erofs/a.c:1 erofs_f", ["a title"], "cause", "abcd-e",
                choices=list(choices), config=["CONFIG_X=y", "CONFIG_Y=n"])
    return Outcome(Experiment("x.y", lambda run: None, "x"), [], f, given=given, expected=expected)


def mount(backend: str = "bdev", page_size: int = 4096, options: str = "") -> GivenMount:
    return GivenMount("erofs", backend, (GivenImage(b"\1" + bytes(2000) + b"\2\0\3"), GivenImage(bytes(512))), options, 0,
                      page_size, {"CONFIG_Z": True})


def test_what_a_mount_is_taken_away_with() -> None:
    expected = Expected("", [ROOT, ENTRY], {str(ENTRY["path"]): b"abc"})
    made = files(found([mount()], expected), TREE, "abcd-e", "out")
    assert sorted(made) == ["README.md", "config", "device1.erofs", "expected.manifest", "expected.sha256", "image.erofs",
                            "kunit/0001-kunit.patch", "kunit/series.toml"]
    assert made["config"] == b"CONFIG_X=y\n# CONFIG_Y is not set\nCONFIG_Z=y\n"
    text = made["README.md"].decode()
    assert "mount -t erofs -o ro,loop,device=/dev/loop1 image.erofs /mnt" in text
    assert "kemu linux kunit --series out/kunit" in text
    c = made["kunit/0001-kunit.patch"].decode()
    assert "+obj-$(CONFIG_KUNIT) += kemu_abcd_e.o" in c
    assert ".has_data = true, .crc = 0x" in c and ".size = 3," in c
    assert "+ * a */ title" not in c and "+ * a * / title" in c
    assert '"/a \\"b\\"\\377\\077"' in c and 'device=" T_DIR "/image1' in c


@pytest.mark.parametrize(("out", "why"), [
    (found([mount("memback")]), "the back end memback"),
    (found([mount(page_size=16384)]), "pages of 16384 bytes"),
    (found([mount()], choices=("the 3rd call of kmalloc() fails",)), "a failing call"),
    (found([]), "mounts and boots nothing"),
    (found([GivenBoot(GivenImage(b"0707"), None, "", ("layered",))]), "a boot is no KUnit case"),
    (found([GivenMount("erofs", "bdev", (GivenImage(b"x" * (1 << 19)),))]), "bytes of its input are not zero"),
    (found([mount()], Expected("", [ROOT] * 201)), "201 inodes")])
def test_where_no_case_can_be_made_it_is_said(out: Outcome, why: str) -> None:
    made = files(out, TREE, "abcd-e", "out")
    assert not any(name.startswith("kunit") for name in made)
    assert why in made["README.md"].decode() and "There is none: " in made["README.md"].decode()
    assert why in "".join(kunit_lines(out, "abcd-e")) or not out.given


def test_without_a_tree_the_rest_is_written() -> None:
    made = files(found([mount()]), None, "abcd-e", "out")
    assert "it takes a kernel tree" in made["README.md"].decode() and "image.erofs" in made


def test_without_a_finding_the_input_alone() -> None:
    out = found([mount()])
    out.finding = None
    assert sorted(files(out, TREE, "abcd-e", "out")) == ["device1.erofs", "image.erofs"]


def test_a_mount_that_should_be_refused_and_one_of_which_nothing_is_known() -> None:
    refused = ErofsCase("t", "abcd-e", [b"\1"], "", "EINVAL", []).text()
    assert "KUNIT_ASSERT_EQ(test, err, -EINVAL);" in refused and "t_walk" not in refused and "t_look" not in refused
    unknown = ErofsCase("t", "abcd-e", [b"\1"], "noacl").text()
    assert "t_walk(test, T_MNT, 0);" in unknown and 't_options[PAGE_SIZE] __initdata = "noacl"' in unknown


def test_an_archive() -> None:
    data = sample("root.cpio").read_bytes()
    text = ArchiveCase("t", "abcd-e", [data], "", "junk within compressed archive", [ROOT, ENTRY]).text()
    assert 'KUNIT_EXPECT_STREQ(test, said, "junk within compressed archive");' in text and "t_unpack(test, " in text
    made = files(found([GivenBoot(GivenImage(data), None, "quiet")], Expected("", [ROOT])), TREE, "abcd-e", "out")
    assert made["cmdline"] == b"quiet\n" and b"init/kemu_abcd_e.c" in made["kunit/0001-kunit.patch"]


def test_bytes_that_are_not_zero() -> None:
    data = b"\0\1\0\0\2" + bytes(40) + b"\3\0"
    assert list(runs(data)) == [(1, b"\1\0\0\2"), (45, b"\3")]
    rebuilt = bytearray(len(data))
    for at, part in runs(data):
        rebuilt[at:at + len(part)] = part
    assert rebuilt == data and not list(runs(bytes(5000)))


def test_words_of_c() -> None:
    assert string('a"\\\n\udcfe') == '"a\\"\\\\\\012\\376"' and identifier("Ab-c d!") == "ab_c_d" and identifier("--") == "case"
    assert comment(["x " * 60])[1].startswith(" * x x") and all(len(line) <= 80 for line in comment(["x " * 60]))


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_the_patch_applies(tmp_path: Path) -> None:
    (tmp_path / "fs/erofs").mkdir(parents=True)
    (tmp_path / "fs/erofs/Makefile").write_text("obj-y += a.o\n")
    text = patch("fs/erofs", "kemu_x", "one\ntwo\n", "obj-y += a.o\n", "t\u00e4st")
    subprocess.run(["git", "apply", "-"], input=text, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "fs/erofs/kemu_x.c").read_text() == "one\ntwo\n"
    assert (tmp_path / "fs/erofs/Makefile").read_text() == "obj-y += a.o\nobj-$(CONFIG_KUNIT) += kemu_x.o\n"
    assert 'title = "a \\"b\\""' in series_toml("x", 'a "b"', "7.2", [])
