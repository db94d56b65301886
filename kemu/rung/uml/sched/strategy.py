# SPDX-License-Identifier: GPL-2.0-only
"""Which schedules are tried: every single preemption first, then a few with those who were preempted held back (probabilistic
concurrency testing), then many switches at random.
"""
from __future__ import annotations

import random
from collections.abc import Iterator

from kemu.explore.sweep import scattered
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.wire import SWITCHES

BATCH = 256
SINGLES = 2000          # of single preemptions at most; of longer programs a sample


def orders(tasks: int) -> list[tuple[int, ...]]:
    """Who begins: each task once, the others behind it as they are numbered."""
    return [(first, *(t for t in range(1, tasks + 1) if t != first)) for first in range(1, tasks + 1)]


def singles(points: int, tasks: int) -> Iterator[Plan]:
    """One preemption at each scheduling question, spread over all of them from the beginning, with each task as the first."""
    first = orders(tasks)
    everywhere = scattered(points)
    for hold in (True, False):
        for order in first:
            for k in everywhere[:SINGLES // (2 * len(first))]:
                yield Plan([Switch(k + 1, 0, hold)], order)


def few(points: int, tasks: int, depth: int, rng: random.Random) -> Plan:
    """Probabilistic concurrency testing: ``depth`` places anywhere, at each of which the one that runs becomes the last of all."""
    places = sorted(rng.randrange(1, points + 1) for _ in range(depth))
    gaps = [b - a for a, b in zip([0, *places], places)]
    return Plan([Switch(max(g, 1), rng.randrange(3), True) for g in gaps], rng.choice(orders(tasks)))


def many(points: int, tasks: int, rng: random.Random) -> Plan:
    """Up to all switches that a plan has, by a coin."""
    n = rng.randrange(3, SWITCHES + 1)
    mean = max(1.0, points / n * rng.choice((0.1, 0.3, 1.0)))
    return Plan([Switch(1 + int(rng.expovariate(1 / mean)), rng.randrange(4), rng.random() < 0.3) for _ in range(n)],
                rng.choice(orders(tasks)))


def batches(points: int, tasks: int, seed: int, most: int) -> Iterator[list[Plan]]:
    """Plans for a program that meets so many scheduling questions, ``most`` of them."""
    rng = random.Random(seed)
    one = singles(points, tasks) if points else iter(())
    done = 0
    while done < most and points:
        batch = [p for p, _ in zip(one, range(BATCH // 2))]
        while len(batch) < BATCH:
            batch.append(many(points, tasks, rng) if rng.random() < 0.25 else few(points, tasks, rng.choice((1, 2, 2, 3, 3, 4)), rng))
        yield batch
        done += len(batch)
