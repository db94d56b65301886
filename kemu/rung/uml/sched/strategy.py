# SPDX-License-Identifier: GPL-2.0-only
"""Which schedules are tried: every single preemption first, then a few with those who were preempted held back (probabilistic
concurrency testing), many switches at random, and, behind every plan under which code ran as it had never before, one more at
each place that it came to. Code that runs seldom is as likely a place for a switch as a loop that runs a thousand times.
"""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from kemu.explore.sweep import scattered
from kemu.rung.uml.sched.kernel import Outcome, Switched
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.wire import SWITCHES

BATCH = 256
SINGLES = 1500          # of single preemptions at most; of longer programs a sample
KEPT = (200, 60, 30)    # plans that are gone on from, of one program: of so many switches
FURTHER = 1             # of what a program is given anyway: how much more there is for going on from plans
Traces = Sequence[tuple[Plan, Sequence[int]]]       # for plans that preempt nobody where the tasks were at each question


def orders(tasks: int) -> list[tuple[int, ...]]:
    """Who begins: each task once, the others behind it as they are numbered."""
    return [(first, *(t for t in range(1, tasks + 1) if t != first)) for first in range(1, tasks + 1)]


def places(trace: Sequence[int]) -> list[list[int]]:
    """For each place in the code the numbers, from 1, of the questions that were there; seldom ones first."""
    at: dict[int, list[int]] = {}
    for number, pc in enumerate(trace, 1):
        at.setdefault(pc, []).append(number)
    return sorted(at.values(), key=len)


class Strategy:
    """Plans for one program. ``trace``: runs it under a plan, and gives where the tasks were at each question."""

    def __init__(self, traces: Traces, seed: int, trace: Callable[[Plan], Sequence[int]] = lambda _: ()):
        self.rng = random.Random(seed)
        self.traces = [(plan, trace, places(trace)) for plan, trace in traces if trace]
        self.usual = {pc for _, trace, _ in self.traces for pc in trace}
        self.trace = trace
        self.kept = [0] * (len(KEPT) + 1)
        self.open: list[Iterator[Plan]] = []        # plans behind each one that is kept

    def batches(self, most: int) -> Iterator[list[Plan]]:
        """Plans, ``most`` of them, and more while there are some to go on from; a batch at a time."""
        if not self.traces:
            return
        first, more = self._first(), self._more()
        done, size = 0, min(BATCH, most)
        while done < most or (self.open and done < most * (1 + FURTHER)):
            batch = list(islice(first, 3 * size // 4))
            if not batch:
                batch = list(islice(more, 3 * size // 8))
                batch += self._behind(3 * size // 4 - len(batch))
            while len(batch) < size:
                batch.append(self._many() if self.rng.random() < 0.2 else self._few(self.rng.choice((1, 2, 2, 3, 3, 4))))
            yield batch
            done += len(batch)

    def learn(self, plans: Sequence[Plan], outs: Sequence[Outcome]) -> None:
        """What came of a batch."""
        for plan, out in zip(plans, outs):
            n = len(out.switches)
            if out.fresh and 0 < n == len(plan.switches) <= len(KEPT) and self.kept[n] < KEPT[n - 1]:
                self.kept[n] += 1
                self.open.append(self._further(plan, out.switches[-1]))

    def _further(self, plan: Plan, last: Switched) -> Iterator[Plan]:
        """The plan with another switch at each place that is come to behind its last one; first where the program usually is not,
        then the nearer the place is in the code to the last switch's.
        """
        trace = self.trace(plan)[last.point:]

        def rank(numbers: list[int]) -> tuple[bool, int]:
            pc = trace[numbers[0] - 1]
            return pc in self.usual, abs(pc - last.pc)

        for numbers in sorted(places(trace), key=rank):
            for n in dict.fromkeys((numbers[0], numbers[-1])):
                yield replace(plan, switches=[*plan.switches, Switch(n, self.rng.randrange(3), True)])

    def _behind(self, most: int) -> list[Plan]:
        """From each kept plan in turns."""
        out: list[Plan] = []
        while self.open and len(out) < most:
            i = self.rng.randrange(len(self.open))
            plan = next(self.open[i], None)
            if plan is None:
                del self.open[i]
            else:
                out.append(plan)
        return out

    def _first(self) -> Iterator[Plan]:
        """One preemption at each place in the code, the first time that it is come to."""
        for plan, _, at in self.traces:
            for numbers in at:
                yield replace(plan, switches=[Switch(numbers[0], 0, True)])

    def _more(self) -> Iterator[Plan]:
        """One preemption at each place in the code, the last time and some time between; then at every question."""
        n = 0
        for which in range(2):
            for plan, _, at in self.traces:
                for numbers in at:
                    if which + 1 < len(numbers):
                        n += 1
                        yield replace(plan, switches=[Switch(self.rng.choice(numbers) if which else numbers[-1], 0, True)])
        for plan, trace, _ in self.traces:
            for k in scattered(len(trace))[:max(0, SINGLES - n) // len(self.traces)]:
                yield replace(plan, switches=[Switch(k + 1, 0, k % 2 == 0)])

    def _place(self, at: list[list[int]], points: int) -> int:
        return self.rng.choice(self.rng.choice(at)) if self.rng.random() < 0.8 else self.rng.randrange(1, points + 1)

    def _few(self, depth: int) -> Plan:
        """Probabilistic concurrency testing: ``depth`` places, at each of which the one that runs becomes the last of all. Behind
        the first switch the program runs as it has not run before: some of the others are near, some anywhere.
        """
        plan, trace, at = self.rng.choice(self.traces)
        gaps = [self._place(at, len(trace))]
        for _ in range(depth - 1):
            gaps.append(1 + int(self.rng.expovariate(1 / 30)) if self.rng.random() < 0.4
                        else self.rng.randrange(1, max(2, len(trace) - gaps[0])))
        return replace(plan, switches=[Switch(g, self.rng.randrange(3), self.rng.random() < 0.8) for g in gaps])

    def _many(self) -> Plan:
        """Up to all switches that a plan has, by a coin."""
        plan, trace, _ = self.rng.choice(self.traces)
        n = self.rng.randrange(3, SWITCHES + 1)
        mean = max(1.0, len(trace) / n * self.rng.choice((0.1, 0.3, 1.0)))
        return replace(plan, switches=[Switch(1 + int(self.rng.expovariate(1 / mean)), self.rng.randrange(4),
                                              self.rng.random() < 0.3) for _ in range(n)])
