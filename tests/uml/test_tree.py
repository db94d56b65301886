# SPDX-License-Identifier: GPL-2.0-only
"""Copies of a tree, patches on them, configurations, and a compiler's words. No kernel needed."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kemu.rung.uml import ConfigError, PatchError
from kemu.rung.uml import config as kconfig
from kemu.rung.uml.copy import Copy
from kemu.rung.uml.make import Made, compiler_message, keep_warnings
from kemu.rung.uml.patches import Insertion, Patch, _insert, apply_patches, read_patch
from kemu.rung.uml.series import find_series, new_series, read_series
from kemu.rung.uml.tree import Tree, find_tree

DIFF = b"""--- a/init/a.c
+++ b/init/a.c
@@ -1,3 +1,4 @@
 one
+and a half
 two
 three
"""


@pytest.fixture
def small(tmp_path: Path) -> Tree:
    """A tree of a few files that looks like a kernel's."""
    top = tmp_path / "tree"
    for name, text in {"Makefile": "# SPDX\nVERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\n", "arch/um/Kconfig": "",
                       "init/a.c": "one\ntwo\nthree\n", "init/b.c": "b\n", "init/b.o": "built", ".config": "x", ".git/HEAD": "x",
                       "include/generated/x.h": "x"}.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return Tree(top)


def test_version(small: Tree) -> None:
    assert small.version == "7.2.13"


def test_a_copy_has_the_sources_and_nothing_that_was_built(small: Tree, tmp_path: Path) -> None:
    copy = Copy(small, tmp_path / "copy")
    copy.update(small.identity(), {})
    have = sorted(str(p.relative_to(copy.path)) for p in copy.path.rglob("*") if p.is_file())
    assert have == [".kemu-copy", ".kemu-mirror", "Makefile", "arch/um/Kconfig", "init/a.c", "init/b.c"]
    assert os.stat(copy.path / "init/a.c").st_ino == os.stat(small.path / "init/a.c").st_ino


def test_changing_the_copy_leaves_the_tree_alone(small: Tree, tmp_path: Path) -> None:
    copy = Copy(small, tmp_path / "copy")
    copy.update(small.identity(), {"init/a.c": b"changed\n", "init/new.c": b"new\n", "init/b.c": None})
    assert (copy.path / "init/a.c").read_text() == "changed\n"
    assert not (copy.path / "init/b.c").exists()
    assert (small.path / "init/a.c").read_text() == "one\ntwo\nthree\n"
    assert not (small.path / "init/new.c").exists()


def test_an_update_touches_only_what_differs(small: Tree, tmp_path: Path) -> None:
    copy = Copy(small, tmp_path / "copy")
    copy.update("1", {"init/a.c": b"changed\n"})
    before = {p: p.stat().st_mtime_ns for p in copy.path.rglob("*.c")}
    copy.update("1", {"init/a.c": b"changed\n"})
    assert before == {p: p.stat().st_mtime_ns for p in copy.path.rglob("*.c")}
    copy.update("1", {})
    assert (copy.path / "init/a.c").read_text() == "one\ntwo\nthree\n"
    assert (copy.path / "init/a.c").stat().st_mtime_ns > before[copy.path / "init/a.c"], ("make would not see that it is the "
                                                                                          "old file again")


def test_a_copy_follows_edits_renames_and_deletions(small: Tree, tmp_path: Path) -> None:
    copy = Copy(small, tmp_path / "copy")
    first = small.identity()
    copy.update(first, {})
    os.rename(small.path / "init/b.c", small.path / "init/c.c")
    (small.path / "x").write_text("edited by rename\n")
    os.rename(small.path / "x", small.path / "init/a.c")
    assert small.identity() != first
    copy.update(small.identity(), {})
    assert sorted(p.name for p in (copy.path / "init").iterdir()) == ["a.c", "c.c"]
    assert (copy.path / "init/a.c").read_text() == "edited by rename\n"


def test_a_folder_that_is_no_tree_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a kernel tree"):
        find_tree(tmp_path)


def test_no_tree_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="kemu linux fetch"):
        find_tree()


def test_patches_apply_one_on_the_other(small: Tree) -> None:
    second = DIFF.replace(b" one\n", b" one\n and a half\n").replace(b"+and a half",
                                                                     b"+and three quarters").replace(b"-1,3 +1,4", b"-1,4 +1,5")
    got = apply_patches(small, [Patch("1", "one", DIFF), Patch("2", "two", second)])
    assert got == {"init/a.c": b"one\nand a half\nand three quarters\ntwo\nthree\n"}


def test_a_patch_that_does_not_apply_is_named_with_file_and_line(small: Tree) -> None:
    with pytest.raises(PatchError, match=r"0002-x\.patch \(two\): init/a\.c: hunk 1 of 1 \(line 1\) "):
        apply_patches(small, [Patch("0001-x.patch", "one", DIFF), Patch("0002-x.patch", "two", DIFF.replace(b" two", b" zwei"))])


