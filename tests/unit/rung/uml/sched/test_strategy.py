# SPDX-License-Identifier: GPL-2.0-only
"""Which schedules are tried, and how a bad one is made small."""
from __future__ import annotations

from itertools import chain, islice

from hypothesis import given
from hypothesis import strategies as st

from kemu.explore.chooser import Choices
from kemu.explore.source import ListSource, SeedSource, SparseSource
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.case import draw_plan, offsets_of
from kemu.rung.uml.sched.hunt import programs, smallest
from kemu.rung.uml.sched.kernel import Outcome, Switched
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.strategy import Strategy, orders, places
from kemu.rung.uml.sched.wire import SWITCHES, End


def test_each_task_is_the_first_once() -> None:
    assert orders(3) == [(1, 2, 3), (2, 1, 3), (3, 1, 2)]


def test_seldom_places_come_first() -> None:
    assert places([5, 5, 9, 5]) == [[3], [1, 2, 4]]


def test_every_place_is_preempted_before_anything_else() -> None:
    trace = [10] * 50 + [11] + [12] * 50
    plans = list(islice(chain.from_iterable(Strategy([(Plan((), (1, 2)), trace)], 1).batches(1000)), 3))
    assert [p.switches[0].gap for p in plans] == [51, 1, 52] and all(p.switches[0].hold for p in plans)


def test_without_a_question_there_is_no_plan() -> None:
    assert not list(Strategy([(Plan((), (1,)), [])], 1).batches(1000))


def test_the_same_seed_gives_the_same_plans() -> None:
    def some(seed: int) -> list[Plan]:
        return [p for b in Strategy([(Plan((), (1, 2)), range(300))], seed).batches(2000) for p in b]
    assert some(3) == some(3) != some(4)
    assert all(1 <= len(p.switches) <= SWITCHES and all(s.gap > 0 for s in p.switches) for p in some(3))


switches = st.lists(st.builds(Switch, st.integers(1, 1000), st.integers(0, 7), st.booleans()), max_size=SWITCHES)


@given(switches, st.integers(0, 2), st.booleans())
def test_a_plan_is_drawn_from_its_choices(given_: list[Switch], first: int, fine: bool) -> None:
    plan = Plan(given_, orders(3)[first], fine)
    assert draw_plan(Pick(Choices(ListSource(offsets_of(plan, 3)))), 3) == plan


def test_what_is_not_needed_is_dropped() -> None:
    plan = Plan([Switch(10, 3), Switch(5, 1, True), Switch(20, 0, True), Switch(9, 2)], (2, 1))

    def bad(p: Plan) -> bool:                   # a hold at question 35 is what it takes
        at = 0
        for s in p.switches:
            at += s.gap
            if at == 35 and s.hold:
                return True
        return False
    assert smallest(plan, bad) == Plan([Switch(35, 0, True)], ())


def test_what_cannot_be_shown_again_stays_as_it_is() -> None:
    plan = Plan([Switch(10), Switch(5)], (2, 1))
    assert smallest(plan, lambda p: False) == plan


def test_sparse_choices_are_mostly_the_simplest() -> None:
    values = [SparseSource(n).draw("x", 3, 1000) for n in range(400)]
    assert 200 < values.count(3) < 380
    assert values == [SparseSource(n).draw("x", 3, 1000) for n in range(400)]
    assert SeedSource(1).draw("x", 0, 10) == SeedSource(1).draw("x", 0, 10)


def ran(point: int, pc: int, fresh: int) -> Outcome:
    """A plan with one switch, and how much new code ran."""
    return Outcome(End.DONE, switches=[Switched(point, "task1/1", "task2/2", pc)], fresh=fresh)


def test_what_runs_new_code_is_gone_on_from_at_every_place_behind_the_switch() -> None:
    trace = [10, 11, 12, 500, 11, 30]
    s = Strategy([(Plan(), trace)], 1, lambda _: [*trace[:2], 12, 500, 11, 77])
    plan = Plan([Switch(2, 0, True)])
    s.learn([plan, plan], [ran(2, 11, 0), ran(2, 11, 1)])
    behind = s._behind(100)
    assert all(p.switches[0] == plan.switches[0] and len(p.switches) == 2 for p in behind)
    assert [p.switches[1].gap for p in behind] == [4, 3, 1, 2]      # a new place first, then the nearest in the code
    assert not s._behind(1)


def test_a_sweep_has_every_value_of_one_choice() -> None:
    values: list[tuple[int, int]] = []
    for _, chooser in programs(3, (0, 1), "n"):
        pick = Pick(chooser)
        values.append((pick.int("other", 0, 5), pick.int("n", 2, 4)))
        if len(values) == 5:
            break
    assert values[:4] == [(0, 2), (0, 3), (0, 4), (0, 4)]
