# SPDX-License-Identifier: GPL-2.0-only
"""Patches: only regular files of the tree are read and written, and one that does not apply says why."""
from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kemu.rung.uml.copy import Copy
from kemu.rung.uml.diffs import parse
from kemu.rung.uml.errors import PatchError, RungError
from kemu.rung.uml.patches import InternalPatch, Patch, apply_patches, read_patch
from kemu.rung.uml.series import check, read_series
from kemu.rung.uml.tree import Tree

A = b"".join(b"line %d\n" % n for n in range(1, 41))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    top = tmp_path / "tree"
    for name, data in (("Makefile", b"VERSION = 7\nPATCHLEVEL = 2\n"), ("fs/a.c", A), ("fs/b.c", b"b\n"),
                       ("arch/um/Kconfig", b"")):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    (tmp_path / "secret").write_text("secret\n")
    (top / "fs" / "out").symlink_to(tmp_path / "secret")
    (top / "etc").symlink_to(tmp_path)
    (top / "fs" / "in").symlink_to("a.c")
    return Tree(top)


def diff(name: str, old: bytes, new: bytes, strip: str = "ab", times: bool = False, context: int = 3) -> bytes:
    """What diff -u says of a file with the contents ``old`` and one with ``new``."""
    stamp = b"\t2026-01-02 03:04:05.000000000 +0100" if times else b""
    names = [f"{p}/{name}".encode() for p in strip] if strip else [name.encode()] * 2
    names = [n + stamp if t else b"/dev/null" for n, t in zip(names, (old, new))]
    lines = difflib.diff_bytes(difflib.unified_diff, old.splitlines(True), new.splitlines(True), *names, n=context,
                               lineterm=b"\n")
    return b"".join(lines)


def edit(old: bytes, new: bytes, name: str = "fs/a.c", text: bytes = A, **how: Any) -> bytes:
    """A diff that makes ``new`` of a line of a file."""
    assert old in text
    return diff(name, text, text.replace(old, new), **how)


def patch(data: bytes, name: str = "0001-x.patch") -> Patch:
    return Patch(name, "x", data)


ONE = edit(b"line 3\n", b"line drei\n")
LINK = (b"diff --git a/fs/l b/fs/l\nnew file mode 120000\nindex 0000000..1234567\n--- /dev/null\n+++ b/fs/l\n@@ -0,0 +1 "
        b"@@\n+/etc/passwd\n\\ No newline at end of file\n")
RENAME = "diff --git a/{0} b/{1}\nsimilarity index 100%\nrename from {0}\nrename to {1}\n"
NEW = "diff --git a/{0} b/{0}\nnew file mode 100644\nindex 0000000..1234567\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+x\n"


def test_what_a_patch_changes(tree: Tree) -> None:
    assert apply_patches(tree, [patch(ONE)]) == {"fs/a.c": A.replace(b"line 3\n", b"line drei\n")}
    assert apply_patches(tree, [patch(diff("fs/b.c", b"b\n", b""))]) == {"fs/b.c": None}
    assert apply_patches(tree, [patch(NEW.format("fs/new/c.c").encode())]) == {"fs/new/c.c": b"x\n"}
    assert apply_patches(tree, [patch(RENAME.format("fs/b.c", "lib/c.c").encode())]) == {"fs/b.c": None, "lib/c.c": b"b\n"}
    quoted = NEW.replace("a/{0} b/{0}", '"a/{0}" "b/{0}"').replace("+++ b/{0}", '+++ "b/{0}"').format("fs/\\303\\244 \\\"c.c")
    assert apply_patches(tree, [patch(quoted.encode())]) == {'fs/ä "c.c': b"x\n"}
    mode = b"diff --git a/fs/b.c b/fs/b.c\nold mode 100644\nnew mode 100755\n"
    assert apply_patches(tree, [patch(mode)]) == {"fs/b.c": b"b\n"}


def test_a_binary_patch_changes_the_file_that_it_names(tree: Tree, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "fs").mkdir(parents=True)
        (tmp_path / name / "fs" / "b.c").write_bytes(b"b\n" if name == "a" else bytes(range(256)))
    data = subprocess.run(["git", "diff", "--no-index", "--binary", "a", "b"], cwd=tmp_path, capture_output=True,
                          check=False).stdout
    data = data.replace(b"a/a/", b"a/").replace(b"b/b/", b"b/")
    assert b"GIT binary patch" in data
    assert apply_patches(tree, [patch(data)]) == {"fs/b.c": bytes(range(256))}


