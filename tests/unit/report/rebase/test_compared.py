# SPDX-License-Identifier: GPL-2.0-only
"""Two small trees, and a module that was written from the older one."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.report.ports import Cited, Ported
from kemu.report.rebase.alike import HAND, LOCAL
from kemu.report.rebase.compared import CHANGED, GONE, MOVED, NEW, Change, Ports, compared

A = """struct box {
	int size;
};

static int helper(int x)
{
	return x + 1;
}

static int loose(int x)
{
	return x;
}

int opened(struct box *b)
{
	int err;

	err = helper(b->size);
	if (err)
		return err;
	return 0;
}

int closed(struct box *b)
{
	return b->size;
}
"""
B = "int elsewhere(void)\n{\n\treturn 1;\n}\n"
PYTHON = '''class box:
    size = 0


def opened(b):
    err = helper(b.size)
    if err:
        return err
    return 0


def closed(b):
    return b.size


def elsewhere():
    return 1
'''


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    (tmp_path / "written_from_a.py").write_text(PYTHON)
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("written_from_a")
    yield Ports([Ported("p", "written_from_a", name, f"fs/x/{file}.c", name, "", "")
                 for name, file in (("opened", "a"), ("closed", "a"), ("elsewhere", "b"))]
                + [Cited("written_from_a", "box", "fs/x/a.c", "box", "-")])
    del sys.modules["written_from_a"]


def ask(tmp_path: Path, known: Ports, a: str = A, b: str = B) -> list[Change]:
    for name, texts in (("old", (A, B)), ("new", (a, b))):
        folder = tmp_path / name / "fs" / "x"
        folder.mkdir(parents=True)
        for file, text in zip("ab", texts):
            if text:
                (folder / f"{file}.c").write_text(text)
    return compared(tmp_path / "old", tmp_path / "new", known)


def test_nothing(tmp_path: Path, known: Ports) -> None:
    assert ask(tmp_path, known, A.replace("int err;", "int\terr;\t/* what went wrong */")) == []


def test_a_line_that_changed_and_where_it_stands(tmp_path: Path, known: Ports) -> None:
    [c] = ask(tmp_path, known, A.replace("if (err)", "if (err < 0)"))
    assert (c.path, c.kind, c.name, c.state, c.how, c.by_rule) == ("fs/x/a.c", "function", "opened", CHANGED, HAND, False)
    assert c.port == "written_from_a.py:5"
    assert [(x.sign, x.number, x.text.strip(), x.place) for x in c.lines] == [
        ("-", 20, "if (err)", "written_from_a.py:7"), ("+", 20, "if (err < 0)", "written_from_a.py:7")]


def test_a_local_of_another_name(tmp_path: Path, known: Ports) -> None:
    [c] = ask(tmp_path, known, A.replace("err", "ret"))
    assert (c.how, c.what, c.by_rule) == (LOCAL, "err is ret", True)


def test_a_structure(tmp_path: Path, known: Ports) -> None:
    [c] = ask(tmp_path, known, A.replace("int size;", "int size;\n\tint more;"))
    assert (c.kind, c.name, c.state, c.port) == ("structure", "box", CHANGED, "written_from_a.py:1")
    assert [x.text.strip() for x in c.lines] == ["int more;"]


def test_a_function_without_a_port_that_a_ported_one_calls(tmp_path: Path, known: Ports) -> None:
    [c] = ask(tmp_path, known, A.replace("x + 1", "x + 2").replace("return x;", "return -x;"))
    assert (c.name, c.port, c.callers) == ("helper", "", ["opened"])


def test_new_and_gone(tmp_path: Path, known: Ports) -> None:
    changes = ask(tmp_path, known, A.replace("int closed(struct box *b)", "int reopened(struct box *b, int how)"))
    assert {(c.name, c.state) for c in changes} == {("closed", GONE), ("reopened", NEW)}


def test_another_name_and_another_file(tmp_path: Path, known: Ports) -> None:
    closed = A[A.index("int closed"):]
    changes = ask(tmp_path, known, A.replace(closed, ""), B + closed)
    assert [(c.name, c.state, c.what) for c in changes] == [("closed", MOVED, "to fs/x/b.c")]


def test_a_file_that_is_gone(tmp_path: Path, known: Ports) -> None:
    assert [(c.name, c.state) for c in ask(tmp_path, known, A, "")] == [("elsewhere", GONE)]
