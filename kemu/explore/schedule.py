# SPDX-License-Identifier: GPL-2.0-only
"""Whether what was found rests on who ran when."""
from __future__ import annotations

import random
from typing import Any

from kemu.explore.chooser import Who
from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import execute
from kemu.explore.source import ListSource, PlanSource
from kemu.machine.sched import Task

ORDERS = 24             # that are tried of a trigger without a switch
OF_SCHEDULE = ("preempt", "task")


def rests_on_schedule(finding: Finding, exp: Experiment, **options: Any) -> bool:
    """Whether the trigger has a switch of tasks; or the same case goes right if they run in another order: then it rests on the
    order that is the usual one here. A case with a failing call is not tried so: in another order that is another call.
    """
    if finding.switches:
        return True
    out = execute(exp, ListSource(finding.offsets), **options)
    if out.finding is None or not out.armed("preempt") or any(c.name == "fault" and c.offset for c in out.draws):
        return False
    case = [c.offset for c in out.draws if c.name not in (*OF_SCHEDULE, "fault")]
    return any(execute(exp, PlanSource(ListSource(case)), who=order(n), **options).finding is None for n in range(ORDERS))


def order(seed: int) -> Who:
    """An answer to every scheduling question: any task; or, of every second seed, that of the highest priority, which each has by
    its name.
    """
    rng = random.Random(seed)
    priorities: dict[str, float] = {}

    def by_priority(runnable: list[Task]) -> int:
        for t in runnable:
            priorities.setdefault(t.comm, rng.random())
        return max(range(len(runnable)), key=lambda i: priorities[runnable[i].comm])

    return by_priority if seed % 2 else lambda runnable: rng.randrange(len(runnable))
