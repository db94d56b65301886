# SPDX-License-Identifier: GPL-2.0-only
"""What tools say of a file, and what of it is new."""
from __future__ import annotations

import difflib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.rung.c.objects import flags_of
from kemu.rung.uml.cache import default_tree
from kemu.series.static.remark import Remark, new, parse
from kemu.series.static.tools import new_remarks, sparse, tools_here, warnings

CODE = """typedef unsigned int __attribute__((bitwise)) __le32;
struct disk { __le32 size; };
unsigned int f(struct disk *d);
unsigned int f(struct disk *d)
{
	return (__attribute__((force)) unsigned int)d->size;
}
"""


def objects(folder: Path, text: str) -> Path:
    """A tree with one file that kbuild has compiled."""
    out = folder / "objects"
    (out / "fs").mkdir(parents=True)
    (folder / "fs").mkdir()
    (folder / "fs" / "a.c").write_text(text)
    (out / "fs" / ".a.o.cmd").write_text("savedcmd_fs/a.o := gcc -Wp,-MMD,fs/.a.o.d -Wall -O2 -c -o fs/a.o ../fs/a.c ; true\n")
    return out


def test_remarks_are_read_and_compared_whatever_line_they_are_at() -> None:
    said = "../fs/a.c:3:1: warning: x of 4 bytes [-Wx]\n"
    a = parse("t", f"../fs/a.c: In function 'f':\n{said}{said}../fs/a.c:9: error: no\nnoise\n")
    assert [(r.file, r.line, r.kind) for r in a] == [("fs/a.c", 3, "warning"), ("fs/a.c", 9, "error")]
    b = [*a, Remark("t", "fs/a.c", 77, "warning", "x of 8 bytes [-Wx]")]
    assert new(a, b) == b[2:] and not new(b, a) and new([], a) == a
    assert str(b[2]) == "fs/a.c:77: x of 8 bytes [-Wx]"


def test_a_saved_command() -> None:
    flags, source = flags_of("gcc -Wp,-MMD,fs/.a.d -DX='\"a b\"' -c -o fs/a.o ../fs/a.c ; ./tools/objtool fs/a.o")
    assert flags == ['-DX="a b"'] and source == "../fs/a.c"


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
def test_a_new_warning_of_the_compiler_is_told_once_and_the_bases_are_not(tmp_path: Path) -> None:
    old = "void g(void);\nvoid g(void)\n{\n\tint known = 1;\n\n\tknown = 2;\n}\n"
    (tmp_path / "b").mkdir()
    (tmp_path / "s").mkdir()
    base = objects(tmp_path / "b", CODE + old)
    series = objects(tmp_path / "s", "\n\n" + CODE + old + "void h(void);\nvoid h(void)\n{\n\tint mine = 1;\n\n\tmine = 2;\n}\n")
    assert [r.text for r in warnings(base, "fs/a.o")] and not new_remarks(base, base, ["fs/a.o"])
    found = new_remarks(base, series, ["fs/a.o", "fs/a.o", "fs/absent.o"])
    assert len([r for r in found if r.tool == "W=1"]) == 1 and "mine" in found[0].text and found[0].file == "fs/a.c"
    (base / "fs" / ".a.o.cmd").unlink()                # a new file: all is new
    told = [r.text for r in new_remarks(base, series, ["fs/a.o"]) if r.tool == "W=1" and "set but not used" in r.text]
    assert len(told) == 2


@pytest.mark.skipif(not shutil.which("sparse"), reason="no sparse")
def test_a_missing_conversion_is_what_sparse_says(tmp_path: Path) -> None:
    out = objects(tmp_path, CODE.replace("(__attribute__((force)) unsigned int)", ""))
    assert [r.line for r in sparse(out, "fs/a.o")] == [6] and "incorrect type" in sparse(out, "fs/a.o")[0].text
    assert sparse in tools_here(out)


def test_a_check_takes_a_mail_as_b4_gives_it(tmp_path: Path) -> None:
    if not (default_tree() / "Makefile").exists() or not shutil.which("git"):
        pytest.skip("no kernel tree: kemu linux fetch")
    path = "Documentation/filesystems/erofs.rst"
    old = (default_tree() / path).read_text().splitlines(keepends=True)
    diff = difflib.unified_diff(old, [*old, "\n", "A line.\n"], f"a/{path}", f"b/{path}")
    mail = "From: A <a@example.org>\nSubject: [PATCH] Documentation: erofs: a line\n\nIt says more.\n---\n" + "".join(diff)
    check = [sys.executable, "-m", "kemu", "series", "check", "-"]
    run = subprocess.run([*check, "--json"], input=mail, capture_output=True, text=True)
    rows = json.loads(run.stdout)
    assert run.returncode == 0 and {"tool": "apply", "status": "pass"}.items() <= rows[0].items(), run.stderr
    empty = subprocess.run(check, input="", capture_output=True, text=True)
    assert empty.returncode == 3 and empty.stderr == "kemu: series: check: -: no mail on standard input\n"
