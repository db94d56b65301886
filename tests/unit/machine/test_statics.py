# SPDX-License-Identifier: GPL-2.0-only
"""Static variables: one set a machine, declared with their types."""
from __future__ import annotations

from kemu.linux.port.statics import per_machine, statics
from kemu.linux.spinlock import spinlock_t
from kemu.linux.types import NULL, Ref
from kemu.machine.machine import Machine
from kemu.machine.statics import Statics


@statics
class typed:
    count = 0
    lock: spinlock_t
    cell: Ref
    pages: list[int] = []
    head: Ref = NULL
    on = per_machine(lambda: Ref(True))



def test_what_has_no_value_is_made_by_its_type() -> None:
    with Machine():
        assert isinstance(typed, Statics)
        assert ({k: type(v) for k, v in vars(typed).items()} == {"count": int, "lock": spinlock_t, "cell": Ref, "pages": list,
                                                                 "head": type(None), "on": Ref})
        assert typed.lock is not None and typed.cell.v == 0 and typed.head is None and typed.on.v is True


def test_nothing_survives_a_machine() -> None:
    with Machine():
        first = typed.lock, typed.pages
        typed.count += 1
        typed.pages.append(3)
        typed.cell.v = 4
        typed.head = typed.cell
    with Machine():
        assert (typed.count, typed.pages, typed.cell.v, typed.head) == (0, [], 0, None)
        assert typed.lock is not first[0] and typed.pages is not first[1]


def test_machines_may_nest() -> None:
    with Machine():
        typed.count = 1
        with Machine():
            assert typed.count == 0
            typed.count = 2
        assert typed.count == 1


@statics
class tables:
    flat = ["a", 1, None]
    named = {"a": b"b", 1: 2}
    deep = [["a"], 1]
    names = {"a": ["b"]}


def test_a_machine_has_its_own_copy_of_a_table_and_of_what_is_in_it() -> None:
    with Machine():
        tables.flat.append(2)
        tables.named["c"] = 3
        tables.deep[0].append("b")
        tables.names["a"].append("c")
    with Machine():
        assert vars(tables) == {"flat": ["a", 1, None], "named": {"a": b"b", 1: 2}, "deep": [["a"], 1], "names": {"a": ["b"]}}