def test_a_patch_cannot_write_outside_the_tree(small: Tree) -> None:
    with pytest.raises(PatchError, match="outside the tree"):
        apply_patches(small, [Patch("x", "x", DIFF.replace(b"init/a.c", b"../a.c"))])


def test_an_mbox_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    def mail(subject: str, body: bytes) -> bytes:
        return (b"From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: A <a@example.org>\nSubject: " + subject.encode()
                + b"\n\ntext\n---\n" + body)
    path = tmp_path / "series.mbx"
    path.write_bytes(mail("[PATCH 2/2] second", DIFF) + mail("[PATCH 0/2] cover letter",
                                                             b"") + mail("Re: [PATCH 1/2] first", b"> --- a/x\n")
                     + mail("[PATCH 1/2] first", DIFF))
    assert [p.subject for p in read_patch(path)] == ["[PATCH 1/2] first", "[PATCH 2/2] second"]


def test_a_quoted_printable_mail_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "0001.patch"
    path.write_bytes(b"From: a@example.org\nSubject: =?UTF-8?q?[PATCH]_=C3=A4?=\nContent-Transfer-Encoding: "
                     b"quoted-printable\n\n---\n"
                     + DIFF.replace(b"half", b"h=61lf"))
    (patch,) = read_patch(path)
    assert patch.subject == "[PATCH] ä" and b"+and a half" in patch.data


def test_an_anchor_that_is_gone_is_named(small: Tree) -> None:
    with pytest.raises(ConfigError, match="no line 'four'"):
        _insert(b"one\ntwo\n", Insertion("init/a.c", "four", "x\n"), small)
    assert _insert(b"one\ntwo\n", Insertion("init/a.c", "two", "x\n", where="before"), small) == b"one\nx\ntwo\n"


def test_the_last_line_of_a_fragment_wins_and_what_kconfig_drops_is_found() -> None:
    text = kconfig.merged("CONFIG_A=y\nCONFIG_B=y\n# CONFIG_A is not set\n")
    assert text == "# CONFIG_A is not set\nCONFIG_B=y\n"
    assert kconfig.refused("CONFIG_B=y\nCONFIG_C=y\n", "CONFIG_B=y\n# CONFIG_C is not set\n") == ["CONFIG_C=y"]


def test_short_spellings_of_configuration_lines() -> None:
    text = kconfig.fragments("fast", ["EROFS_FS_DEBUG=y", "CONFIG_KUNIT=n"])
    assert text.endswith("CONFIG_EROFS_FS_DEBUG=y\n# CONFIG_KUNIT is not set\n")
    with pytest.raises(ConfigError, match="not a configuration line"):
        kconfig.fragments("fast", ["nonsense"])
    with pytest.raises(ConfigError, match="no flavour 'slow'"):
        kconfig.fragments("slow")


def test_of_a_failed_build_the_compilers_words_are_shown() -> None:
    text = compiler_message(["  CC      a.o", "../init/a.c: In function 'f':", "../init/a.c:3:1: error: 'x' undeclared",
                             "    3 | x;",
                             "      | ^", "make[2]: *** [x] Error 1", "make[1]: *** Waiting for unfinished jobs....", "noise"])
    assert (text.splitlines() == ["../init/a.c: In function 'f':", "../init/a.c:3:1: error: 'x' undeclared", "    3 | x;",
                                  "      | ^"])


def test_warnings_of_what_is_not_compiled_again_are_kept(tmp_path: Path) -> None:
    a, b = "../init/a.c:1:1: warning: unused", "WARNING: modpost: vmlinux: section mismatch"
    assert keep_warnings(tmp_path, Made([a, b], {"init/a"})) == [a, b]
    assert keep_warnings(tmp_path, Made([], {"init/b"})) == [a], "the compiler's stays, modpost's is judged by every link"
    assert keep_warnings(tmp_path, Made([], {"init/a"})) == []


def test_series_settings(tmp_path: Path) -> None:
    folder = new_series("mine", tmp_path)
    assert read_series(folder).title == "mine"
    with pytest.raises(ConfigError, match="there already"):
        new_series("mine", tmp_path)
    (folder / "series.toml").write_text("titel = 3\n")
    with pytest.raises(ConfigError, match="unknown key 'titel'"):
        read_series(folder)
    (folder / "series.toml").write_text("title = \n")
    with pytest.raises(ConfigError, match=r"series\.toml"):
        read_series(folder)


def test_a_series_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match="erofs-kunit"):
        find_series("nonesuch")


def test_an_edit_of_c_asks_for_no_new_configuration_and_one_of_kconfig_does(small: Tree) -> None:
    assert not small.ours
    before = small.choices()
    source = next(p for p in small.path.rglob("*.c"))
    source.write_text(source.read_text() + "/* changed */\n")
    assert small.choices() == before
    (small.path / "fs").mkdir(exist_ok=True)
    (small.path / "fs" / "Kconfig.more").write_text("config MORE\n\tbool \"more\"\n")
    assert small.choices() != before
