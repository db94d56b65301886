# SPDX-License-Identifier: GPL-2.0-only
"""The statements in which the two texts of a function part, without what the ports always write in another way."""
from __future__ import annotations

from pathlib import Path

from kemu.machine.series import Series
from kemu.series.diff.lines import first
from kemu.series.diff.pairs import compared, functions

C = """int f(struct a *a)
{
	u32 n = a->n;

	if (unlikely(!a->b))
		return -EINVAL;
	a->x = round_up(n, 8) >> 9;
	kfree(a->b);
	return 0;
}"""
PYTHON = """int f(struct a *a)
{
	u64 n = a->n;

	if (!a->b)
		return -EINVAL;
	a->x = (u64)(round_up(n, 8) >> 9);
	kfree(a->b);
	return 0;
}"""


def test_another_way_to_write_the_same_is_none() -> None:
    assert first(C, PYTHON) == (None, None)


def test_a_statement_that_is_another() -> None:
    c, python = first(C, PYTHON.replace("-EINVAL", "-EIO"))
    assert c is not None and (c.number, c.text) == (5, "return -EINVAL;")
    assert python is not None and python.text == "return -EIO;"


def test_one_that_is_missing() -> None:
    c, python = first(C, PYTHON.replace("\tkfree(a->b);\n", ""))
    assert c is not None and c.text == "kfree(a->b);" and python is None
    c, python = first(C.replace("\tkfree(a->b);\n", ""), PYTHON)
    assert c is None and python is not None and python.text == "kfree(a->b);"


def test_a_cast_that_cuts_off_is_more_than_another_way_to_write_it() -> None:
    c, python = first(C, PYTHON.replace("(u64)", "(u16)"))
    assert c is not None and c.number == 6 and python is not None and "(u16)" in python.text


def test_what_was_so_before_is_not_told() -> None:
    other = PYTHON.replace("a->x = (u64)(round_up(n, 8) >> 9);", "a->x = blocks_of(n);")
    assert first(C, other, C, other) == (None, None)
    c, python = first(C.replace("return 0", "return 1"), other, C, other)
    assert c is not None and c.text == "return 1;"


def test_functions_of_both_halves(tmp_path: Path) -> None:
    from tests.c.diff import planted

    folder = tmp_path / "fs" / "erofs"
    folder.mkdir(parents=True)
    text = "static int erofs_read_inode(struct inode *inode)\n{\n\treturn 0;\n}\n\nstatic int other(int a)\n{\n\treturn a;\n}\n"
    (folder / "inode.c").write_text(text)
    found = functions(planted.errno, tmp_path, {"fs/erofs/inode.c": text.replace("return a", "return a + 1")})
    by_name = {f.name: f for f in found}
    assert set(by_name) == {"erofs_read_inode", "erofs_fill_symlink", "erofs_fill_dentries", "erofs_put_super", "other"}
    assert by_name["other"].in_c and by_name["other"].python is None
    inode = by_name["erofs_read_inode"]
    assert inode.in_python and not inode.in_c and inode.python_before is not None
    assert [f.name for f in compared(found)] == ["erofs_read_inode"]
    assert isinstance(planted.errno, Series)
