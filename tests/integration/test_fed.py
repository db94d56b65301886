# SPDX-License-Identifier: GPL-2.0-only
"""An experiment whose inputs somebody else has made: each is run once, by one of the workers, then varied; there are no seeds."""
from __future__ import annotations

from collections.abc import Iterator

from kemu.explore.experiment import Experiment
from kemu.explore.plan import Done, Plan
from kemu.explore.run import Run
from kemu.explore.search import search

seen: list[int] = []


def feed(rung: str) -> Iterator[list[int]]:
    assert rung == "py"
    yield from ([100 + i, 7] for i in range(10))


def one(run: Run) -> None:
    n = run.pick.int("n", 0, 1000)
    seen.append(n)
    run.pick.int("m", 0, 10)
    if n == 105:
        run.saw("a hundred and five")


def silent(run: Run) -> None:
    seen.append(run.pick.int("n", 0, 1000))


def test_each_is_run_once_and_what_was_new_is_varied() -> None:
    seen.clear()
    p = search([Experiment("t.one", "t", one, feed=feed)], examples=40)
    assert seen[:11] == [0, *range(100, 110)] and p.examples == len(seen) == 40
    assert not {*seen[11:]} & {*range(100, 105), *range(106, 110)} - {104, 106}, "variations of the one that was new"


def test_where_nothing_is_new_there_is_an_end() -> None:
    seen.clear()
    p = search([Experiment("t.silent", "t", silent, feed=feed)], examples=40)
    assert p.examples == 11 and not p.interrupted


def test_workers_deal_them_out_and_a_search_that_is_gone_on_with_goes_on() -> None:
    seen.clear()
    for share in range(3):
        search([Experiment("t.silent", "t", silent, feed=feed)], shard=(share, 3))
    assert sorted(seen) == [0, 0, 0, *range(100, 110)]
    seen.clear()
    plan = Plan(Experiment("t.silent", "t", silent, feed=feed), 0, (0, 1), {}, (), Done(seeds=8))
    assert len(list(plan)) == 3 and seen == [0, 108, 109]
