# SPDX-License-Identifier: GPL-2.0-only
"""The order in which one experiment's choices are tried: the simplest run, what was kept of earlier searches, sweeps, then seeds
and variations of what was new.
"""
from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from kemu.explore.experiment import Dealt, Experiment, Feed
from kemu.explore.run import Outcome, execute
from kemu.explore.source import ListSource, PlanSource, SeedSource, Source
from kemu.explore.sweep import exhaustive, mixed_sweep, scattered, schedule_sweep
from kemu.forge.pick import splitmix64

FEW = 64                # runs that an experiment may have to be run through instead of sampled


class Done(NamedTuple):
    """How far one share of an experiment's plan is: what an interrupted search goes on from."""

    swept: bool = False     # the sweeps from the simplest run are over
    seeds: int = 0          # seeds tried, or recorded runs of an experiment's own


class Plan:
    """The order in which one experiment's choices are tried.

    ``shard``: (number, of how many): seeds are dealt out. ``first``: recorded choices that are run before the seeds. ``done``:
    what need not be done again.
    """

    def __init__(self, exp: Experiment, seed: int, shard: tuple[int, int], options: dict[str, Any],
                 first: Sequence[Sequence[int]] = (), done: Done = Done()):
        self.exp = exp
        self.first = first
        self.done = done
        self.spent = 0.0
        # each run is of a kind that has not been tried: before seeds, and when the time is over
        self.urgent = True
        self.options = options
        self.seen: set[str] = set()
        self.kept: list[list[int]] = []
        self.swept: set[Hashable] = set()
        self.state = (seed << 20) ^ shard[0]
        self.shard = shard
        self.first_seed = seed
        self._outcomes = self._go()

    def __next__(self) -> Outcome:
        return next(self._outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return self

    def _go(self) -> Iterator[Outcome]:
        exp, options = self.exp, self.options
        simplest = execute(exp, ListSource([]), **options)
        yield simplest
        for offsets in self.first[self.shard[0]::self.shard[1]]:
            yield self._new(execute(exp, ListSource(offsets), **options))
        if exp.feed is not None:
            yield from self._fed(exp.feed)
            return
        if not self.done.swept:
            yield from self._sweeps(simplest, 400, self.shard)
            self.done = self.done._replace(swept=True)
        if not simplest.draws:
            return
        if (math.prod(c.high - c.low + 1 for c in simplest.draws) <= FEW
            and not (simplest.armed("fault") or simplest.armed("preempt"))):
            # each run there is, once
            self.urgent = True
            runs = exhaustive(exp, widest=FEW, **options)
            next(runs)
            for k, out in enumerate(runs):
                if k == 4 * FEW:            # other choices lead to more of them
                    break
                yield out
            else:
                return
            self.urgent = False
        n = self.done.seeds
        novel: list[Outcome] = []           # runs with new behaviour whose faults and schedules have not been swept yet
        while True:
            n += 1
            seed = self.first_seed + self.shard[0] + n * self.shard[1]
            source: Source = ListSource(self._vary()) if self.kept and n % 3 == 0 else SeedSource(seed)
            before = len(self.kept)
            out = self._new(execute(exp, source, **options))
            if len(self.kept) > before and out.finding is None and (out.armed("fault") or out.armed("preempt")):
                novel.append(out)
            yield out
            self.done = self.done._replace(seeds=n)
            if novel and n % 8 == 0:
                yield from self._sweeps(novel.pop(), 300)

    def _fed(self, feed: Feed) -> Iterator[Outcome]:
        """The runs that the experiment brings, each once, then variations of those that behaved as none before."""
        exp, options = self.exp, self.options
        self.urgent = False
        if isinstance(feed, Dealt):
            runs = iter(feed.deal(exp.rungs[0], self.first_seed + self.done.seeds, self.shard))
        else:
            runs = itertools.islice(feed(exp.rungs[0]), self.shard[0] + self.done.seeds * self.shard[1], None, self.shard[1])
        for offsets in runs:
            yield self._new(execute(exp, ListSource(offsets), **options))
            self.done = self.done._replace(seeds=self.done.seeds + 1)
        while self.kept:
            yield self._new(execute(exp, ListSource(self._vary()), **options))

    def _new(self, out: Outcome) -> Outcome:
        """Keep the choices of a run that behaved as none before it: they are varied further."""
        new = out.behaviour - self.seen
        if new:
            self.seen |= new
            self.kept.append([c.offset for c in out.draws])
        return out

    def _sweeps(self, out: Outcome, most: int, share: tuple[int, int] = (0, 1)) -> Iterator[Outcome]:
        """Preemptions, few first; and the failure of every call that has not been failed before from the same place in the code.

        ``share``: (number, of how many): processes that do the same sweep deal out the calls; the first has the schedules.
        """
        values = [c.offset for c in out.draws if c.name not in ("fault", "preempt", "task")]
        kinds: list[Iterator[Outcome]] = []
        if out.armed("preempt") and share[0] == 0:
            kinds.append(schedule_sweep(self.exp, values, 2, **self.options))
        if out.armed("fault"):
            kinds.append(self._fault_sweep(values, share))
        if out.armed("fault") and out.armed("preempt"):
            first = scattered(len(out.fault_keys))[share[0]::share[1]]
            kinds.append(mixed_sweep(self.exp, values, [i + 1 for i in first], **self.options))
        self.urgent = out.armed("fault") and not out.armed("preempt")
        while kinds and most > 0:
            for k in list(kinds):
                most -= 1
                step = next(k, None)
                if step is None:
                    kinds.remove(k)
                else:
                    yield step
        self.urgent = False

    def _fault_sweep(self, values: Sequence[int], share: tuple[int, int]) -> Iterator[Outcome]:
        plain = execute(self.exp, PlanSource(ListSource(values)), **self.options)
        yield plain
        new = []
        for n, key in enumerate(plain.fault_keys, 1):
            if key not in self.swept:
                self.swept.add(key)
                new.append(n)
        for i in scattered(len(new))[share[0]::share[1]]:
            yield execute(self.exp, PlanSource(ListSource(values), faults=(new[i],)), **self.options)

    def _vary(self) -> list[int]:
        self.state, z = splitmix64(self.state)
        base = list(self.kept[z % len(self.kept)])
        for _ in range(1 + (z >> 20) % 3):
            if not base:
                break
            self.state, z = splitmix64(self.state)
            i = z % len(base)
            form = (z >> 32) & 7
            if form < 3:
                base[i] = (z >> 40) % 8
            elif form < 5:
                base[i] = max(0, base[i] + (1 if z & 1 << 40 else -1))
            elif form == 5:
                base[i] = 0
            elif form == 6:
                base[i] = (z >> 40) % 5000
            else:
                del base[i]
        return base
