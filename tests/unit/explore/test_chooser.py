# SPDX-License-Identifier: GPL-2.0-only
"""Values, faults and preemptions from one source; replay and divergence."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.explore.chooser import Choices, shape
from kemu.explore.source import ListSource, PlanSource, SeedSource
from kemu.linux.slab import kfree, kmalloc
from kemu.machine.current import this
from kemu.machine.machine import Machine


def alloc(n: int) -> list[int]:
    return [i for i in range(1, n + 1) if not kmalloc(8)]


@pytest.mark.parametrize("nth", [1, 2, 7])
def test_the_nth_call_fails(nth: int) -> None:
    ch = Choices(PlanSource(ListSource([]), faults=(nth,)))
    with Machine(chooser=ch) as m:
        ch.arm_faults()
        assert alloc(9) == [nth]
        assert ch.faults[0].kind == "failslab" and ch.faults[0].number == nth
        assert ch.faults[0].site.startswith("alloc")
        assert any("FAULT_INJECTION: forcing a failure" in line for line in m.log.lines())


def test_pairs_and_nothing_before_it_is_armed() -> None:
    ch = Choices(PlanSource(ListSource([]), faults=(2, 5)))
    with Machine(chooser=ch):
        assert alloc(5) == []
        ch.arm_faults(most=2)
        assert alloc(8) == [2, 5]
        ch.disarm_faults()
        assert alloc(8) == []


def test_only_the_kinds_asked_for() -> None:
    ch = Choices(PlanSource(ListSource([]), faults=(1,)))
    with Machine(chooser=ch):
        ch.arm_faults(kinds=("fail_page_alloc",))
        assert alloc(4) == []


@given(st.integers(0, 2**64 - 1), st.integers(-3, 3), st.integers(1, 5000))
def test_seed_values_are_in_range(seed: int, low: int, width: int) -> None:
    s = SeedSource(seed)
    assert all(low <= s.draw("x", low, low + width) <= low + width for _ in range(20))


def test_seeds_reach_ends_and_middle() -> None:
    got = [SeedSource(seed).draw("x", 0, 4095) for seed in range(3000)]
    assert {0, 1, 511, 512, 4094, 4095} <= set(got)
    assert len(set(got)) > 1000


def test_replay_goes_on_behind_a_divergence_and_says_where() -> None:
    first = Choices(SeedSource(1))
    first.value("image", 0, 1000)
    first.value("at", 5, 4000)
    first.value("memory", 0, 2)
    offsets, shapes = first.offsets(), [shape(c) for c in first.draws]
    same = Choices(ListSource(offsets), expect=shapes)
    assert [same.value("image", 0, 1000), same.value("at", 5, 4000), same.value("memory", 0, 2)] == [c.value for c in first.draws]
    assert not same.diverged
    narrower = Choices(ListSource(offsets), expect=shapes)
    narrower.value("image", 0, 1000)
    v = narrower.value("at", 0, 3)
    narrower.value("memory", 0, 2)
    assert 0 <= v <= 3
    assert narrower.diverged.startswith("choice 2: ")
    longer = Choices(ListSource(offsets), expect=shapes)
    assert [longer.value("image", 0, 1000) for _ in range(9)][3:] == [0] * 6


def test_a_preemption_switches_tasks() -> None:
    order: list[str] = []

    def body(name: str) -> None:
        for _ in range(3):
            order.append(name)
            this.sched.yield_("cond_resched")

    def go(switches: tuple[tuple[int, int], ...]) -> str:
        order.clear()
        ch = Choices(PlanSource(ListSource([]), switches=switches))
        with Machine(chooser=ch) as m:
            ch.arm_schedule()
            m.sched.spawn("a", lambda: body("a"))
            m.sched.spawn("b", lambda: body("b"))
            m.sched.run_others()
        return "".join(order)

    plain = go(())
    assert plain == "aaabbb"
    assert {go(((n, 1),)) for n in range(1, 6)} - {plain}


def test_unarmed_costs_no_choices() -> None:
    ch = Choices(SeedSource(3))
    with Machine(chooser=ch):
        kfree(kmalloc(8))
        assert ch.draws == []
