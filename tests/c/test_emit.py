# SPDX-License-Identifier: GPL-2.0-only
"""Every ported function of fs/erofs, emitted: how many compile unaided, and how many do as the original does.

The figures are floors: they may rise. ``kemu series emit --ports erofs_memback --check`` prints who falls short.
"""
from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.cli import main
from kemu.report.csource import find_function
from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import Tree
from kemu.series.emit.behave import digest
from kemu.series.emit.cases import cases
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.function import emit
from kemu.series.emit.headers import preprocessed
from kemu.series.emit.ports import head_of, modules
from kemu.series.emit.report import Report, behaviour, objects_of, of_package, of_series
from kemu.series.whole import whole
from tests.conftest import DATA
from tests.fidelity.corpus import SHARED

PACKAGE = "erofs_memback"
WHOLE = SHARED / "erofs"
COMPILE = 0.95                         # of all whose C the configuration has
EQUAL = 0.98                           # of those that compile and that an image reaches
BEHAVE = 0.90 if WHOLE.is_dir() else 0.80           # of all: those that an image reaches, and that do as the original


@pytest.fixture(scope="module")
def report(tree: Tree, library: Callable[[str], Library]) -> Report:
    library("plain")
    return of_package(PACKAGE, tree)


def test_they_compile_unaided(report: Report) -> None:
    assert len(report.results) + len(report.outside) == sum(len(m.ports) for m in modules(PACKAGE)) > 200
    short = [r.name for r in report.results if not r.compiles]
    assert len(report.compiled) >= COMPILE * len(report.results), short
    assert all(r.missing or r.errors or r.refused for r in report.results if not r.compiles), "and says why"


def test_they_behave_as_the_originals(report: Report, tree: Tree) -> None:
    behaviour(report, tree, [WHOLE if WHOLE.is_dir() else DATA / "erofs"], damaged=200)
    v = report.verdict
    assert v is not None and report.cases > 200
    reached = len(v.equal) + len(v.different)
    assert reached + len(v.unreached) == len(report.compiled)
    assert len(v.equal) >= BEHAVE * len(report.results), sorted(r.name for r in v.unreached)
    assert len(v.equal) >= EQUAL * reached, [(r.name, why) for r, why in v.different]


def test_a_wrong_translation_is_told(report: Report, tree: Tree) -> None:
    wrong = Report([r for r in report.compiled if r.name in ("erofs_fill_dentries", "erofs_blknr", "erofs_readdir")])
    of = next(r for r in wrong.results if r.name == "erofs_fill_dentries")
    right = of.text
    of.text = right.replace("nameoff + de_namelen", "nameoff + de_namelen + 1")
    try:
        assert of.text != right
        behaviour(wrong, tree, [DATA / "erofs"], damaged=0)
    finally:
        of.text = right
    assert wrong.verdict is not None and [r.name for r, _ in wrong.verdict.different] == ["erofs_fill_dentries"]


def test_our_series_is_a_patch_that_builds_and_changes_nothing_else(tree: Tree, library: Callable[[str], Library],
                                                                     tmp_path: Path) -> None:
    made = of_series("erofs-memback", tree)
    assert (made.outcome.missing, made.outcome.errors) == ([], [])
    names = {os.path.basename(p) for p in made.outcome.files}
    assert names == {"Makefile", "data.c", "internal.h", "memback.c", "super.c", "zdata.c"}
    assert made.outcome.functions >= 16 and made.outcome.hunks == 12
    patch = Patch("emitted", made.subject, made.text.encode())
    changed = build(Recipe(tree, patches=(patch,), slot="emit"), "plain")
    asked = cases([DATA / "erofs"], damaged=100)
    answers = []
    for lib in (library("plain"), changed):
        with Kernel(library=lib) as k:
            answers.append([digest(k.erofs(c.image, facts=True, **c.how))[0] for c in asked if c.kind == "mount"])
    assert answers[0] == answers[1] and len(answers[0]) > 100
    path = tmp_path / "emitted.patch"
    path.write_text(made.text)
    assert _checkpatch(tree, path) == []


