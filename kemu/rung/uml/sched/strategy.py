# SPDX-License-Identifier: GPL-2.0-only
"""Which schedules are tried: every single preemption first, then a few with those who were preempted held back (probabilistic
concurrency testing), then many switches at random. Code that runs seldom is as likely a place for a switch as a loop that runs
a thousand times.
"""
from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from kemu.explore.sweep import scattered
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.wire import SWITCHES

BATCH = 256
SINGLES = 1500          # of single preemptions at most; of longer programs a sample
Traces = Sequence[tuple[tuple[int, ...], Sequence[int]]]       # for each order of the tasks where they were at each question


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
    """Plans for one program."""

    def __init__(self, traces: Traces, seed: int):
        self.rng = random.Random(seed)
        self.traces = [(order, trace, places(trace)) for order, trace in traces if trace]

    def batches(self, most: int) -> Iterator[list[Plan]]:
        """Plans, ``most`` of them, a batch at a time."""
        if not self.traces:
            return
        one = self._singles()
        done = 0
        while done < most:
            batch = [p for p, _ in zip(one, range(3 * BATCH // 4))]
            while len(batch) < BATCH:
                batch.append(self._many() if self.rng.random() < 0.2 else self._few(self.rng.choice((1, 2, 2, 3, 3, 4))))
            yield batch
            done += len(batch)

    def _singles(self) -> Iterator[Plan]:
        """One preemption at each place in the code, the first time and the last and some time between; then at every question."""
        n = 0
        for which in range(3):
            for order, _, at in self.traces:
                for numbers in at:
                    if which < len(numbers):
                        k = (numbers[0], numbers[-1], self.rng.choice(numbers))[which]
                        n += 1
                        yield Plan([Switch(k, 0, True)], order)
        for order, trace, _ in self.traces:
            for k in scattered(len(trace))[:max(0, SINGLES - n) // len(self.traces)]:
                yield Plan([Switch(k + 1, 0, k % 2 == 0)], order)

    def _place(self, at: list[list[int]], points: int) -> int:
        return self.rng.choice(self.rng.choice(at)) if self.rng.random() < 0.8 else self.rng.randrange(1, points + 1)

    def _few(self, depth: int) -> Plan:
        """Probabilistic concurrency testing: ``depth`` places, at each of which the one that runs becomes the last of all. Behind
        the first switch the program runs as it has not run before: some of the others are near, some anywhere.
        """
        order, trace, at = self.rng.choice(self.traces)
        gaps = [self._place(at, len(trace))]
        for _ in range(depth - 1):
            gaps.append(1 + int(self.rng.expovariate(1 / 30)) if self.rng.random() < 0.4
                        else self.rng.randrange(1, max(2, len(trace) - gaps[0])))
        return Plan([Switch(g, self.rng.randrange(3), self.rng.random() < 0.8) for g in gaps], order)

    def _many(self) -> Plan:
        """Up to all switches that a plan has, by a coin."""
        order, trace, _ = self.rng.choice(self.traces)
        n = self.rng.randrange(3, SWITCHES + 1)
        mean = max(1.0, len(trace) / n * self.rng.choice((0.1, 0.3, 1.0)))
        return Plan([Switch(1 + int(self.rng.expovariate(1 / mean)), self.rng.randrange(4), self.rng.random() < 0.3)
                     for _ in range(n)], order)
