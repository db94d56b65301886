# SPDX-License-Identifier: GPL-2.0-only
"""What the deterministic kernel itself has to notice, each with something planted: a lost update, a sleep without an end, a loop
without an end, a superblock left behind.
"""
from __future__ import annotations

from kemu.rung.uml.sched.case import Case
from kemu.rung.uml.sched.hunt import Tally, afresh, hunt
from kemu.rung.uml.sched.program import Plan, Program, Step, mount, umount
from kemu.rung.uml.sched.wire import What
from kemu.samples import sample
from tests.sched.conftest import Ask


def test_a_lost_update_is_found_with_one_switch(ask: Ask) -> None:
    asked = ask()
    counts = [[Step(What.COUNT, a=3)] for _ in range(2)]
    case = Case(Program([], counts, [Step(What.COUNTED)]))
    plan = hunt(case, 0, 1024, Tally())
    assert plan is not None
    assert len(plan.switches) == 1
    out = afresh(asked.kernel(), case, plan)
    said = asked.kernel().said[-1]
    assert out.wrong == 2 and said is not None
    assert said.value < 6


def test_who_sleeps_for_ever_is_a_hang_and_is_told_at_once(ask: Ask) -> None:
    asked = ask()
    out = afresh(asked.kernel(), Case(Program([], [[Step(What.SLEEP, a=400_000)]])), Plan())
    assert out.crash == "hang"
    assert "kemu: a task of the program is not coming back" in out.console
    assert "task:task1" in out.console


def test_who_runs_for_ever_is_told(ask: Ask) -> None:
    asked = ask()
    out = afresh(asked.kernel(), Case(Program([], [[Step(What.COUNT, a=1 << 40)]])), Plan())
    assert out.crash == "panic"
    assert "kemu: task1 runs and does not end" in out.console


def test_a_superblock_that_is_left_is_counted(ask: Ask) -> None:
    asked = ask()
    kernel = asked.kernel()
    supers = Step(What.SUPERS, "erofs")
    case = Case(Program([mount("/.kemu/dev/kemu0"), supers], [[umount()]], [supers]), [sample("pair.erofs").read_bytes()])
    case.place(kernel)
    assert kernel.learn(case.program).crash is None
    assert [s.value for s in kernel.said if s is not None] == [0, 1, 0, 0]
