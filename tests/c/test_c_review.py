# SPDX-License-Identifier: GPL-2.0-only
"""A review of C patches: wrong ones are found, right ones are not, and a finding is seen again by its token."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kemu.rung.c.build import Library
from kemu.rung.uml.patches import read_patch
from kemu.rung.uml.tree import Tree
from kemu.series.review import changed, session, together

PATCHES = Path(__file__).parent / "review"
WRONG = sorted((PATCHES / "wrong").glob("*.patch"))
RIGHT = sorted((PATCHES / "right").glob("*.patch"))
QUICK = {"w-field", "w-width", "w-early-free", "r-helper"}
SECONDS = 60.0


def reviewed(tree: Tree, path: Path, seconds: float) -> together.Review:
    return together.review(session.prepare(tree, read_patch(path)), seconds)


def chosen(paths: list[Path]) -> list[object]:
    return [pytest.param(p, id=p.stem, marks=[] if p.stem in QUICK else [pytest.mark.review]) for p in paths]


@pytest.mark.parametrize("path", chosen(WRONG))
def test_a_wrong_patch_is_found(tree: Tree, library: object, path: Path) -> None:
    result = reviewed(tree, path, SECONDS)
    assert result.found or result.warnings, (result.trials, result.notes)


@pytest.mark.parametrize("path", chosen(RIGHT))
def test_a_right_patch_shows_nothing(tree: Tree, library: object, path: Path) -> None:
    result = reviewed(tree, path, 8.0 if path.stem in QUICK else SECONDS)
    assert not result.found and not result.warnings, [f.difference.title for f in result.found]


def test_what_a_patch_changes(tree: Tree) -> None:
    of = changed.of_patches(read_patch(PATCHES / "wrong" / "w-field.patch"), tree)
    assert of.functions == {("fs/erofs/super.c", "erofs_statfs")}
    [(path, line)] = of.lines
    assert of.holding(path, line) == "erofs_statfs"


def test_functions_of_a_file() -> None:
    text = ["static int a(int x)", "{", "\treturn x;", "}", "", "int b(void);", "struct s {", "\tint c;", "};", "void",
            "d(struct s *p,", "  int y)", "{", "}"]
    assert changed.functions_of(text) == [(1, 4, "a"), (11, 14, "d")]


def test_the_command(tree: Tree, library: object, capfd: pytest.CaptureFixture[str]) -> None:
    from kemu.cli import main

    code = main(["review", str(PATCHES / "wrong" / "w-field.patch"), "--seconds", "20", "--json", "-q"])
    out = json.loads(capfd.readouterr().out)
    assert code == 1
    finding = out["findings"][0]
    assert finding["function"] == "erofs_statfs" and "super.c" in finding["c_location"]
    assert main(["replay", finding["token"]]) == 1
    assert finding["title"] in capfd.readouterr().out


def test_what_kills_the_process(tree: Tree, library: object, tmp_path: Path) -> None:
    """A patch that leaves the process (exit(3), as a wild store may): found, and again by its token."""
    path = tmp_path / "leaves.patch"
    text = (PATCHES / "wrong" / "w-field.patch").read_text()
    right, wrong = "\tbuf->f_ffree = ULLONG_MAX - sbi->inos;\n", "\tbuf->f_ffree = ULLONG_MAX - sbi->total_blocks;\n"
    leaves = '\tasm volatile("syscall" : : "a" (231), "D" (3) : "rcx", "r11", "memory");\n'
    text = text.replace(f"-{right}+{wrong}", f" {right}+{leaves}").replace("@@ -1008,7 +1008,7 @@", "@@ -1008,7 +1008,8 @@")
    path.write_text(text)
    pair = session.prepare(tree, read_patch(path))
    result = together.review(pair, 10.0, workers=1)
    [found] = result.found
    assert found.difference.title == "the process that runs the kernel ended with exit code 3"
    again = together.contained(pair, found.trials)
    assert again is not None and again.key() == found.difference.key()


__all__ = ["Library"]
