# SPDX-License-Identifier: GPL-2.0-only
"""The search for schedules: thousands of plans of one program in the running kernel; what is wrong is made small there, and shown
once more in a kernel that has run nothing else, before it becomes a run of the experiment.
"""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from kemu.explore.chooser import Choices
from kemu.explore.source import ListSource, SeedSource, Source, SparseSource, SweepSource
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.case import Case, offsets_of
from kemu.rung.uml.sched.kernel import Outcome, Sched
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.strategy import Strategy, orders

SCHEDULES = 4096        # of one program
MOST_EACH = 256         # values of a choice that are all tried
LOST = 12               # wrong plans that no fresh kernel shows, after which another program is tried
FEW = 4                 # switches that a maintainer follows; of a plan that needs more a smaller one is looked for
MANY = 8                # times
NEARBY = 250            # plans that are like one of those
EVERY = 0.5             # seconds after which a search is told that its experiment is alive


@dataclass
class Tally:
    """What a hunt has done. ``lost``: plans that were wrong in a kernel that had run others, and not in a fresh one."""

    programs: int = 0
    schedules: int = 0
    hits: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Hunt:
    """The runs of an experiment whose cases ``make`` draws: those that are wrong, and now and then one that is not. ``schedules``
    of each program; ``each``: name of a choice of which the simplest program has every value first.
    """

    make: Callable[[Pick], Case]
    schedules: int = SCHEDULES
    each: str = ""

    def __call__(self, rung: str) -> Iterator[list[int]]:
        """All of them."""
        return self.deal(rung, 0, (0, 1))

    def deal(self, rung: str, seed: int, shard: tuple[int, int]) -> Iterator[list[int]]:
        """The share of one of several processes."""
        last = time.monotonic()
        tally = tally_of(self.make)
        for number, chooser in programs(seed, shard, self.each):
            case = self.make(Pick(chooser))
            tally.programs += 1
            hit = hunt(case, number, self.schedules, tally)
            if hit is not None or time.monotonic() - last > EVERY:
                yield chooser.offsets() + offsets_of(hit or Plan(), len(case.program.tasks))
                last = time.monotonic()


def programs(seed: int, shard: tuple[int, int], each: str = "") -> Iterator[tuple[int, Choices]]:
    """The choices of one program after the other, with its number: the simplest, with every value of the choice ``each``, then
    one that is simple but for a few things and one that is drawn from the number, in turns.
    """
    for n in itertools.count(shard[0], shard[1]) if each else ():
        sweep = SweepSource(each, n)
        yield seed + n, Choices(sweep)
        if sweep.over or n > MOST_EACH:
            break
    for number in itertools.count(seed + shard[0], shard[1]):
        if each and not number:                     # the simplest was
            continue
        source: Source = ListSource([]) if not number else SparseSource(number) if number % 2 else SeedSource(number)
        yield number, Choices(source)


_tallies: dict[object, Tally] = {}


def tally_of(make: object) -> Tally:
    """What has been done in this process of the hunt whose cases ``make`` draws."""
    return _tallies.setdefault(make, Tally())


def tallied() -> str:
    """What all hunts of this process have done, as a line; empty if there were none."""
    each = _tallies.values()
    programs, schedules, lost = (sum(getattr(t, name) for t in each) for name in ("programs", "schedules", "lost"))
    more = f"; {lost} were wrong only in a kernel that had run others before" if lost else ""
    return f"{schedules} schedules of {programs} programs{more}" if schedules else ""


def hunt(case: Case, seed: int, most: int, tally: Tally) -> Plan | None:
    """A plan under which the case goes wrong in a fresh kernel, as small as it can be made; None: none was met. A case that goes
    wrong by itself has the plan that preempts nobody.
    """
    kernel = asked_sched().kernel()
    case.place(kernel)
    alone = kernel.learn(case.program)
    if bad(alone):
        tally.hits += 1
        return Plan()
    alone_each = [Plan((), order, fine) for fine in asked_sched().grains for order in orders(max(1, len(case.program.tasks)))]
    traces = [(plan, kernel.trace(case.program, plan)) for plan in alone_each]
    strategy = Strategy(traces, seed, lambda plan: kernel.trace(case.program, plan))
    best, many = None, 0
    for batch in strategy.batches(most // asked_sched().slower):
        outs = kernel.run(case.program, batch)
        tally.schedules += len(outs)
        strategy.learn(batch, outs)
        if not bad(outs[-1]):
            continue
        tally.hits += 1
        found = alike(kernel, case, batch[len(outs) - 1])
        if found is not None:
            small = smallest(found, lambda p: bad(afresh(kernel, case, p)))
            best = small if best is None or len(small.switches) < len(best.switches) else best
            many += 1
            if len(best.switches) <= FEW or many == MANY:
                return best
        else:
            tally.lost += 1
            if tally.lost % LOST == 0:
                return best
        afresh(kernel, case, Plan())
    return best


def alike(kernel: Sched, case: Case, plan: Plan) -> Plan | None:
    """The plan, or one that switches a little earlier or later, under which the case goes wrong in a fresh kernel: what has run
    before can have left some questions that a fresh one does not have.
    """
    if bad(afresh(kernel, case, plan)):
        return plan
    close = nearby(plan)
    afresh(kernel, case, Plan())
    outs = kernel.run(case.program, close)
    if bad(outs[-1]):
        plan = close[len(outs) - 1]
        if bad(afresh(kernel, case, plan)):
            return plan
    return None


def nearby(plan: Plan) -> list[Plan]:
    """Plans with the same switches a few questions earlier or later, the closest first."""
    moves = sorted(product(range(-2, 3), repeat=min(len(plan.switches), 4)), key=lambda move: sum(map(abs, move)))[1:NEARBY + 1]
    rest = plan.switches[4:]
    return [replace(plan, switches=[*(replace(s, gap=max(1, s.gap + d)) for s, d in zip(plan.switches, move)), *rest])
            for move in moves]


def bad(out: Outcome) -> bool:
    """Whether it is a finding."""
    return out.crash is not None or out.wrong is not None


def afresh(kernel: Sched, case: Case, plan: Plan) -> Outcome:
    """The case under a plan, in a kernel that has run nothing but the case alone."""
    kernel.close()
    case.place(kernel)
    alone = kernel.learn(case.program)
    return alone if bad(alone) else kernel.run(case.program, [plan])[0]


def smallest(plan: Plan, attempt: Callable[[Plan], bool]) -> Plan:
    """The plan with fewer switches, and simpler ones, under which it still goes wrong."""
    def better() -> Iterator[Plan]:
        switches = list(plan.switches)
        for i in reversed(range(len(switches))):
            yield replace(plan, switches=_without(switches, i))
        if plan.order and plan.order[0] != 1:
            yield replace(plan, order=())
        for i, s in enumerate(switches):
            if s.hold:
                yield replace(plan, switches=[*switches[:i], replace(s, hold=False), *switches[i + 1:]])
            if s.who:
                yield replace(plan, switches=[*switches[:i], replace(s, who=0), *switches[i + 1:]])

    if not attempt(plan):
        return plan
    again = True
    while again:
        again = False
        for candidate in better():
            if attempt(candidate):
                plan, again = candidate, True
                break
    return plan


def _without(switches: Sequence[Switch], i: int) -> list[Switch]:
    """The others, at the places where they were."""
    rest = list(switches[:i])
    if i + 1 < len(switches):
        rest.append(replace(switches[i + 1], gap=switches[i].gap + switches[i + 1].gap))
    return rest + list(switches[i + 2:])
