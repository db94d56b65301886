# SPDX-License-Identifier: GPL-2.0-only
"""Patch series for ported code."""
from __future__ import annotations

import sys
import textwrap

import pytest

from kemu.machine.machine import Machine
from kemu.machine.series import Series, ShortForms


@pytest.fixture
def pkg(tmp_path, monkeypatch):
    d = tmp_path / "portpkg"
    d.mkdir()
    (d / "__init__.py").write_text("")
    (d / "a.py").write_text(textwrap.dedent('''
        def f(x):
            return x + 1
        class ops:
            __slots__ = ("fn",)
            def __init__(self, fn):
                self.fn = fn
        table = ops(fn=f)
        many = [None, ops(fn=f)]
    '''))
    (d / "b.py").write_text("from portpkg.a import f, many, table\ndef g(x):\n    return f(x), table.fn(x), many[1].fn(x)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for n in [n for n in sys.modules if n.startswith("portpkg")]:
        del sys.modules[n]


def test_replaces_every_reference_while_the_machine_runs(pkg):
    from portpkg import a, b

    s = Series("s", ("portpkg",))

    @s.replaces(a.f)
    def f(x):
        return -x

    with Machine(series=[s]):
        assert b.g(3) == (-3, -3, -3)
        with Machine():
            assert b.g(3) == (4, 4, 4)
        assert b.g(3) == (-3, -3, -3)
    assert b.g(3) == (4, 4, 4)


def test_edits_apply_like_hunks(pkg):
    from portpkg import a, b

    s = Series("s", ("portpkg",))
    s.edits(a.f, ("x + 1", "x + delta"), names={"delta": 10})
    with Machine(series=[s]):
        assert b.g(1)[0] == 11
    s.edits(a.f, ("x + 2", "x"))
    with pytest.raises(ValueError, match="hunk does not apply"):
        Machine(series=[s])


def test_short_forms_leave_no_name_behind(pkg):
    """A module that is imported while they are there has the originals afterwards; a series that changes what they leave out
    keeps them away.
    """
    from portpkg import a

    s = ShortForms("short", ("portpkg",), ("portpkg.a",))
    s.replaces(a.f)(lambda x: -x)
    original = a.f
    with Machine(short=[s]):
        from portpkg import b

        assert b.f(3) == -3 and a.table.fn is original          # names of modules alone
    assert a.f is b.f is original
    other = Series("other", ("portpkg",))
    other.replaces(a.f)(lambda x: 7)
    with Machine(series=[other], short=[s]) as m:
        assert m.short == [] and b.f(3) == 7
    assert a.f is b.f is original
