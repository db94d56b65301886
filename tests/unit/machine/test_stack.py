# SPDX-License-Identifier: GPL-2.0-only
"""Two series on top of each other: applied in order, or refused in one line that names the series, the function and why."""
from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kemu.machine.machine import Machine
from kemu.machine.series import Series, SeriesError, ShortForms
from kemu.machine.stack import activate, stack_of

PORT = '''
    LIMIT = 4

    def ready(n):
        return n >= 0

    def read(n):
        if not ready(n):
            return -22
        n = n * 2
        return n + 1

    def write(n):
        return n - 1

    def both(n):
        n = read(n)
        n = n + 0
        n = n + 0
        return n

    class info:
        def __init__(self):
            self.a = 1

        def total(self):
            return self.a

    class more(info):
        def total(self):
            return super().total() * 2

    class ops:
        __slots__ = ("read", "write")

        def __init__(self, read=None, write=None):
            self.read = read
            self.write = write

    table = ops(read=read, write=write)
    actions = [read, write]
    by_name = {"read": read}
'''
USER = '''
    from stackport import port
    from stackport.port import actions, both, by_name, info, read, table, write

    def all_ways(n):
        """Every way to read(): a name of its own, the port's, the table, the list, the dictionary."""
        return [f(n) for f in (read, port.read, table.read, actions[0], by_name["read"])]
'''
NEAR = "nearest is line "


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    d = tmp_path / "stackport"
    d.mkdir()
    (d / "__init__.py").write_text("")
    (d / "port.py").write_text(textwrap.dedent(PORT))
    (d / "user.py").write_text(textwrap.dedent(USER))
    monkeypatch.syspath_prepend(str(tmp_path))
    import stackport.port
    import stackport.user

    before = stackport.user.all_ways(3)
    yield stackport.port
    activate([])
    assert stackport.user.all_ways(3) == before, "not put back"
    for n in [n for n in sys.modules if n.startswith("stackport")]:
        del sys.modules[n]


def new(name: str, *packages: str) -> Series:
    return Series(name, packages or ("stackport",))


def ways(*series: Series, n: int = 3) -> Any:
    """What read() gives on a machine with these series, which has to be the same by every way."""
    with Machine(series=list(series)):
        found = sys.modules["stackport.user"].all_ways(n)
    assert len(set(found)) == 1, found
    return found[0]


def refused(*series: Series) -> str:
    """The one line that says why these are no stack; and a machine without them works as before."""
    before = sys.modules["stackport.user"].all_ways(3)
    with pytest.raises(SeriesError) as e:
        with Machine(series=list(series)):
            pass
    assert "\n" not in str(e.value) and sys.modules["stackport.user"].all_ways(3) == before
    return str(e.value)


# ------------------------------------------------------------------------- each pair: how a and b are made, and what comes of it
# A number is what read(3) is then (7 without a series); a text is part of the refusal.

Pair = Callable[[Any, Series, Series], None]
PAIRS: list[tuple[Pair, Any, Any]] = []                     # pair, [a, b], [b, a]


def pair(ab: Any, ba: Any) -> Callable[[Pair], Pair]:
    def deco(fn: Pair) -> Pair:
        PAIRS.append((fn, ab, ba))
        return fn
    return deco


