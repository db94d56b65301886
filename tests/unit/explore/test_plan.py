# SPDX-License-Identifier: GPL-2.0-only
"""What a search does before it tries seeds: few runs are all run, every call fails once, and who is done leaves the time to the
others.
"""
from __future__ import annotations

from kemu.explore.experiment import Experiment
from kemu.explore.plan import FEW
from kemu.explore.run import Run
from kemu.explore.search import search
from kemu.explore.sweep import scattered
from kemu.linux.slab import kfree, kmalloc

seen: list[tuple[int, ...]] = []


def few(run: Run) -> None:
    first = run.pick.int("a", 0, 2)
    seen.append((first, run.pick.int("b", 0, 1), run.pick.int("c", 0, 1) if first == 2 else 0))


def one(run: Run) -> None:
    seen.append(())


def many(run: Run) -> None:
    seen.append((run.pick.int("a", 0, FEW),))


def faulty(run: Run) -> None:
    with run.machine():
        run.chooser.arm_faults()
        got = [
            kmalloc(64),
            kmalloc(64),
            kmalloc(64),
            kmalloc(64),
            kmalloc(64),
            kmalloc(64),
        ]
        run.chooser.disarm_faults()
        seen.append(tuple(i for i, p in enumerate(got) if not p))
        for p in got:
            if p:
                kfree(p)


def test_every_run_of_few_once() -> None:
    seen.clear()
    p = search([Experiment("t.few", "t", few)], examples=1000)
    assert sorted(set(seen)) == [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 0, 1), (2, 1, 0), (2, 1, 1)]
    assert len(seen) <= 9               # the simplest comes before the others, too
    assert p.examples <= 9


def test_who_is_done_leaves_the_time_to_the_others() -> None:
    seen.clear()
    p = search([Experiment("t.one", "t", one), Experiment("t.many", "t", many)], examples=100)
    assert seen.count(()) == 1 and p.examples == 100 and len(set(seen)) > FEW // 2


def test_every_call_fails_once_before_seeds_are_tried() -> None:
    for number, of in ((0, 1), (0, 2), (1, 2)):
        seen.clear()
        search([Experiment("t.faulty", "t", faulty)], examples=2 + 6 // of, shard=(number, of))
        want = {(i,) for i in range(6)} if of == 1 else {(i,) for i in range(6) if scattered(6).index(i) % of == number}
        assert {s for s in seen if s} == want


def test_patience() -> None:
    seen.clear()
    search([Experiment("t.faulty", "t", faulty)], seconds=0.001, patience=20.0)
    assert {s for s in seen if s} >= {(i,) for i in range(6)}


def test_scattered() -> None:
    for n in (0, 1, 2, 3, 8, 21):
        assert sorted(scattered(n)) == list(range(n))
    assert {i // 8 for i in scattered(64)[:8]} == set(range(8))
