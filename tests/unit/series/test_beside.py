# SPDX-License-Identifier: GPL-2.0-only
"""``kemu port diff --series``: functions of a Python Series beside the hunks of its C half."""
from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.cli import main

SUPER = """\
static void erofs_kill_sb(struct super_block *sb)
{
	struct erofs_sb_info *sbi = EROFS_SB(sb);

	if (sbi->dif0.file)
		kill_anon_super(sb);
}

static int erofs_other(int a)
{
	return a + 1;
}
"""
NEW = SUPER.replace("dif0.file)", "dif0.file || mine_wants(sbi))").replace("a + 1", "a + 2").replace("static int", """\
static bool mine_wants(struct erofs_sb_info *sbi)
{
	return false;
}

static int""")


def patch(old: str = SUPER) -> str:
    lines = difflib.unified_diff(old.splitlines(True), NEW.splitlines(True), "a/fs/erofs/super.c", "b/fs/erofs/super.c")
    return "From: A <a@example.org>\nSubject: [PATCH] erofs: mine\n\n---\n" + "".join(lines)


MINE = """\
from kemu.linux.port.series import Series
from erofs_memback import super

series = Series("mine-beside", ("erofs_memback",), c="mine.patch")


def mine_wants(sbi):
    return False


series.edits(super.erofs_kill_sb, ("    if sbi.dif0.file:\\n", "    if sbi.dif0.file or mine_wants(sbi):\\n"),
             names={"mine_wants": mine_wants})
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    t = tmp_path / "linux"
    (t / "fs/erofs").mkdir(parents=True)
    (t / "Makefile").write_text("VERSION = 7\n")
    (t / "fs/erofs/super.c").write_text(SUPER)
    (tmp_path / "mine.patch").write_text(patch())
    (tmp_path / "mine_beside.py").write_text(MINE)
    path = list(sys.path)
    yield t
    sys.path[:] = path
    sys.modules.pop("mine_beside", None)


def diff(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["port", "diff", *args, "--tree", "linux"])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_both_halves_change_stands_beside(tree: Path, capsys: pytest.CaptureFixture[str],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = diff(capsys, "erofs_kill_sb", "--series", "./mine_beside.py")
    rows = [[side.strip() for side in line.partition(" | ")[::2]] for line in out.splitlines()]
    assert code == 0 and rows[0] == ["fs/erofs/super.c:1", "erofs_memback.super:erofs_kill_sb"]
    assert ["-     if (sbi->dif0.file)", "-     if sbi.dif0.file:"] in rows
    assert ["+     if (sbi->dif0.file || mine_wants(sbi))", "+     if sbi.dif0.file or mine_wants(sbi):"] in rows
    code, out, _ = diff(capsys, "mine_wants", "--series", "./mine_beside.py")
    assert code == 0 and "+     return false;" in out and "+     return False" in out


def test_all_that_is_changed_and_what_one_half_misses(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = diff(capsys, "--series", "./mine_beside.py")
    assert code == 0 and [(line.split()[0], line.split("Python ")[1].split("  ")[0]) for line in out.splitlines()] == [
        ("erofs_kill_sb", "+1 -1"), ("erofs_other", "none"), ("mine_wants", "+2 -0")]
    rows = json.loads(main_json(capsys))
    assert rows[0]["function"] == "erofs_kill_sb" and rows[0]["c"]["before"] != rows[0]["c"]["after"]


def test_the_port_of_what_only_the_c_changes_stands_beside(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = diff(capsys, "--series", "./mine.patch")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and "Python as it is" in rows["erofs_kill_sb"]
    assert "erofs_memback.super:erofs_kill_sb" in rows["erofs_kill_sb"]
    assert "Python none" in rows["erofs_other"]


def main_json(capsys: pytest.CaptureFixture[str]) -> str:
    return diff(capsys, "--series", "./mine_beside.py", "--json")[1]


def test_errors(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = diff(capsys, "erofs_iget", "--series", "./mine_beside.py")
    assert (code, err) == (1, "kemu: port: mine-beside leaves 'erofs_iget' as it is; what it changes or brings: erofs_kill_sb, "
                              "erofs_other, mine_wants\n")
    Path("mine.patch").write_text(patch(SUPER.replace("dif0.file)", "dif1.file)")))
    code, _, err = diff(capsys, "erofs_kill_sb", "--series", "./mine_beside.py")
    assert code == 3 and err.startswith("kemu: port: --series: mine.patch ([PATCH] erofs: mine): fs/erofs/super.c: hunk 1 of 1 ")
    assert err.count("\n") == 1
    assert main(["port", "list", "--series", "./mine_beside.py"]) == 2
    assert capsys.readouterr().err.startswith("kemu: port: --series: list takes none; diff does")
