# SPDX-License-Identifier: GPL-2.0-only
"""Boots whose switches are chosen: what a boot comes to may not depend on who runs when. Each plan is a boot."""
from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from kemu.explore import chooser
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.boot import Booted, boot
from kemu.rung.uml.sched.callers import Caller, Seen, cmdline_of, is_early, wrong_pages
from kemu.rung.uml.sched.case import Memory, draw_plan, offsets_of, own, tell
from kemu.rung.uml.sched.hunt import EVERY, programs, smallest, tally_of
from kemu.rung.uml.sched.kernel import Outcome
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.strategy import places
from kemu.rung.uml.sched.wire import End

BOOTS = 96              # of one initrd
DEEPEST = 4             # switches of a plan


@dataclass
class BootCase:
    """An initrd, words for the command line, and who asks for something meanwhile. ``seen``: what is in it that they ask for;
    None: it may not be unpacked to its end, and they get what they get when nobody is preempted.
    """

    initrd: bytes
    cmdline: str = ""
    told: list[str] = field(default_factory=list)
    callers: Sequence[Caller] = ()
    seen: Seen | None = None

    def under(self, plan: Plan, trace: bool = False) -> Booted:
        """The boot under a plan."""
        return boot(asked_sched().built.path, self.initrd, plan, f"{self.cmdline} {cmdline_of(self.callers)}", trace)

    def odd(self, out: Booted) -> str:
        """What is wrong with a boot by itself, whatever others come to; empty if nothing."""
        if out.ledger is not None:
            what = wrong_pages(out.ledger, self.initrd, "retain_initrd" in self.cmdline.split())
            if what:
                return what
        got = out.got
        if out.boot.end in ("init", "panic") and self.callers and len(got) not in (0, len(self.callers)):
            return f"{len(got)} of {len(self.callers)} callers have an answer"
        wrong = (self.seen.wrong(c, g) for c, g in zip(self.callers, got)) if self.seen is not None else ()
        return next(filter(None, wrong), "")

    def differs(self, alone: Booted, out: Booted) -> str:
        """What a boot came to that is wrong, or is not as when nobody is preempted; empty if nothing."""
        a, b = alone.answers(), out.answers()
        for i, (x, y) in enumerate(zip(a, b)):
            if x != y:
                return f"{y} instead of {x}" if i < 3 else "another tree than alone"
        if len(a) != len(b):
            return f"{len(b) - 3} inodes instead of {len(a) - 3}"
        if what := self.odd(out):
            return what
        if alone.ledger != out.ledger:
            return f"the initrd: {out.ledger}; and not {alone.ledger}"
        for c, right, got in zip(self.callers, alone.got, out.got):
            if right != got and self.seen is None and c.late:
                return f"{c} gets {got} instead of {right}"
        new = [line for line in sorted(out.messages() - alone.messages()) if not is_early(line, self.callers)]
        return f"the kernel says: {new[0]}" if new else ""


def judge_boot(run: Run, case: BootCase) -> None:
    """Boot with nobody preempted and under the plan: the end, the messages and the tree that init finds are the same, and so is
    what others get who ask for something meanwhile. The initrd's pages are freed once, or kept.
    """
    plan = draw_plan(run.pick, 1)
    memory = Memory(run, len(plan.switches))
    asked = asked_sched()
    run.show(*case.told, *(str(c) for c in case.callers), f"command line: {case.cmdline}" if case.cmdline else "")
    run.files = {"initrd": case.initrd}
    alone = case.under(Plan())
    out = case.under(plan) if plan.switches else alone
    kernel = asked.built
    story = tell(kernel, Outcome(End.DONE, switches=out.switches))
    memory.compare(kernel, story)
    for s, (where, _) in zip(out.switches, story):
        run.chooser.switches.append(chooser.Switch(s.point, where, s.frm, s.to))
    lines = [text for _, text in story]
    run.files |= {"console": out.console.encode(), "story": "".join(f"{x}\n" for x in lines).encode()}
    if run.trace is not None:
        for text in (*lines, *out.console.splitlines()):
            run.trace.add(text)
    run.saw(f"{len(out.switches)} switches", out.boot.end)
    if odd := case.odd(alone):
        run.fail(f"a boot in which nobody is preempted: {odd}", *alone.console.splitlines()[-20:], cause=f"boot: {odd[:60]}",
                 severity="critical")
    what = case.differs(alone, out)
    if what:
        last = own(kernel, out.switches)
        run.fail(f"the boot depends on who runs: {what}", *lines, *out.console.splitlines()[-20:], cause=f"boot: {what[:60]}",
                 severity="critical", c=last)