@pytest.mark.parametrize(("data", "words"), [
    (LINK, "fs/l: a symbolic link: patches of regular files only are taken"),
    (LINK.replace(b"120000", b"160000"), "a submodule"),
    (LINK.replace(b"120000", b"040000"), "a folder"),
    (b"diff --git a/fs/a.c b/fs/a.c\nold mode 100644\nnew mode 120000\n", "a symbolic link"),
    (b"diff --git a/fs/in b/fs/in\nindex 1234567..89abcde 120000\n--- a/fs/in\n+++ b/fs/in\n@@ -1 +1 @@\n-a.c\n\\ No newline at "
     b"end of file\n+/etc/passwd\n\\ No newline at end of file\n", "a symbolic link"),
    (diff("fs/out", b"secret\n", b"x\n"), "fs/out: is a symbolic link in the tree"),
    (edit(b"line 1\n", b"x\n", "fs/in"), "fs/in: is a symbolic link in the tree"),
    (diff("etc/secret", b"secret\n", b"x\n"), "etc is a symbolic link in the tree"),
    (NEW.format("etc/new").encode(), "etc is a symbolic link in the tree"),
    (RENAME.format("fs/b.c", "etc/b.c").encode(), "etc is a symbolic link in the tree"),
    (RENAME.format("fs/b.c", "fs/out").encode(), "fs/out: is a symbolic link in the tree"),
    (RENAME.format("fs/out", "fs/c.c").encode(), "fs/out: is a symbolic link in the tree"),
    (RENAME.replace("rename", "copy").format("fs/out", "fs/c.c").encode(), "fs/out: is a symbolic link in the tree"),
    (diff("../secret", b"secret\n", b"x\n"), "outside the tree"), (NEW.format("fs/../../x").encode(), "outside the tree"),
    (NEW.format("/etc/x").encode(), "etc is a symbolic link in the tree"),
    (RENAME.format("fs/b.c", "../x").encode(), "outside the tree"),
    (RENAME.format("../secret", "fs/c.c").encode(), "outside the tree"),
    (NEW.format(".git/hooks/post-checkout").encode(), "no file of a kernel tree"),
    (NEW.format("fs/.GIT/config").encode(), "no file of a kernel tree"),
    (NEW.format("kemu-build-fast/x.o").encode(), "no file of a kernel tree"),
    (NEW.format(".kemu-copy").encode(), "no file of a kernel tree"),
    (NEW.format("fs").encode(), "fs: a folder in the tree"), (NEW.format("fs/a.c/x").encode(), "fs/a.c is no folder in the tree"),
])
def test_nothing_but_files_of_the_tree(tree: Tree, tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(PatchError, match="x") as e:
        apply_patches(tree, [patch(data)])
    assert words in str(e.value)
    assert (tmp_path / "secret").read_text() == "secret\n" and not (tmp_path / "new").exists()


def test_a_link_of_one_patch_and_a_write_through_it_by_the_next(tree: Tree, tmp_path: Path) -> None:
    link = LINK.replace(b"/etc/passwd", str(tmp_path / "secret").encode())
    for series in ([patch(link), patch(diff("fs/l", b"secret\n", b"mine\n"))],
                   [patch(link + diff("fs/l", b"secret\n", b"mine\n"))],
                   [patch(link.replace(b"fs/l", b"l").replace(str(tmp_path / "secret").encode(), str(tmp_path).encode())),
                    patch(NEW.format("l/planted").encode())]):
        with pytest.raises(PatchError, match="a symbolic link"):
            apply_patches(tree, series)
    assert (tmp_path / "secret").read_text() == "secret\n" and not (tmp_path / "planted").exists()


def test_a_copy_is_never_written_through_a_link(tree: Tree, tmp_path: Path) -> None:
    copy = Copy(tree, tmp_path / "copy")
    copy.update("1", {})
    for rel in ("fs/out", "etc/secret"):
        with pytest.raises(PatchError, match="symbolic link"):
            copy.update("1", {rel: b"mine"})
    assert (tmp_path / "secret").read_text() == "secret\n"


# ---- why it does not apply ----

BACK = edit(b"line drei\n", b"line 3\n", text=A.replace(b"line 3\n", b"line drei\n"))
MOVED = A.replace(b"line 13\n", b"line XIII\n")


@pytest.mark.parametrize(("data", "words"), [
    (BACK, "is applied already (or it is reversed: it applies with -R)"),
    (NEW.format("fs/b.c").encode().replace(b"+x", b"+b"), "is applied already"),
    (NEW.format("fs/b.c").encode(), "fs/b.c: is in the tree already, with other contents"),
    (diff("fs/gone.c", b"x\n", b""), "is applied already"),
    (RENAME.format("fs/gone.c", "fs/b.c").encode(), "is applied already"),
    (BACK + diff("fs/b.c", b"b\n", b"c\n"), "is applied already in part: fs/a.c"),
    (edit(b"line 3\n", b"x\n", strip=""), "fs/a.c: its names are for -p0 (fs/a.c)"),
    (edit(b"line 3\n", b"x\n", "linux/fs/a.c"), "its names are for -p2 (fs/a.c)"),
    (edit(b"line 3\n", b"x\n", "fs/none.c"), "fs/none.c: no such file in the tree"),
    (diff("fs/a.c", MOVED, A), "is applied already"),
    (edit(b"line 14\n", b"y\n", text=b"new\n" * 20 + MOVED),
     "fs/a.c: hunk 1 of 1 (line 31) does not apply: at line 11 6 of its 7 lines are the same; line 13 is 'line 13', and the "
     "patch wants 'line XIII'"),
    (diff("fs/a.c", b"nothing\nlike\nit\n", b"y\n"),
     "hunk 1 of 1 (line 1) does not apply: nothing in the file is like its lines"),
    (ONE.replace(b"-1,6 +1,6", b"-1,9 +1,6"), "corrupt patch: hunk 1 of b/fs/a.c says 9 and 6 lines, and has 6 and 6"),
    (edit(b"line 4\n", b"y\n", text=A[7:]), "fs/a.c: hunk 1 of 1 is for the beginning of the file: its lines are at line 2"),
    (edit(b"line 9\n", b"y\n", context=0), "hunk 1 of 1 (line 9) has no lines of context behind it"),
])
def test_why_a_patch_does_not_apply(tree: Tree, data: bytes, words: str) -> None:
    with pytest.raises(PatchError) as e:
        apply_patches(tree, [patch(data)])
    assert str(e.value).startswith("0001-x.patch (x): ") and words in str(e.value) and "\n" not in str(e.value)


def run(tree: Tree, folder: Path, **files: bytes) -> list[tuple[str, str]]:
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.patch").write_bytes(data)
    return [(f.status, f.summary) for f in check(read_series(folder), tree) if f.tool == "apply"]


def test_plain_diffs_are_checked(tree: Tree, tmp_path: Path) -> None:
    assert run(tree, tmp_path / "s1", x=edit(b"line 3\n", b"y\n", times=True)) == [("success", "applies to Linux 7.2")]
    assert (run(tree, tmp_path / "s2", x=edit(b"line 20\n", b"y\n", text=A[7:], times=True))
            == [("success", "applies to Linux 7.2")])
    assert (run(tree, tmp_path / "s3", x=edit(b"line x\n", b"y\n", text=A.replace(b"line 5\n", b"line x\n"), times=True))[0][0]
            == "fail")
    orig = edit(b"line 3\n", b"y\n").replace(b"a/fs/a.c", b"linux-7.2.orig/fs/a.c.orig").replace(b"b/fs", b"linux-7.2/fs")
    assert run(tree, tmp_path / "s4", x=b"Some words.\n\n" + orig) == [("success", "applies to Linux 7.2")]


def test_a_part_of_a_series_is_in_the_tree(tree: Tree, tmp_path: Path) -> None:
    got = run(tree, tmp_path / "s", a=BACK, b=edit(b"line 5\n", b"y\n"))
    assert [s for s, _ in got] == ["fail", "success"] and got[0][1].startswith("is applied already")
    got = run(tree, tmp_path / "t", a=edit(b"line XIII\n", b"y\n", text=MOVED), b=edit(b"line 5\n", b"y\n"))
    assert [s for s, _ in got] == ["fail", "warning"] and got[1][1] == "the 1 behind it were not tried"


def test_mails_with_line_ends_of_mails(tree: Tree, tmp_path: Path) -> None:
    mail = b"From 0123 Mon Sep 17 00:00:00 2001\nFrom: a <a@b>\nSubject: [PATCH %d/2] x\n\nwords\n---\n%s-- \n2.0\n\n"
    two = mail % (2, edit(b"line 30\n", b"y\n")) + mail % (1, ONE)
    for data in (two, two.replace(b"\n", b"\r\n")):
        path = tmp_path / "m.mbox"
        path.write_bytes(data)
        assert [p.subject for p in read_patch(path)] == ["[PATCH 1/2] x", "[PATCH 2/2] x"]
        found = [(f.status, f.summary) for f in check(read_series(path), tree) if f.tool == "apply"]
        assert [s for s, _ in found if s != "warning"] == ["success"] * 2
        assert (("warning", "its lines end in CR LF; they were taken for LF") in found) == (b"\r" in data)


def test_files_without_a_diff(tree: Tree, tmp_path: Path) -> None:
    got = run(tree, tmp_path / "s", a=b"", b=b"only words\n", c=ONE)
    assert (got[:2] == [("fail", "a.patch: no patch in it: the file is empty"),
                        ("fail", "b.patch: no patch in it: there is no diff, only text")])
    for name, data, words in (("x", b"", "the file is empty"), ("y", b"words", "only text")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PatchError, match=f"no patch in it: .*{words}"):
            read_series(tmp_path / name)
    with pytest.raises(RungError, match=r"/dev/zero: EINVAL \(Invalid argument\): not a regular file"):
        read_series(Path("/dev/zero"))


def test_the_command_says_so(tree: Tree, tmp_path: Path) -> None:
    for name, data, code, words in (("plain.diff", edit(b"line 3\n", b"y\n", times=True), 0,
                                     "success  apply      plain.diff: applies to Linux 7.2"),
                                    ("old.diff", BACK, 1, "fail     apply      old.diff: is applied already"),
                                    ("empty.diff", b"", 1, "no patch in it: the file is empty")):
        (tmp_path / name).write_bytes(data)
        done = subprocess.run([sys.executable, "-m", "kemu", "series", "check", name, "--tree", str(tree.path)], cwd=tmp_path,
                              capture_output=True, text=True, check=False,
                              env=dict(os.environ))
        assert done.returncode == code and words in done.stdout + done.stderr, done


def test_a_header_inside_a_hunk_is_none() -> None:
    data = diff("fs/a.c", b"-- a/fs/x\n++ b/fs/x\n", b"y\n")
    (f,) = parse(data)
    assert f.paths() == ["fs/a.c"] and f.hunks[0].old == [b"-- a/fs/x", b"++ b/fs/x"]


def test_files_of_a_series_are_scheduling_points_too(tree: Tree) -> None:
    (tree.path / "fs/Makefile").write_text("obj-y += a.o sub/s.o\n")
    internal = InternalPatch()
    internal.new, internal.insertions = {}, []
    out = internal.files(tree, {"fs/a.c": A, "fs/sub/s.c": b"", "fs/erofs/new.c": b"", "init/main.c": b"", "kernel/fork.c": b"",
                                "fs/b.c": None, "fs/x.h": b"", "init/own.c": b"", "init/Makefile": b"obj-y += own.o\n"})
    texts = {name: data.decode() for name, data in out.items() if data is not None}
    assert set(texts) == {"fs/Makefile", "init/Makefile"}
    assert texts["fs/Makefile"].startswith("obj-y += a.o sub/s.o\nifdef CONFIG_KEMU_SCHED\nCFLAGS_a.o += ")
    assert "CFLAGS_sub/s.o += " in texts["fs/Makefile"] and "CFLAGS_own.o += " in texts["init/Makefile"]
    assert "CFLAGS_b.o" not in texts["fs/Makefile"]