@pair(19, 19)
def two_places_of_one_function(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 5"))
    b.edits(p.read, ("n + 1", "n + 4"))


@pair(31, "b: hunk does not apply to read(): " + NEAR + "4, 'n = n * 2', and the hunk wants 'n = n * 5'")
def the_second_is_for_what_the_first_made(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n = n * 2", "n = n * 5"))
    b.edits(p.read, ("n = n * 5", "n = n * 10"))


@pair("b: hunk does not apply to read() as a left it: " + NEAR + "4, 'n = n * 5'",
      "a: hunk does not apply to read() as b left it")
def both_change_one_line(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n = n * 2", "n = n * 5"))
    b.edits(p.read, ("n = n * 2", "n = n * 7"))


@pair("b: hunk does not apply to read() as a left it: its new text is there already",
      "a: hunk does not apply to read() as b left")
def both_do_the_same(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 5"))
    b.edits(p.read, ("n * 2", "n * 5"))


@pair("b: hunk does not apply to read() as a left it: it matches 2 times (lines 4, 5), and is meant for 1", 49)
def the_first_doubles_what_the_second_looks_for(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("    return n + 1\n", "    n = n * 2\n    return n + 1\n"))
    b.edits(p.read, ("n = n * 2", "n = n * 8"))


@pair(301, "b: hunk 2 of 2 does not apply to read(): " + NEAR + "4, 'n = n * 2', and the hunk wants 'n = n * 100'")
def several_hunks_the_last_on_the_first_ones(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 100"))
    b.edits(p.read, ("return -22", "return -5"), ("n = n * 100", "n = 100 * n"))


@pair("b: it replaces read as a whole, which a has changed: that would be lost",
      "a: hunk does not apply to read() as b left it: nothing")
def the_second_replaces_what_the_first_edits(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 5"))

    @b.replaces(p.read)
    def other(x: int) -> int:
        return x


@pair(-16, "b: it changes read of a, which comes later: b, a")
def the_second_wraps_what_the_first_edits(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 5"))
    below = a.made(p.read)

    @b.replaces(below)
    def read(n: int) -> int:
        return -int(below(n))


def _in_its_place(n: int) -> int:
    n = n * 20
    return n + 9


@pair(99, "b: hunk does not apply to read(): " + NEAR + "4, 'n = n * 2', and the hunk wants 'n = n * 20'")
def the_second_edits_what_the_first_put_in_its_place(p: Any, a: Series, b: Series) -> None:
    a.replaces(p.read)(_in_its_place)
    b.edits(p.read, ("    n = n * 20\n", "    n = n * 30\n"))


@pair("b: it replaces read as a whole, which a has changed", "a: it replaces read as a whole, which b has changed")
def both_replace_it(p: Any, a: Series, b: Series) -> None:
    a.replaces(p.read)(lambda n: n)
    b.replaces(p.read)(lambda n: -n)


@pair("which a has changed", "which b has changed")
def both_replace_a_structure(p: Any, a: Series, b: Series) -> None:
    @a.replaces(p.info)
    class one(p.info):                          # type: ignore[misc]
        pass

    @b.replaces(p.info)
    class two(p.info):                          # type: ignore[misc]
        pass


@pair(10, "which comes later: b, a")
def a_structure_on_a_structure(p: Any, a: Series, b: Series) -> None:
    @a.replaces(p.info)
    class one(p.info):                          # type: ignore[misc]
        def total(self) -> int:
            return int(super().total()) + 2

    @b.replaces(one)
    class two(one):
        def total(self) -> int:
            return super().total() * 3 + 1
    a.edits(p.read, ("return n + 1", "return info().total()"))


@pair(12, "b: hunk does not apply to info(): " + NEAR + "3, 'self.a = 1', and the hunk wants 'self.a = 4'")
def two_edits_of_a_structure(p: Any, a: Series, b: Series) -> None:
    a.edits(p.info, ("self.a = 1", "self.a = 4"))
    b.edits(p.info, ("self.a = 4", "self.a = 12"))
    b.edits(p.read, ("return n + 1", "return info().total()"))


@pair("b: names= of read: extra is there already, of a and with another value", "a: names= of read: extra is there already, of b")
def one_name_with_two_meanings(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * extra"), names={"extra": 5})
    b.edits(p.read, ("n + 1", "n + extra"), names={"extra": 6})


@pair(20, 20)
def one_name_with_one_meaning(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * extra"), names={"extra": 5})
    b.edits(p.read, ("n + 1", "n + extra"), names={"extra": 5})


@pair("b: names= of read: stackport.port has LIMIT already, with another value", "b: names= of read: stackport.port has LIMIT")
def a_name_that_the_port_has(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 3"))
    b.edits(p.read, ("n + 1", "n + LIMIT"), names={"LIMIT": 5})


@pair(73, "b: it changes helper of a, which comes later") if False else pair(73, 73)
def the_second_changes_a_helper_that_the_first_brings(p: Any, a: Series, b: Series) -> None:
    def helper(n: int) -> int:
        return n * 10
    a.edits(p.read, ("n * 2", "helper(n)"), names={"helper": helper})
    b.edits(helper, ("n * 10", "n * 24"))


@pair(5, 5)
def a_table_and_one_of_its_functions(p: Any, a: Series, b: Series) -> None:
    """What the new table has of the port is what the other series makes of it."""
    a.replaces(p.table)(p.ops(read=p.read, write=p.read))
    b.edits(p.read, ("    return n + 1\n", "    return n - 1\n"))


@pair("b: it replaces the list of builtins as a whole, which a has changed", "a: it replaces the list of builtins as a whole")
def two_lists(p: Any, a: Series, b: Series) -> None:
    a.replaces(p.actions)([p.read])
    b.replaces(p.actions)([p.read, p.write])


@pair(25, 25)
def two_functions(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 8"))
    b.edits(p.write, ("n - 1", "n - 2"))


@pair("b: it changes read of stackport.port, to which nothing in elsewhere refers: it reaches no place",
      "b: it changes read of stackport.port, to which nothing in elsewhere refers: it reaches no place")
def the_second_is_for_another_package(p: Any, a: Series, b: Series) -> None:
    a.edits(p.read, ("n * 2", "n * 5"))
    b.packages = ("elsewhere",)
    b.edits(p.read, ("n + 1", "n + 4"))


@pair("b: read as a left it: no def or class that hunks could apply to", "b: hunk does not apply to read(): ")
def hunks_for_what_has_no_text(p: Any, a: Series, b: Series) -> None:
    a.replaces(p.read)(lambda n: n)
    b.edits(p.read, ("lambda n: n", "lambda n: n + 1"))


@pair("b: both() with its hunks in it: ", "b: both() with its hunks in it: ")
def hunks_that_give_no_python(p: Any, a: Series, b: Series) -> None:
    a.edits(p.both, ("n = read(n)", "n = read(n) + 1"))
    b.edits(p.both, ("    n = n + 0\n    n = n + 0\n", "    n = n +\n    n = n + 0\n"))


@pytest.mark.parametrize("row", PAIRS, ids=lambda r: r[0].__name__)
@pytest.mark.parametrize("turned", [False, True], ids=["a,b", "b,a"])
def test_pair(port: Any, row: tuple[Pair, Any, Any], turned: bool) -> None:
    a, b = new("a"), new("b")
    row[0](port, a, b)
    stack, wanted = ([b, a] if turned else [a, b]), row[1 + turned]
    if isinstance(wanted, int):
        assert ways(*stack) == wanted
        assert ways(*stack) == wanted, "the second machine"
    else:
        assert wanted in refused(*stack)
    assert ways() == 7


def test_there_are_twenty_pairs_and_more() -> None:
    assert len(PAIRS) >= 20


# ------------------------------------------------------------------------- more than pairs

def test_the_same_series_twice(port: Any) -> None:
    a = new("a")
    a.edits(port.read, ("n * 2", "n * 5"))
    assert refused(a, a) == "a: it is on the stack twice: a, a"


def test_two_hunks_of_one_series_stand_on_each_other(port: Any) -> None:
    a = new("a")
    a.edits(port.read, ("n * 2", "n * 5"))
    a.edits(port.read, ("n * 5", "n * 6"))
    assert ways(a) == 19
    assert a.made(port.read)(3) == 19 and a.replacements[id(port.read)][1](3) == 19


def test_a_series_that_would_lose_its_own_edit(port: Any) -> None:
    a = new("a")
    a.edits(port.read, ("n * 2", "n * 5"))
    a.replaces(port.read)(lambda n: n)
    assert refused(a) == "a: it replaces read, and has changed it before, which would be lost"


def test_five_on_top_of_each_other(port: Any) -> None:
    each = [new(f"s{i}") for i in range(5)]
    for i, s in enumerate(each):
        s.edits(port.read, (f"n * {i + 2}", f"n * {i + 3}"))
    assert ways(*each) == 22
    assert refused(*each[:2], *each[3:]) == ("s3: hunk does not apply to read() as s0 and s1 left it: nearest is line 4, "
                                             "'n = n * 4', and the hunk wants 'n * 5'")


def test_stacks_beside_and_within_each_other(port: Any) -> None:
    a, b = new("a"), new("b")
    a.edits(port.read, ("n * 2", "n * 5"))
    b.edits(port.read, ("n * 5", "n * 10"))
    with Machine(series=[a]):
        assert port.read(1) == 6
        with Machine(series=[a, b]):
            assert port.read(1) == 11
            with pytest.raises(SeriesError):
                Machine(series=[b])
            assert port.read(1) == 11
            with Machine():
                assert port.read(1) == 3
            assert port.read(1) == 11
        assert port.read(1) == 6
    assert port.read(1) == 3


def test_what_reaches_no_place_leaves_the_machine_around_it_as_it_was(port: Any) -> None:
    a, b = new("a"), new("b", "elsewhere")
    a.edits(port.read, ("n * 2", "n * 5"))
    b.edits(port.write, ("n - 1", "n - 2"))
    with Machine(series=[a]):
        with pytest.raises(SeriesError, match="reaches no place"):
            Machine(series=[b]).__enter__()
        assert port.read(1) == 6
    assert port.read(1) == 3


def test_packages_of_their_own(port: Any) -> None:
    """Each is put where its packages are; the later one stands on the earlier one there."""
    a, b = new("a", "stackport.port"), new("b", "stackport.user")
    a.edits(port.read, ("n * 2", "n * 5"))
    b.edits(port.read, ("n + 1", "n + 2"))
    user = sys.modules["stackport.user"]
    with Machine(series=[a, b]):
        assert port.read(1) == 6 and user.read(1) == 7


def test_a_function_with_variables_of_its_maker(port: Any) -> None:
    def maker(times: int) -> Callable[[int], int]:
        def read(n: int, more: int = 1) -> int:
            n = n * times
            return n + more
        return read
    a, b = new("a"), new("b")
    a.replaces(port.read)(maker(10))
    b.edits(port.read, ("return n + more", "return n + more + times"))
    assert ways(a, b) == 41 and ways(a) == 31


def test_methods(port: Any) -> None:
    a, b = new("a"), new("b")
    a.edits(port.info.total, ("return self.a", "return self.a + 10"))
    b.edits(port.info.total, ("self.a + 10", "self.a + 20"))
    b.edits(port.more.total, ("super().total() * 2", "super().total() * 3"))
    with Machine(series=[a, b]):
        assert port.info().total() == 21 and port.more().total() == 63
    with Machine(series=[a]):
        assert port.info().total() == 11 and port.more().total() == 22
    assert port.info().total() == 1 and port.more().total() == 2


def test_what_a_new_function_calls_is_what_the_others_make_of_it(port: Any, tmp_path: Path) -> None:
    """In either order: the module of the one is none of the packages of the other, and calls the port."""
    (tmp_path / "of_b.py").write_text(textwrap.dedent("""
        from kemu.machine.series import Series
        from stackport import port
        from stackport.port import ready
        b = Series("b", ("stackport",))
        @b.replaces(port.read)
        def read(n):
            return 100 + ready(n)
    """))
    of_b = __import__("of_b")
    a = new("a")
    a.edits(port.ready, ("n >= 0", "5"))
    try:
        assert ways(a, of_b.b) == 105 and ways(of_b.b, a) == 105 and ways(of_b.b) == 101
    finally:
        del sys.modules["of_b"]


def test_a_module_that_is_imported_meanwhile_keeps_nothing(port: Any, tmp_path: Path) -> None:
    a = new("a")
    a.edits(port.read, ("n * 2", "n * 5"))
    (tmp_path / "stackport" / "late.py").write_text("from stackport.port import read\n")
    with Machine(series=[a]):
        late = __import__("stackport.late", fromlist=["read"])
        assert late.read(1) == 6
    assert late.read(1) == 3
    with Machine(series=[a]):
        assert late.read(1) == 6
    assert late.read is port.read


def test_short_forms_stay_away_from_what_a_stack_changes(port: Any) -> None:
    short = ShortForms("short", ("stackport",), ("stackport.port",))
    short.replaces(port.write)(lambda n: n - 1)
    a, b = new("a"), new("b")
    a.edits(port.read, ("n * 2", "n * 5"))
    b.edits(port.read, ("n * 5", "n * 6"))
    with Machine(series=[a, b], short=[short]) as m:
        assert m.short == [] and port.read(1) == 7
    with Machine(short=[short]):
        assert port.write is not port.table.write


@pytest.mark.parametrize("hunk", [("x",), "n", (1, 2), ("n", "m", 0), ("", "x"), ("a", "b", "c"), ("n", None)])
def test_what_is_no_hunk(port: Any, hunk: Any) -> None:
    with pytest.raises(SeriesError, match="hunk"):
        new("a").edits(port.read, hunk)
    with pytest.raises(SeriesError, match="without a hunk"):
        new("a").edits(port.read)


def test_plain_values_cannot_be_replaced(port: Any) -> None:
    with pytest.raises(SeriesError, match="plain value"):
        new("a").replaces(port.LIMIT)


def test_indentation_is_told(port: Any) -> None:
    a = new("a")
    a.edits(port.read, ("        n = n * 2\n", "        n = n * 3\n"))
    assert refused(a).endswith("line 4, 'n = n * 2', indented by 4 columns, and the hunk's by 8")


def test_a_stack_is_made_once(port: Any) -> None:
    a, b = new("a"), new("b")
    a.edits(port.read, ("n * 2", "n * 5"))
    b.edits(port.read, ("n * 5", "n * 6"))
    assert stack_of([a, b]) is stack_of([a, b])
    b.edits(port.read, ("n * 6", "n * 7"))
    assert ways(a, b) == 22
