# SPDX-License-Identifier: GPL-2.0-only
"""Who waits for whom, when nothing goes on."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.check.watch import Detector, Detectors
from kemu.check.where import frame_site
from kemu.machine.sched import Task
from kemu.machine.splat import Deadlock, HungTask, Splat

if TYPE_CHECKING:
    from kemu.machine.machine import Machine


class Waits(Detector):
    """Explains hangs: the cycle if there is one, and where each task stands."""

    name = "waits"

    def __init__(self) -> None:
        self.machine: Machine | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine

    def explain(self, splat: Splat) -> list[str]:
        if not isinstance(splat, (Deadlock, HungTask)) or self.machine is None:
            return []
        tasks = self.machine.sched.tasks
        lines = []
        cycle = wait_cycle(tasks)
        if cycle:
            lines.append("wait cycle: " + " -> ".join(f"{t.comm}/{t.pid}" for t in [*cycle, cycle[0]]))
        for t in tasks:
            where = task_site(t)
            if where and t.state == "waiting":
                lines.append(f"task {t.comm}/{t.pid} stands in {where}")
        return lines

    def finish(self) -> None:
        """Tasks that wait for something that is not work to come: nobody will ever wake them."""
        assert self.machine is not None
        cycle = wait_cycle(self.machine.sched.tasks)
        if cycle:
            raise Deadlock("INFO: task hung: tasks wait for each other", self.machine.sched.describe_waiters(),
                           function=task_function(cycle[0]))


def _owner(t: Task) -> Any:
    wq = t.waiting_on
    owner = wq.owner if wq is not None else None
    return owner() if callable(owner) else owner


def wait_cycle(tasks: list[Task]) -> list[Task]:
    """Tasks of which each waits for something that the next holds; empty if there is no such ring."""
    for first in tasks:
        path: list[Task] = []
        t: Any = first
        while isinstance(t, Task) and t.state == "waiting" and t not in path:
            path.append(t)
            t = _owner(t)
        if isinstance(t, Task) and t in path:
            return path[path.index(t):]
    return []


def task_site(t: Task) -> str:
    """The innermost ported function on a task's stack that is not running now."""
    return frame_site(getattr(t.greenlet, "gr_frame", None))


def task_function(t: Task) -> str:
    """Name of :func:`task_site`'s function."""
    return task_site(t).partition(" ")[0]
