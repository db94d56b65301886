# SPDX-License-Identifier: GPL-2.0-only
"""What a series is, as it is written on a command line; and every command takes it."""
from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.cli import main
from kemu.rung.uml.errors import ConfigError
from kemu.series.whole import c_halves, python_halves, whole

DIFF = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A <a@example.org>
Date: Mon, 1 Jan 2024 00:00:00 +0000
Subject: [PATCH {n}] erofs: {what}

---
diff --git a/fs/erofs/x.c b/fs/erofs/x.c
--- a/fs/erofs/x.c
+++ b/fs/erofs/x.c
@@ -1,3 +1,3 @@
 one
-{old}
+{new}
 three
--
"""
HEAD = """\
from kemu.linux.port.series import Series
from erofs_memback import super, inode
from initramfs import initramfs as base
"""
ONE = HEAD + """
series = Series("one", ("erofs_memback",))
series.edits(super.erofs_kill_sb, ("    if sbi.dif0.file:\\n", "    if sbi.dif0.file or sbi is None:\\n"))
"""
TWO = HEAD + """
series = Series("two", ("erofs_memback",))
series.edits(super.erofs_kill_sb, ("    if sbi.dif0.file or sbi is None:\\n", "    if sbi is None or sbi.dif0.file:\\n"))
"""
SAYS = HEAD + """
from kemu.linux.printk import pr_info
series = Series("says", ("initramfs",))
series.edits(base.populate_rootfs, ("def populate_rootfs() -> int:\\n",
                                    "def populate_rootfs() -> int:\\n    pr_info('says: here\\\\n')\\n"),
             names={"pr_info": pr_info})
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = set(sys.modules)
    path = list(sys.path)
    for name, text in (("one_of_mine", ONE), ("two_of_mine", TWO), ("says_so", SAYS)):
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def folder(where: Path, name: str = "inc", toml: str = "") -> Path:
    d = where / name
    d.mkdir(parents=True)
    (d / "0001-a.patch").write_text(DIFF.format(n="1/2", what="a", old="two", new="zwei"))
    (d / "0002-b.patch").write_text(DIFF.format(n="2/2", what="b", old="zwei", new="deux"))
    if toml:
        (d / "series.toml").write_text(toml)
    return d


# ------------------------------------------------------------------------- what it is

def test_a_folder_an_mbox_a_patch_and_a_mail_are_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    d = folder(here)
    mbox = here / "all.mbox"
    mbox.write_text("".join(p.read_text() for p in sorted(d.iterdir())))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(mbox.read_bytes())))
    said = [[p.subject for p in w.c.patches] for w in (whole("./inc"), whole("all.mbox"), whole("-")) if w.c]
    assert said == [["[PATCH 1/2] erofs: a", "[PATCH 2/2] erofs: b"]] * 3
    one = whole("inc/0001-a.patch")
    assert one.c is not None and len(one.c.patches) == 1 and one.python is None


def test_a_branch(here: Path) -> None:
    from kemu.series.branch import from_branch

    tree = here / "tree"
    (tree / "fs/erofs").mkdir(parents=True)
    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tree), *args], check=True,
                       capture_output=True)
    git("init", "-q")
    file = tree / "fs/erofs/x.c"
    for text in ("two", "zwei", "deux"):
        file.write_text(f"one\n{text}\nthree\n")
        git("add", "-A")
        git("commit", "-qm", f"erofs: {text}")
    before = {p: p.stat().st_mtime_ns for p in tree.rglob("*")}
    w = from_branch(str(tree), "HEAD~2")
    assert w.c is not None and [p.subject for p in w.c.patches] == ["[PATCH 1/2] erofs: zwei", "[PATCH 2/2] erofs: deux"]
    assert before == {p: p.stat().st_mtime_ns for p in tree.rglob("*")}, "the tree is only read"
    for base, says in (("HEAD", "HEAD has no commit that HEAD has not"), ("nope", "no such commit"),
                       ("--output=x", "no commit of")):
        with pytest.raises(ConfigError, match=says):
            from_branch(str(tree), base)
    with pytest.raises(ConfigError, match="no such folder"):
        from_branch(str(tree / "nowhere"), "HEAD")
    with pytest.raises(ConfigError, match="not a git repository"):
        from_branch(str(here / "state") if (here / "state").is_dir() else "/", "HEAD")