class Deeper:
    """Plans for boots of one initrd. A boot is long, and there are few: one preemption at a place in the code, those first that
    the hunt has not ``tried``, seldom ones before others; and, of boots that came to something new, one more where the code then
    went as it had not gone before.
    """

    def __init__(self, alone: Sequence[int], seed: int, tried: Counter[int]):
        self.rng = random.Random(seed)
        self.alone = alone
        self.at = places(alone)
        self.tried = tried
        self.known = set(pairwise(alone))
        self.base: list[tuple[Plan, list[int]]] = []        # plans, and the questions at which something new came behind them

    def plan(self) -> Plan:
        """The next one."""
        if not self.base or self.rng.random() < 0.5:
            numbers = min(self.at, key=lambda n: (self.tried[self.alone[n[0] - 1]], min(len(n), 3), self.rng.random()))
            self.tried[self.alone[numbers[0] - 1]] += 1
            return Plan([self._switch(self.rng.choice(numbers))])
        plan, new = self.rng.choice(self.base)
        done = sum(s.gap for s in plan.switches)
        at = self.rng.choice(new) + int(self.rng.expovariate(1 / 2))
        return replace(plan, switches=[*plan.switches, self._switch(max(1, at - done))])

    def _switch(self, gap: int) -> Switch:
        return Switch(gap, self.rng.choice((0, 0, 0, 1, 2)), self.rng.random() < 0.8)

    def learn(self, plan: Plan, trace: Sequence[int]) -> None:
        """Where the tasks were in the boot under a plan."""
        done = sum(s.gap for s in plan.switches)
        new = [n for n, step in enumerate(pairwise(trace), 2) if n > done and step not in self.known]
        self.known.update(pairwise(trace))
        if new and len(plan.switches) < DEEPEST:
            self.base.append((plan, new))


@dataclass(frozen=True)
class BootHunt:
    """The runs of an experiment of boots: those that are wrong, and now and then one that is not."""

    make: Callable[[Pick], BootCase]
    boots: int = BOOTS

    def __call__(self, rung: str) -> Iterator[list[int]]:
        """All of them."""
        return self.deal(rung, 0, (0, 1))

    def deal(self, rung: str, seed: int, shard: tuple[int, int]) -> Iterator[list[int]]:
        """The share of one of several processes."""
        last = time.monotonic()
        tally = tally_of(self.make)
        tried: Counter[int] = Counter()
        for number, choices in programs(seed, shard):
            case = self.make(Pick(choices))
            alone = case.under(Plan(), trace=True)
            tally.programs += 1
            if case.odd(alone):
                tally.hits += 1
                yield choices.offsets() + offsets_of(Plan(), 1)
                last = time.monotonic()
                continue
            if not alone.trace:                             # it never begins
                continue
            search = Deeper(alone.trace, number, tried)
            for _ in range(self.boots):
                plan = search.plan()
                out = case.under(plan, trace=True)
                search.learn(plan, out.trace)
                tally.schedules += 1
                if case.differs(alone, out):
                    tally.hits += 1
                    plan = smallest(plan, lambda p: bool(case.differs(alone, case.under(p))))  # noqa: B023 - called at once
                    yield choices.offsets() + offsets_of(plan, 1)
                    last = time.monotonic()
                    break
                if time.monotonic() - last > EVERY:
                    yield choices.offsets() + offsets_of(Plan(), 1)
                    last = time.monotonic()
