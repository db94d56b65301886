# SPDX-License-Identifier: GPL-2.0-only
"""A change between two emitted forms lands in the tree's own form; lines are laid out as the kernel's; patches apply."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kemu.rung.uml.errors import ConfigError
from kemu.series.emit import layout
from kemu.series.emit.finding import find
from kemu.series.emit.hunks import merge, units
from kemu.series.emit.patchmail import diff, mail, name_of

BEFORE = """int f(struct a *a)
{
	if (!a->b)
		return -EINVAL;
	if (ready(a)) {
		a->x = 1;
	} else {
		a->x = 2;
	}
	put(a);
	return 0;
}"""
TREE = """int f(struct a *a)
{
	/* what it is for */
	if (unlikely(!a->b))
		return -EINVAL;

	if (ready(a))
		a->x = 1;
	else
		a->x = 2;
#ifdef CONFIG_X
	more(a, 1);
#endif
	put(a);
	return 0;
}"""


def test_an_insertion_keeps_what_the_tree_has() -> None:
    after = BEFORE.replace("	put(a);", "	get(a);\n	put(a);")
    assert merge(BEFORE, TREE, after) == TREE.replace("	put(a);", "	get(a);\n	put(a);")


def test_a_condition_is_changed_where_it_stands() -> None:
    after = BEFORE.replace("if (!a->b)", "if (!a->b || a->c)")
    assert merge(BEFORE, TREE, after) == TREE.replace("	/* what it is for */\n	if (unlikely(!a->b))", "	if (!a->b || a->c)")


def test_depths_may_differ() -> None:
    deeper = TREE.replace("	put(a);", "	if (a->z) {\n		put(a);\n	}")
    after = BEFORE.replace("	put(a);", "	put(a);\n	put(a->b);")
    made = merge(BEFORE, deeper, after)
    assert made is not None and "\t\tput(a);\n\t\tput(a->b);\n\t}" in made


def test_what_has_no_place_is_said() -> None:
    assert merge(BEFORE, "int f(struct a *a)\n{\n	return other(a);\n}", BEFORE.replace("	put(a);", "	get(a);")) is None


def test_a_statement_is_a_unit_however_it_is_broken() -> None:
    keys = [u.key for u in units("\tmore(a,\n\t     1);\n	if (x &&\n	    y) {\n		z();\n	} else\n		w();")]
    assert keys == ["more(a,1);", "if(x&&y)", "z();", "else", "w();"]


@pytest.mark.parametrize("text", [
    "erofs_err(sb, \"a message that is long enough %llu %llu\", vi->nid, erofs_blknr(sb, pos + 1), more);",
    "if (a_long_condition_of_some_kind(with, arguments) && another_condition(with, more) || third) {",
    "x->member_with_a_long_name = a_function_of_a_long_name(first_argument, second_argument, third);",
    "foo(a_rather_long_function_name(argument_number_one, two), number_three_here, four, and_five);"])
@pytest.mark.parametrize("depth", [1, 3])
def test_lines_fit(text: str, depth: int) -> None:
    lines = layout.lay(depth, text)
    assert "".join(x.strip() for x in lines).replace(" ", "") == text.replace(" ", "")
    assert all(layout.columns(x) <= 80 for x in lines) and all(x.startswith("\t" * depth) for x in lines)


def test_a_string_is_never_broken() -> None:
    text = 'erofs_err(sb, "' + "word " * 20 + '", a);'
    assert any('"' + "word " * 20 + '"' in line for line in layout.lay(2, text))


def test_a_patch_applies(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("one\ntwo\n")
    text = mail("x: add", "why", diff(tmp_path, {"a.c": "one\n2\n", "b.c": "new\n"}))
    (tmp_path / "p").write_text(text)
    done = subprocess.run(["git", "apply", "p"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.c").read_text() == "one\n2\n" and (tmp_path / "b.c").read_text() == "new\n"
    assert "2 files changed, 2 insertions(+), 1 deletions(-)" in text and "Signed-off-by" not in text
    assert name_of("erofs: mount from memory!") == "0001-erofs-mount-from-memory.patch"


def test_a_series_is_found_by_what_series_takes(tmp_path: Path) -> None:
    series, module = find("erofs-memback")
    assert series is find("erofs_memback.memback:series")[0] and module.name == "erofs_memback.memback"
    mine = tmp_path / "mine.py"
    mine.write_text("from kemu.linux.port.series import Series\n"
                    "from erofs_memback.memback import series as other\n"
                    "mine = Series('mine', ('erofs_memback',))\n")
    assert find(str(mine))[1].path == mine
    patch = tmp_path / "0001-c.patch"
    patch.write_text("From: a <a@b>\nSubject: [PATCH] c\n\n---\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    for name, said in (("nothing-like-it", "no series"), ("erofs_memback.data", "no Series"), ("no.module", "no series"),
                       (str(patch), "it is C already"), (str(tmp_path / "not.py"), "no such file")):
        with pytest.raises(ConfigError, match=said):
            find(name)


def test_a_statement_that_comes_into_a_block_moves_with_it() -> None:
    after = BEFORE.replace("\tput(a);", "\tif (a->z)\n\t\tput(a);")
    assert merge(BEFORE, TREE, after) == TREE.replace("\tput(a);", "\tif (a->z)\n\t\tput(a);")


def test_a_branch_more_has_brackets_where_the_others_have() -> None:
    tree = TREE.replace("\tif (ready(a))\n\t\ta->x = 1;\n\telse\n", "\tif (ready(a)) {\n\t\ta->x = 1;\n\t} else\n")
    after = BEFORE.replace("\t} else {\n", "\t} else if (a->y) {\n\t\ta->x = 3;\n\t} else {\n")
    made = merge(BEFORE, tree, after)
    assert made is not None and made.count("{") == made.count("}")
    assert "\t\ta->x = 1;\n\t} else if (a->y) {\n\t\ta->x = 3;\n\t} else\n\t\ta->x = 2;\n" in made
    assert "/* what it is for */" in made and "unlikely" in made


def test_what_moves_to_the_left_is_broken_where_it_has_to_be() -> None:
    deep = BEFORE.replace("\tput(a);", "\tput(a);\n\tif (a->w) {\n\t\twhile (1) {\n\t\t\tfirst(a->bbbbbbbbbbbbbbbbbbbb);\n"
                          "\t\t}\n\t}")
    tree = TREE.replace("\tput(a);", "\tput(a);\n\twhile (1)\n\t\tfirst(a->bbbbbbbbbbbbbbbbbbbb);")
    after = deep.replace("\t\t\tfirst(a->bbbbbbbbbbbbbbbbbbbb);", "\t\t\tsecond(a->bbbbbbbbbbbbbbbbbbbb,\n\t\t\t       a->c);\n"
                         "\t\t\tfirst(a->bbbbbbbbbbbbbbbbbbbb);")
    made = merge(deep, tree, after)
    assert made is not None and "\t\tsecond(a->bbbbbbbbbbbbbbbbbbbb, a->c);\n" in made
