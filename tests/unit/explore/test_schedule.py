# SPDX-License-Identifier: GPL-2.0-only
"""What rests on who runs when, and what does not."""
from __future__ import annotations

from collections.abc import Callable

import pytest

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import Run, execute
from kemu.explore.schedule import order, rests_on_schedule
from kemu.explore.source import ListSource, PlanSource
from kemu.linux.sched import cond_resched
from kemu.linux.slab import kfree, kmalloc
from kemu.machine.current import this


def tasks(run: Run, *bodies: Callable[[], None], faults: bool = False) -> None:
    """Run tasks, with a schedule that is drawn, in the order in which they are given."""
    with run.machine():
        if faults:
            run.chooser.arm_faults()
        run.chooser.arm_schedule()
        for i, body in enumerate(bodies):
            this.sched.spawn(f"task{i}", body)
        this.sched.run_others()


def lost_update(run: Run) -> None:
    """Wrong if a task is preempted in the middle."""
    cell = [0]

    def adds() -> None:
        v = cell[0]
        cond_resched()
        cell[0] = v + 1

    tasks(run, adds, adds)
    if cell[0] != 2:
        run.fail("an update is lost")


def early(run: Run) -> None:
    """Wrong unless the second task begins."""
    seen: list[int] = []
    tasks(run, lambda: seen.append(1), lambda: seen.append(2))
    if seen[0] == 1:
        run.fail("too early")


def always(run: Run) -> None:
    """Wrong whoever begins."""
    tasks(run, lambda: None, lambda: None)
    run.fail("always")


def alone(run: Run) -> None:
    """Wrong, and nobody's order is chosen."""
    run.fail(f"wrong with {run.pick.int('n', 0, 9)}")


def short_of_memory(run: Run) -> None:
    """Wrong if a call fails; the number of it is another in another order."""
    failed: list[bool] = []

    def asks(n: int) -> None:
        for _ in range(n):
            p = kmalloc(8)
            failed.append(not p)
            if p:
                kfree(p)

    tasks(run, lambda: asks(1), lambda: None, faults=True)
    if any(failed):
        run.fail("not checked")


def finding_of(fn: Callable[[Run], None], *sources: object) -> tuple[Finding, Experiment]:
    """The first finding that the sources lead to."""
    exp = Experiment(f"test.{fn.__name__}", "test", fn)
    for source in sources:
        out = execute(exp, source)          # type: ignore[arg-type]
        if out.finding is not None:
            out.finding.offsets = out.offsets
            return out.finding, exp
    raise AssertionError("nothing is found")


def test_a_switch_in_the_trigger() -> None:
    f, exp = finding_of(lost_update, *(PlanSource(ListSource([]), switches=[(n, 1)]) for n in range(1, 9)))
    assert f.switches == 1
    assert rests_on_schedule(f, exp)


def test_the_usual_order_is_an_order_too() -> None:
    f, exp = finding_of(early, ListSource([]))
    assert not f.switches
    assert rests_on_schedule(f, exp)


@pytest.mark.parametrize("fn", [always, alone])
def test_what_is_wrong_in_every_order_does_not_rest_on_it(fn: Callable[[Run], None]) -> None:
    f, exp = finding_of(fn, ListSource([]))
    assert not rests_on_schedule(f, exp)


def test_what_is_wrong_by_a_failing_call_is_that_calls_fault() -> None:
    f, exp = finding_of(short_of_memory, PlanSource(ListSource([]), faults=[1]))
    assert not rests_on_schedule(f, exp)


def test_a_case_keeps_its_values_in_another_order() -> None:
    seen: list[int] = []

    def fn(run: Run) -> None:
        """Wrong in the usual order, with what was chosen before and behind it."""
        first = run.pick.int("first", 0, 99)
        begun: list[int] = []
        tasks(run, lambda: begun.append(1), lambda: begun.append(2))
        second = run.pick.int("second", 0, 99)
        seen.append((first, second) == (7, 5))
        if begun[0] == 1:
            run.fail("too early")

    f, exp = finding_of(fn, PlanSource(ListSource([7, 5])))
    seen.clear()
    assert rests_on_schedule(f, exp)
    assert all(seen)


def test_orders_are_the_same_every_time() -> None:
    class T:
        def __init__(self, comm: str):
            self.comm = comm

    some = [T(c) for c in "abc"]
    for n in range(4):
        a, b = order(n), order(n)
        assert [a(some) for _ in range(9)] == [b(some) for _ in range(9)]       # type: ignore[arg-type]
    assert len({order(n)(some) for n in range(20)}) == 3                        # type: ignore[arg-type]
