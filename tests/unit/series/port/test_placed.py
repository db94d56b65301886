# SPDX-License-Identifier: GPL-2.0-only
"""A change of the C lands in the port's own form of the function, and comes back as hunks that apply."""
from __future__ import annotations

import pytest

from kemu.machine.hunks import patched
from kemu.machine.series import Series, SeriesError
from kemu.machine.stack import stack_of
from kemu.series.port.placed import free, hunks, merge

BEFORE = """def f(a: int) -> int:
    x = u32(a + 1)
    if not x:
        return -EINVAL
    put(x)
    return 0"""
PORT = """@port_of("fs/x.c", "f")
def f(a: int) -> int:
    # what it is for
    x = a + 1

    if not x:
        return -EINVAL          # the port's own
    put(x)
    return 0"""


def test_what_is_put_in() -> None:
    made = merge(BEFORE, PORT, BEFORE.replace("    put(x)", "    get(x)\n    put(x)"))
    assert made == PORT.replace("    put(x)", "    get(x)\n    put(x)")


def test_what_is_another_line() -> None:
    made = merge(BEFORE, PORT, BEFORE.replace("u32(a + 1)", "u32(a + 2)"))
    assert made == PORT.replace("a + 1", "u32(a + 2)")


def test_what_goes_and_what_comes_into_a_block() -> None:
    assert merge(BEFORE, PORT, BEFORE.replace("    put(x)\n", "")) == PORT.replace("    put(x)\n", "")
    made = merge(BEFORE, PORT, BEFORE.replace("    put(x)", "    if a:\n        put(x)"))
    assert made == PORT.replace("    put(x)", "    if a:\n        put(x)")


def test_no_place() -> None:
    other = PORT.replace("    put(x)\n", "    everything(it, is, otherwise)\n")
    assert merge(BEFORE, other, BEFORE.replace("    put(x)\n", "    give(x)\n")) is None


def test_hunks_apply_one_after_the_other() -> None:
    twice = PORT.replace("    put(x)\n", "    put(x)\n    more()\n    put(x)\n")
    for new in (twice.replace("    more()", "    put(x)\n    less()"), twice.replace("    put(x)\n", "", 1),
                twice.replace("return 0", "return 1").replace("a + 1", "a + 3")):
        assert patched(twice + "\n", tuple(hunks(twice, new)), "s", "f") == new + "\n"


def test_free_names() -> None:
    assert free("def f(a):\n    from x import y\n    b = a + c\n    for d in e(b):\n        y(d)\n") == {"c", "e"}


def test_an_unfinished_series_is_refused() -> None:
    mine = Series("mine", ("erofs_memback",))
    mine.todo("fs/erofs/zmap.c:12: goto again; (by no idiom)")
    mine.todo("fs/erofs/zmap.c:13: x")
    with pytest.raises(SeriesError, match=r"mine: it is not finished: fs/erofs/zmap.c:12: goto again; .* \(and 1 more\)$"):
        stack_of([mine])
