# SPDX-License-Identifier: GPL-2.0-only
"""Systematic exploration: every fallible call fails once in turn, then pairs; schedules with few preemptions first; all small
choices.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.run import Outcome, execute
from kemu.explore.source import ListSource, PlanSource

Execute = Callable[..., Outcome]


def fault_sweep(exp: Experiment, offsets: Sequence[int] = (), pairs: bool = False, run: Execute = execute,
                **options: Any) -> Iterator[Outcome]:
    """``fail-nth``: with the values of ``offsets``, the first fallible call fails, then the second, and so on to the last; then
    pairs.

    The list of calls may change when one fails (error paths make calls of their own): the sweep ends where a run comes to its end
    without having reached the number that was to fail.
    """
    n = 1
    reached: list[int] = []
    while True:
        out = run(exp, PlanSource(ListSource(list(offsets)), faults=(n,)), **options)
        yield out
        if out.fault_points < n:
            break
        reached.append(out.fault_points)
        n += 1
    if not pairs:
        return
    for first, last in enumerate(reached, 1):
        for second in range(first + 1, last + 1):
            yield run(exp, PlanSource(ListSource(list(offsets)), faults=(first, second)), **options)


def schedule_sweep(exp: Experiment, offsets: Sequence[int] = (), preemptions: int = 2, run: Execute = execute,
                   **options: Any) -> Iterator[Outcome]:
    """All schedules with no preemption, then all with one, then with two, ...; every task that could run at a point is tried
    there.
    """
    def go(switches: tuple[tuple[int, int], ...]) -> Outcome:
        return run(exp, PlanSource(ListSource(list(offsets)), switches=switches), **options)

    level: list[tuple[tuple[tuple[int, int], ...], list[int]]] = []
    out = go(())
    yield out
    level.append(((), out.task_points))
    for _ in range(preemptions):
        deeper = []
        for switches, points in level:
            start = switches[-1][0] if switches else 0
            for i in range(start, len(points)):
                for task in range(1, points[i]):
                    plan = (*switches, (i + 1, task))
                    out = go(plan)
                    yield out
                    deeper.append((plan, out.task_points))
        level = deeper


def scattered(n: int) -> list[int]:
    """0..n-1 in an order of which every beginning is spread over all of them."""
    width = max(1, (n - 1).bit_length())
    return [i for i in (int(f"{k:0{width}b}"[::-1], 2) for k in range(1 << width)) if i < n]


def mixed_sweep(exp: Experiment, offsets: Sequence[int], faults: Sequence[int], each: int = 6, run: Execute = execute,
                **options: Any) -> Iterator[Outcome]:
    """One of ``faults`` with one preemption: of every fault in turn, the schedules with another task at one of ``each`` more
    points, until all are done.

    The points are spread over the whole run, others for every fault; what comes after the fault first: before it, both alone are
    the same.
    """
    plans: list[Iterator[tuple[int, int, int]]] = []

    def schedules(n: int, number: int) -> Iterator[tuple[int, int, int]]:
        points = known[n]
        order = scattered(len(points))
        start = number * 7 % max(1, len(order))
        for i in order[start:] + order[:start]:
            for task in range(1, points[i]):
                yield n, i + 1, task

    known: dict[int, list[int]] = {}
    for number, n in enumerate(faults):
        out = run(exp, PlanSource(ListSource(list(offsets)), faults=(n,)), **options)
        yield out
        known[n] = out.task_points
        plans.append(schedules(n, number))
        yield from _some(exp, offsets, plans[-1], each, run, options)
    while plans:
        for p in list(plans):
            done = 0
            for out in _some(exp, offsets, p, each, run, options):
                done += 1
                yield out
            if not done:
                plans.remove(p)


def _some(exp: Experiment, offsets: Sequence[int], plans: Iterator[tuple[int, int, int]], most: int, run: Execute,
          options: dict[str, Any]) -> Iterator[Outcome]:
    for _, (n, point, task) in zip(range(most), plans):
        yield run(exp, PlanSource(ListSource(list(offsets)), faults=(n,), switches=((point, task),)), **options)


def exhaustive(exp: Experiment, *, widest: int = 8, deepest: int = 40, run: Execute = execute,
               **options: Any) -> Iterator[Outcome]:
    """Every run whose first ``deepest`` choices take the ``widest`` simplest values of their ranges (and the last one); the rest
    is simple.
    """
    prefix: list[int] = []
    while True:
        out = run(exp, ListSource(prefix), **options)
        yield out
        draws = out.draws[:deepest]
        offsets = [c.offset for c in draws]
        for i in reversed(range(len(draws))):
            width = draws[i].high - draws[i].low
            nxt = offsets[i] + 1 if offsets[i] + 1 < widest else width
            if offsets[i] < width and nxt <= width and nxt != offsets[i]:
                prefix = [*offsets[:i], nxt]
                break
        else:
            return