def test_halves_are_tied_from_either_side(here: Path) -> None:
    folder(here / "patches", "tied", 'title = "t"\npython = "../../one_of_mine.py:series"\n')
    w = whole("tied")
    assert w.name == "tied" and w.c is not None and w.python is not None and w.python.name == "one"
    (here / "back.py").write_text(ONE.replace('("erofs_memback",))', '("erofs_memback",), c="patches/tied")'))
    b = whole("./back.py")
    assert b.c is not None and b.c.name == "tied" and b.python is not None
    folder(here / "patches", "two", 'title = "by its name"\n')
    assert whole("./two_of_mine.py").c is not None
    assert python_halves([w]) == [w.python] and c_halves([w]) == [w.c]


def test_a_module_with_several(here: Path) -> None:
    (here / "both.py").write_text(ONE + 'other = Series("another", ("erofs_memback",))\n')
    with pytest.raises(ConfigError, match=r"several Series are in it: give one of them as \./both\.py:NAME; there are "
                                          r"series \(one\), other \(another\)"):
        whole("./both.py")
    assert whole("./both.py:other").name == whole("./both.py:another").name == "another"
    (here / "takes.py").write_text("from one_of_mine import series as base\n" + TWO)
    assert whole("./takes.py").name == "two", "what it imports is not its own"


def test_a_series_by_its_name_where_a_back_end_brings_it() -> None:
    assert whole("erofs-memback").python is not None
    assert whole("erofs_memback.memback:series").python is whole("erofs-memback").python


def test_a_folder_names_a_series_that_a_back_end_brings(here: Path) -> None:
    """As ``kemu series emit erofs-memback -o DIR`` writes it."""
    folder(here, "emitted", 'python = "erofs-memback"\n')
    assert whole("./emitted").python is whole("erofs-memback").python


@pytest.mark.parametrize("what, says", [("mine", None), ("none", "it has no Python half, which --rung py needs")])
def test_the_python_half_of_a_folder_is_reviewed(here: Path, capsys: pytest.CaptureFixture[str], what: str,
                                                 says: str | None) -> None:
    (here / "both.py").write_text(ONE)
    folder(here, "mine", 'python = "../both.py"\n')
    folder(here, "none", "")
    code = main(["review", f"./{what}", "--rung", "py", "--examples", "4", "--format", "text", "-q"])
    text = capsys.readouterr()
    assert (code == 0 and "./mine: 4 examples" in text.out) if says is None else (code == 3 and says in text.err), text