def test_the_posted_series_is_a_patch_too(tree: Tree, library: Callable[[str], Library], tmp_path: Path) -> None:
    """Statics, structures of the new file, a structure of the port made longer that is passed by value, names of its own."""
    library("plain")
    made = of_series("erofs-memback-rfc", tree)
    assert (made.outcome.missing, made.outcome.errors) == ([], [])
    assert (made.outcome.functions, made.outcome.hunks) == (10, 11)
    added = [line[1:] for line in made.text.splitlines() if line.startswith("+") and not line.startswith("+++")]
    for line in ("\tvoid *memback_data;", "\tbool memback;", "void *erofs_memback_pending_data;",
                 "u64 erofs_memback_pending_size;", "\tif (!buf->memback)", "\tif (erofs_memback_pending_data) {"):
        assert line in added, line
    assert "rfc" not in made.text.partition("\n---\n")[2], "the port's own names are not C's"
    path = tmp_path / "emitted.patch"
    path.write_text(made.text)
    assert _checkpatch(tree, path) == []
    done = subprocess.run(["git", "apply", "--check", str(path)], cwd=tree.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


HOME = '''"""It says at each mount how long it is."""
from erofs_memback import inode, super
from erofs_memback.internal import EROFS_SB, erofs_is_fileio_mode
from erofs_memback.super import erofs_info
from kemu.linux.blkdev import bdev_nr_bytes
from kemu.linux.fs import file_inode, i_size_read
from kemu.linux.port.honesty import port_of
from kemu.linux.port.series import Series

series = Series("home", ("erofs_memback",), "erofs: Say how long it is")


@port_of("fs/erofs/super.c", "erofs_size", posted="2026-11-30")
def erofs_size(sb):
    sbi = EROFS_SB(sb)
    if erofs_is_fileio_mode(sbi):
        return i_size_read(file_inode(sbi.dif0.file))
    return bdev_nr_bytes(sb.s_bdev)


@port_of("fs/erofs/super.c", "erofs_say_size", posted="2026-11-30")
def erofs_say_size(sb):
    if not sb.s_bdev and not erofs_is_fileio_mode(EROFS_SB(sb)):
        return
    erofs_info(sb, "%lld bytes", erofs_size(sb))


series.edits(super.erofs_fc_fill_super, ("    sbi.dir_ra_bytes = EROFS_DIR_RA_BYTES\\n",
                                         "    erofs_say_size(sb)\\n    sbi.dir_ra_bytes = EROFS_DIR_RA_BYTES\\n"),
             names={"erofs_say_size": erofs_say_size})
'''


def test_functions_of_a_file_that_there_is(tree: Tree, library: Callable[[str], Library], tmp_path: Path) -> None:
    """They go there, before the function that calls them; types of parameters and void are told by what is done with them."""
    library("plain")
    (tmp_path / "home.py").write_text(HOME)
    made = of_series(str(tmp_path / "home.py"), tree)
    assert (made.outcome.missing, made.outcome.errors, made.subject) == ([], [], "erofs: say how long it is")
    assert {p for p, t in made.outcome.files.items() if t != (tree.path / p).read_text()} == {"fs/erofs/super.c"}
    added = [line[1:] for line in made.text.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert "static s64 erofs_size(struct super_block *sb)" in added
    assert "static void erofs_say_size(struct super_block *sb)" in added and "\terofs_say_size(sb);" in added
    path = tmp_path / "emitted.patch"
    path.write_text(made.text)
    assert _checkpatch(tree, path) == []


def test_a_series_without_functions_of_its_own_makes_no_file(tree: Tree, library: Callable[[str], Library],
                                                              tmp_path: Path) -> None:
    library("plain")
    (tmp_path / "few.py").write_text(
        'from erofs_memback import super\nfrom kemu.linux.port.series import Series\nseries = Series("few", ("erofs_memback",))\n'
        'series.edits(super.erofs_fc_fill_super, ("ra_bytes = EROFS_DIR_RA_BYTES", "ra_bytes = sb.s_blocksize"))\n')
    made = of_series(str(tmp_path / "few.py"), tree)
    assert [line for line in made.text.splitlines() if line.startswith(("+\t", "-\t"))] == [
        "-\tsbi->dir_ra_bytes = EROFS_DIR_RA_BYTES;", "+\tsbi->dir_ra_bytes = sb->s_blocksize;"]
    assert made.text.count("diff --git") == 1


def test_both_halves_are_tied(tree: Tree, library: Callable[[str], Library], tmp_path: Path,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder too; what stands in the folder already is left alone."""
    library("plain")
    (tmp_path / "tied_home.py").write_text(HOME)
    monkeypatch.chdir(tmp_path)
    assert main(["series", "emit", "./tied_home.py:series", "-o", "out/home"]) == 0
    found = whole("out/home")
    assert found.c is not None and len(found.c.patches) == 1 and found.python is not None and found.python.name == "home"
    monkeypatch.chdir("/")
    assert whole(str(tmp_path / "out" / "home")).python is not None
    toml = tmp_path / "out" / "home" / "series.toml"
    toml.write_text('title = "mine"\n')
    assert main(["series", "emit", str(tmp_path / "tied_home.py"), "-o", str(toml.parent)]) == 0
    assert toml.read_text() == 'title = "mine"\n'


def _checkpatch(tree: Tree, path: Path) -> list[str]:
    """What it says, but for what is for the sender: a name under it, and MAINTAINERS."""
    said = subprocess.run(["perl", str(tree.path / "scripts/checkpatch.pl"), "--no-tree", "--terse", str(path)],
                          capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if re.search(": (ERROR|WARNING): ", line)
            and "Signed-off-by" not in line and "MAINTAINERS" not in line]


def test_the_originals_are_not_looked_at(tree: Tree) -> None:
    """The same C comes out when the file's own functions have no bodies."""
    objects, path = objects_of(tree), "fs/erofs/namei.c"
    text = (tree.path / path).read_text()
    blank = re.sub(r"^\{\n.*?^\}", "{\n}", text, flags=re.S | re.M)
    assert "erofs_bread" in text and "erofs_bread" not in blank
    (module,) = [m for m in modules(PACKAGE) if m.name.endswith(".namei")]
    with tempfile.TemporaryDirectory() as name:
        empty = Path(name) / "namei.c"
        empty.write_text(blank.replace('"xattr.h"', f'"{tree.path}/fs/erofs/xattr.h"'))
        there, here = (Declarations(preprocessed(objects, "fs/erofs/namei.o", p)) for p in (tree.path / path, empty))
    done = 0
    for port in module.ports:
        of = find_function(text, port.name)
        assert of is not None
        made = [emit(module, port.node, d, head_of(of), port.name, path=path).text for d in (there, here)]
        assert made[0] == made[1]
        done += 1
    assert done == 5
