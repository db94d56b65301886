# SPDX-License-Identifier: GPL-2.0-only
"""Looking for findings: what an experiment offers to be varied is varied systematically first, then from seeds, for as long as there is time.

Each new cause is shrunk at once and counted once. Experiments share the time evenly by weight. A seed that showed new behaviour is kept and
varied further (its choices, a few changed at a time).
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.finding import SEVERITIES, Finding
from kemu.explore.run import Outcome, execute
from kemu.explore.shrink import shrink
from kemu.explore.source import ListSource, PlanSource, SeedSource, Source
from kemu.explore.sweep import exhaustive, mixed_sweep, scattered, schedule_sweep
from kemu.forge.pick import splitmix64

FEW = 64                # runs that an experiment may have to be run through instead of sampled


@dataclass
class Progress:
    """How far a search is; ``findings`` in the order in which they were found."""

    examples: int = 0
    behaviours: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    of_base: list[Finding] = field(default_factory=list)        # what the base shows as well
    seconds: float = 0.0
    current: str = ""
    per_experiment: dict[str, int] = field(default_factory=dict)

    def sorted_findings(self) -> list[Finding]:
        """Worst first."""
        return sorted(self.findings, key=lambda f: (SEVERITIES.index(f.severity), f.title))


class Plan:
    """The order in which one experiment's choices are tried."""

    def __init__(self, exp: Experiment, seed: int, shard: tuple[int, int], options: dict[str, Any]):
        self.exp = exp
        self.spent = 0.0
        self.urgent = True                  # each run is of a kind that has not been tried: before seeds, and when the time is over
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
        yield from self._sweeps(simplest, 400, self.shard)
        if not simplest.draws:
            return
        if math.prod(c.high - c.low + 1 for c in simplest.draws) <= FEW and not (simplest.armed("fault") or simplest.armed("preempt")):
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
        n = 0
        novel: list[Outcome] = []           # runs with new behaviour whose faults and schedules have not been swept yet
        while True:
            n += 1
            seed = self.first_seed + self.shard[0] + n * self.shard[1]
            source: Source = ListSource(self._vary()) if self.kept and n % 3 == 0 else SeedSource(seed)
            out = execute(exp, source, **options)
            new = out.behaviour - self.seen
            if new:
                self.seen |= new
                self.kept.append([c.offset for c in out.draws])
                if out.finding is None and (out.armed("fault") or out.armed("preempt")):
                    novel.append(out)
            yield out
            if novel and n % 8 == 0:
                yield from self._sweeps(novel.pop(), 300)

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


def _of_base(out: Outcome, options: dict[str, Any]) -> bool:
    """Whether the series below shows the same with the same choices."""
    below = out.experiment.below
    if below is None or out.finding is None:
        return False
    there = execute(below, ListSource([c.offset for c in out.draws]), **options)
    return there.finding is not None and there.finding.cause == out.finding.cause


def shrink_finding(finding: Finding, exp: Experiment, seconds: float, **options: Any) -> Finding:
    """The finding with the smallest trigger that is found in ``seconds``; itself if it does not come again."""
    out = execute(exp, ListSource(finding.offsets), **options)
    if out.finding is None or out.finding.cause != finding.cause:
        return finding
    small = shrink(out, seconds, **options)
    assert small.finding is not None
    small.finding.offsets = [c.offset for c in small.draws]
    small.finding.examples = finding.examples
    return small.finding


def search(experiments: Sequence[Experiment], *, seconds: float = 0.0, examples: int = 0, seed: int = 0, shard: tuple[int, int] = (0, 1),
           shrink_seconds: float = 4.0, patience: float = 0.0, tell: Callable[[Progress], None] | None = None, found: Callable[[Finding], None] | None = None,
           **options: Any) -> Progress:
    """Run experiments until the time or the number of examples is used up (0: no limit of that kind), or nothing is left to run.

    ``shard``: (number, of how many): seeds are dealt out, sweeps belong to shard 0. ``tell`` is called after every example, ``found`` for each
    finding when it is shrunk. ``patience``: how many seconds it may take until everything that is done once has been done.
    """
    start = time.monotonic()
    plans = [Plan(e, seed, shard, options) for e in experiments]
    p = Progress()
    known: dict[str, Finding] = {}
    while plans:
        late = seconds and p.seconds >= seconds
        plan = min([q for q in plans if q.urgent] if late else plans, key=lambda q: q.spent / q.exp.weight / (3 if q.urgent else 1))
        before = time.monotonic()
        out = next(plan, None)
        if out is None:                     # everything that it can do has been seen
            plans.remove(plan)
            if seconds and p.seconds >= seconds and not any(q.urgent for q in plans):
                break
            continue
        p.examples += 1
        name = plan.exp.name
        p.current = name
        p.per_experiment[name] = p.per_experiment.get(name, 0) + 1
        p.behaviours |= {f"{name}:{b}" for b in out.behaviour}
        if out.finding is not None and out.finding.cause not in known:
            out.finding.offsets = [c.offset for c in out.draws]
            finding = out.finding
            finding.examples = p.per_experiment[name]
            known[finding.cause] = finding
            if _of_base(out, options):
                p.of_base.append(finding)
            else:
                if shrink_seconds:
                    left = start + seconds - time.monotonic() if seconds else shrink_seconds
                    small = shrink(out, max(0.2, min(shrink_seconds, left)), **options)
                    if small.finding is not None:
                        small.finding.examples = finding.examples
                        finding = small.finding
                        finding.offsets = [c.offset for c in small.draws]
                        known[finding.cause] = finding
                p.findings.append(finding)
                if found is not None:
                    found(finding)
        plan.spent += time.monotonic() - before
        p.seconds = time.monotonic() - start
        if tell is not None:
            tell(p)
        if seconds and p.seconds >= seconds and not (p.seconds < patience and any(q.urgent for q in plans)) or examples and p.examples >= examples:
            break
    return p
