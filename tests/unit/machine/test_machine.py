# SPDX-License-Identifier: GPL-2.0-only
"""State of a machine by its type: one object a machine, made when it is first asked for, and no registry of strings."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kemu.check.state import differences, snapshot
from kemu.linux.block.bdev import Registry, registry
from kemu.linux.block.genhd import _disks
from kemu.linux.rcupdate import call_rcu, rcu_head
from kemu.machine.boot import Boot
from kemu.machine.machine import IdleWork, Machine

TOP = Path(__file__).parents[3]
PACKAGES = ("kemu", "erofs_memback", "initramfs", "examples", "tests", "benchmarks")


@dataclass(slots=True)
class Table:
    entries: list[int] = field(default_factory=list)


class Other(Table):
    pass


class Fails:
    def __init__(self) -> None:
        raise MemoryError


def test_it_is_made_once_and_by_its_type() -> None:
    with Machine() as m:
        assert m.made(Table) is None
        table = m.part(Table)
        assert isinstance(table, Table) and m.part(Table) is table and m.made(Table) is table
        assert type(m.part(Other)) is Other, "a derived class is a part of its own"
        assert m.part(Table) is table and [p for p in m.made_parts() if isinstance(p, Table)] == [table, m.part(Other)]


def test_every_machine_has_its_own() -> None:
    with Machine() as a:
        a.part(Table).entries.append(1)
        with Machine() as b:
            assert b.part(Table).entries == [] and a.part(Table).entries == [1]
        assert a.part(Table).entries == [1]


def test_it_ends_with_the_machine() -> None:
    with Machine() as m:
        m.part(Table)
    assert not list(m.made_parts())


def test_what_cannot_be_made_is_not_there() -> None:
    with Machine() as m:
        for _ in range(2):
            with pytest.raises(MemoryError):
                m.part(Fails)
        assert m.made(Fails) is None


def test_asking_for_the_disks_makes_no_table_of_them() -> None:
    with Machine() as m:
        assert _disks() == {} and m.made(Registry) is None
        assert registry() is m.part(Registry)


def test_what_the_api_has_queued_runs_when_the_machine_is_idle() -> None:
    ran: list[str] = []
    with Machine() as m:
        m.idle()
        m.part(IdleWork).flush_puts = lambda: ran.append("puts")
        call_rcu(rcu_head(), lambda _: ran.append("callback"))
        assert not ran
        m.idle()
        assert ran == ["puts", "callback"]


def test_what_a_part_holds_is_global_state() -> None:
    with Machine() as m:
        m.part(Table)
        before = snapshot(m)
        m.part(Table).entries.append(1)
        m.part(Boot)                        # new and empty
        assert [name for name, _, _ in differences(before, snapshot(m))] == [f"table {__name__}.Table"]


def strings(tree: ast.AST) -> Iterator[int]:
    """Lines that keep state of a machine by a string: ``machine.parts``, what is asked for by text, and the private table from
    outside.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "parts" and ast.unparse(node.value).split(".")[-1] == "machine":
            yield node.lineno
        elif (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant | ast.JoinedStr)
              and ast.unparse(node.value) == "m.parts"):
            yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("part", "made"):
            if any(not isinstance(a, ast.Name | ast.Attribute) for a in node.args):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr == "_parts" and ast.unparse(node.value) != "self":
            yield node.lineno


def test_no_state_is_kept_by_a_string() -> None:
    assert not hasattr(Machine(), "parts")
    files = [p for package in PACKAGES for p in sorted((TOP / package).rglob("*.py")) if ".venv" not in p.parts]
    assert len(files) > 300
    bad = [f"{p.relative_to(TOP)}:{line}" for p in files if p != Path(__file__) for line in strings(ast.parse(p.read_text()))]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("text", ['m.parts["rcu"]', 'this.machine.parts.get("rcu")', 'm.part("rcu")', "machine.made(f'{x}')",
                                  "m._parts[Rcu]"])
def test_a_string_is_told(text: str) -> None:
    assert list(strings(ast.parse(text))) == [1]


@pytest.mark.parametrize("text", ["m.part(Rcu).parts", "path.parts", "row.parts[0]", "self._parts[of]",
                                  "this.machine.part(boot.Boot)"])
def test_a_type_is_none(text: str) -> None:
    assert not list(strings(ast.parse(text)))