@pytest.mark.parametrize(("given", "says"), [
    ("", "an empty series name"), ("nope", "no series 'nope': neither a folder of patches/"),
    ("./nope", "./nope: no such file"),
    ("./nope.py", "no such file"), ("./empty.py", "there is no Series in it"), ("./broken.py", "SyntaxError: "),
    ("./raises.py", "ZeroDivisionError: division by zero (raises.py:1)"),
    ("./one_of_mine.py:nope", "no Series 'nope' in it: there is series"),
    ("./empty.mbox", "no patch in it: the file is empty"), ("./text.mbox", "there is no diff, only text"),
    ("./hollow", "no patch in it"),
    ("json", "there is no Series in it"), ("json:x", "there is no Series in it"),
    ("no.such.module:x", "no series 'no.such.module:x'"),
    ("./badhunk.py", "a hunk is (old, new)"), ("a\0b", "no series 'a"), ("x" * 300, "File name too long"),
    ("..", "no patch in it"),
    ("./wrongtoml", "there is no such module"), ("./unknown", "unknown key 'pythom'"), ("name with spaces", "no series"),
])
def test_what_is_none(here: Path, given: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 3, by the function and by a command."""
    for name, text in (("empty.py", ""), ("broken.py", "x = = 1\n"), ("raises.py", "1 / 0\n"), ("empty.mbox", ""),
                       ("text.mbox", "Hello\n"), ("badhunk.py", ONE.replace(', "    if sbi.dif0.file or sbi is None:\\n"', ""))):
        (here / name).write_text(text)
    (here / "hollow").mkdir()
    folder(here, "wrongtoml", 'python = "no.such.module:x"\n')
    folder(here, "unknown", 'pythom = "x"\n')
    with pytest.raises(ConfigError) as e:
        whole(given)
    assert says in str(e.value) and "\n" not in str(e.value)
    assert main(["mount", "sample:demo.erofs", "--series", given]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("kemu: mount: --series") and says in err


# ------------------------------------------------------------------------- the commands

def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(list(args))
    said = capsys.readouterr()
    return code, said.out, said.err


ONE_S, TWO_S, SAYS_S = ("--series", "./one_of_mine.py"), ("--series", "./two_of_mine.py"), ("--series", "./says_so.py")
WRONG = ("series two: hunk does not apply to erofs_kill_sb(): nearest is line 5, 'if sbi.dif0.file:', and the hunk wants "
         "'if sbi.dif0.file or sbi is None:'\n")


@pytest.mark.parametrize("command", [("mount", "sample:demo.erofs", "--ls", "/"), ("boot", "sample:root.cpio"),
                                     ("fuzz", "bdev.ground-truth", "--examples", "2"), ("compare", "sample:root.cpio"),
                                     ("review", "./says_so.py", "--examples", "3")], ids=lambda c: c[0])
def test_the_order_is_respected_on_every_command(here: Path, command: tuple[str, ...],
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *command, *ONE_S, *TWO_S)[0] == 0
    code, _, err = run(capsys, *command, *TWO_S, *ONE_S)
    assert code == 3 and err.splitlines(keepends=True)[-1] == f"kemu: {command[0]}: {WRONG}"
    code, _, err = run(capsys, *command, *ONE_S, *ONE_S)
    assert code == 3 and err == f"kemu: {command[0]}: --series ./one_of_mine.py: one is given twice\n"


def test_what_a_back_end_has_changed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "mount", "sample:demo.erofs", "--backend", "memback", *ONE_S)
    assert code == 3
    assert err == ("kemu: mount: series one: hunk does not apply to erofs_kill_sb() as erofs-memback left it: nearest is line 5, "
                   "'if sbi.dif0.file or erofs_is_memback_mode(sbi):', and the hunk wants 'if sbi.dif0.file:'\n")
    (here / "on_memback.py").write_text(HEAD + """
series = Series("on", ("erofs_memback",))
series.edits(super.erofs_kill_sb, ("    if sbi.dif0.file or erofs_is", "    if sbi.dif0.file or sbi is None or erofs_is"))
""")
    assert run(capsys, "mount", "sample:demo.erofs", "--backend", "memback", "--series", "./on_memback.py")[0] == 0
    assert run(capsys, "mount", "sample:demo.erofs", "--series", "./on_memback.py")[0] == 3


def test_a_series_for_what_another_brings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "of_memback.py").write_text("from kemu.linux.port.series import Series\nfrom erofs_memback import memback\n"
                                        'series = Series("of", ("erofs_memback",))\n'
                                        "series.edits(memback.erofs_memback_bio_alloc, "
                                        '("def erofs_memback_bio_alloc(", "def erofs_memback_bio_alloc( "))\n')
    assert run(capsys, "mount", "sample:demo.erofs", "--backend", "memback", "--series", "./of_memback.py")[0] == 0
    code, _, err = run(capsys, "mount", "sample:demo.erofs", "--series", "./of_memback.py")
    assert code == 3
    assert err == ("kemu: mount: series of: it changes erofs_memback_bio_alloc of erofs-memback, which is not there before it: "
                   "--series erofs_memback.memback brings it\n")


@pytest.mark.parametrize("design", ["upstream", "initerofs-rfc", "layered"])
def test_an_initcall_of_every_design(here: Path, design: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "boot", "sample:root.cpio", "--design", design, "--dmesg", *SAYS_S)
    assert code == 0 and out.splitlines().count("says: here") == 1
    assert "says: here" not in run(capsys, "boot", "sample:root.cpio", "--design", design, "--dmesg")[1]


def test_a_rung_that_needs_the_other_half(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(here)
    assert run(capsys, "mount", "sample:demo.erofs", "--series", "./inc")[2].startswith(
        "kemu: mount: --series ./inc: it has C patches only, and the port needs a Python Series")
    for command in (("mount", "sample:demo.erofs"), ("boot", "sample:root.cpio"), ("fuzz", "bdev.damaged", "--examples", "1")):
        code, _, err = run(capsys, *command, "--rung", "c", *ONE_S)
        assert code == 3
        assert err.startswith(f"kemu: {command[0]}: --series ./one_of_mine.py: it has no C patches, which this rung needs")


def test_tree_and_base_go_together(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "mount", "sample:demo.erofs", "--base", "HEAD") == (2, "", "kemu: mount: --base: goes with --tree DIR\n")
    code, _, err = run(capsys, "mount", "sample:demo.erofs", "--tree", ".")
    assert code == 2 and "goes with --base REV" in err


BROKEN = HEAD + """
series = Series("broken", ("erofs_memback",))
series.edits(inode.erofs_read_inode, ("            inode.i_size = dic.i_size\\n", "            inode.i_size = dic.i_size + 1\\n"))
"""
SAME = BROKEN.replace("dic.i_size + 1", "0 + dic.i_size").replace('"broken"', '"same"')


def test_a_series_of_ones_own_is_reviewed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it breaks is found, and replayed with it; what the base shows as well is not told as its own."""
    (here / "breaks.py").write_text(BROKEN)
    code, out, err = run(capsys, "review", "./breaks.py", "--examples", "150", "--workers", "1", "--json")
    found = json.loads(out)["findings"]
    assert code == 1 and found and not err
    assert run(capsys, "replay", found[0]["token"], "--series", "./breaks.py")[0] == 1
    code, out, _ = run(capsys, "replay", found[0]["token"])
    assert code == 0 and "nothing is wrong on this run" in out
    report = run(capsys, "replay", found[0]["token"], "--series", "./breaks.py")[1]
    last = report.splitlines()[-1]
    assert last.startswith(f"kemu replay {found[0]['token']}") and last.endswith(" --series ./breaks.py")


def test_a_harmless_series_has_no_finding(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "harmless.py").write_text(SAME)
    code, out, err = run(capsys, "review", "./harmless.py", "--examples", "150", "--workers", "1", "--json")
    assert code == 0 and json.loads(out)["findings"] == [] and not err


def test_experiments_whose_series_leave_other_text_are_left_out_and_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "review", "./one_of_mine.py", "--examples", "3", "--workers", "1")
    assert code == 0 and "experiments are left out (memback.copies-as-claimed, " in err and "as erofs-memback left it" in err
    assert err.count("\n") == 1
    code, _, err = run(capsys, "review", "./two_of_mine.py", "--examples", "3")
    assert code == 3 and err.startswith("kemu: review: series two: hunk does not apply") and err.count("\n") == 1


@pytest.mark.parametrize(("name", "code"), [("nope", 2), ("./nope.py", 3), ("./one_of_mine.py:nope", 3), ("initramfs.verify", 3)])
def test_a_review_of_what_is_none(here: Path, name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    got, _, err = run(capsys, "review", name, "--examples", "1")
    assert got == code and err.count("\n") == 1 and err.startswith("kemu: review: ")
