# SPDX-License-Identifier: GPL-2.0-only
"""Boots whose switches are chosen: what a boot comes to may not depend on who runs when. Each plan is a boot."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kemu.explore import chooser
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.boot import Booted, boot
from kemu.rung.uml.sched.case import Memory, draw_plan, offsets_of, own, tell
from kemu.rung.uml.sched.hunt import EVERY, programs, smallest, tally_of
from kemu.rung.uml.sched.kernel import Outcome
from kemu.rung.uml.sched.program import Plan
from kemu.rung.uml.sched.strategy import Strategy
from kemu.rung.uml.sched.wire import End

BOOTS = 96              # of one initrd


@dataclass
class BootCase:
    """An initrd, and words for the command line."""

    initrd: bytes
    cmdline: str = ""
    told: list[str] = field(default_factory=list)

    def under(self, plan: Plan, trace: bool = False) -> Booted:
        """The boot under a plan."""
        return boot(asked_sched().built.path, self.initrd, plan, self.cmdline, trace)


def differs(alone: Booted, other: Booted) -> str:
    """What one boot came to that another did not; empty if nothing."""
    a, b = alone.answers(), other.answers()
    for i, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f"{y} instead of {x}" if i < 3 else "another tree than alone"
    return "" if len(a) == len(b) else f"{len(b) - 3} inodes instead of {len(a) - 3}"


def judge_boot(run: Run, case: BootCase) -> None:
    """Boot with nobody preempted and under the plan: the end, the messages and the tree that init finds are the same."""
    plan = draw_plan(run.pick, 1)
    memory = Memory(run, len(plan.switches))
    asked = asked_sched()
    run.show(*case.told, f"command line: {case.cmdline}" if case.cmdline else "")
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
    what = differs(alone, out)
    if what:
        last = own(kernel, out.switches)
        run.fail(f"the boot depends on who runs: {what}", *lines, *out.console.splitlines()[-20:], cause=f"boot: {what[:60]}",
                 severity="critical", c=last)


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
        for number, choices in programs(seed, shard):
            case = self.make(Pick(choices))
            alone = case.under(Plan(), trace=True)
            tally.programs += 1
            for k, plan in enumerate(p for batch in Strategy([((), alone.trace)], number).batches(self.boots) for p in batch):
                if k >= self.boots:
                    break
                out = case.under(plan)
                tally.schedules += 1
                if differs(alone, out):
                    tally.hits += 1
                    plan = smallest(plan, lambda p: bool(differs(alone, case.under(p))))  # noqa: B023 - called at once
                    yield choices.offsets() + offsets_of(plan, 1)
                    last = time.monotonic()
                    break
                if time.monotonic() - last > EVERY:
                    yield choices.offsets() + offsets_of(Plan(), 1)
                    last = time.monotonic()
