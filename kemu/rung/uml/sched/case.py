# SPDX-License-Identifier: GPL-2.0-only
"""A case of the deterministic kernel: images, a program, and a plan drawn for it; what came of them, told by the lines of C."""
from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field

from kemu.explore import chooser, finding
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.lines import Frame, frames
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.kernel import Outcome, Said, Sched
from kemu.rung.uml.sched.program import Plan, Program, Step, Switch
from kemu.rung.uml.sched.strategy import orders
from kemu.rung.uml.sched.wire import LOG, SWITCHES

FURTHEST = 100_000      # scheduling questions between two switches
OTHERS = 8


@dataclass
class Case:
    """What is run: a program, over images that are placed as the rung's :class:`~kemu.rung.uml.sched.kernel.Sched` has it."""

    program: Program
    images: Sequence[bytes] = ()
    backend: str = "disk"
    memory: str = "linear"
    at: int = 0
    told: list[str] = field(default_factory=list)

    def place(self, kernel: Sched) -> None:
        """Load the images."""
        kernel.load(self.images, self.backend, self.memory, self.at)


def draw_plan(pick: Pick, tasks: int) -> Plan:
    """A plan; the simplest preempts nobody. Tokens depend on the order of these choices."""
    order = orders(tasks)[pick.int("who begins", 0, tasks - 1)] if tasks > 1 else ()
    switches: list[Switch] = []
    while len(switches) < SWITCHES:
        gap = pick.int("switch", 0, FURTHEST)
        if not gap:
            break
        switches.append(Switch(gap, pick.int("to", 0, OTHERS - 1), bool(pick.int("hold", 0, 1))))
    return Plan(switches, order)


def offsets_of(plan: Plan, tasks: int) -> list[int]:
    """The choices that :func:`draw_plan` makes this plan of."""
    out = [orders(tasks).index(tuple(plan.order))] if tasks > 1 and plan.order else [0] * (tasks > 1)
    for s in plan.switches:
        out += [min(s.gap, FURTHEST), s.who % OTHERS, int(s.hold)]
    return out + [0] * (len(plan.switches) < SWITCHES)


def judge(run: Run, case: Case) -> None:
    """Run a case in a kernel that has run nothing else: the program alone first, then under the plan. Every step has to say what
    it said alone, or what it may say.
    """
    asked = asked_sched()
    plan = draw_plan(run.pick, len(case.program.tasks))
    kernel = asked.kernel()
    kernel.close()
    case.place(kernel)
    run.show(*case.told, *case.program.told())
    alone = kernel.learn(case.program)
    right = list(kernel.said)
    if alone.crash:
        run.fail(f"{alone.message}, with nobody preempted", *alone.console.splitlines(), cause=f"alone: {_cause(alone)}",
                 detector=_detector(alone))
    if not plan.switches and tuple(plan.order[:1]) in ((), (1,)):
        return
    out = kernel.run(case.program, [plan])[0]
    story = tell(asked.built, out)
    for s, (at, _) in zip(out.switches, story):
        run.chooser.switches.append(chooser.Switch(s.point, at, s.frm, s.to))
    lines = [text for _, text in story]
    c = _place(asked.built, out)
    run.saw(f"{len(out.switches)} switches", *(f"switch in {f.function}" for f in c[:1]))
    where = (c[0].function, c[0].place) if c else ("", "")
    if out.crash:
        run.fail(out.message, *lines, *out.console.splitlines(), cause=_cause(out), severity="critical", detector=_detector(out),
                 c=where)
    if out.wrong == LOG:
        said = out.console.splitlines()
        new = [line for line in said if line not in alone.console.splitlines()] or said
        run.fail(f"the kernel says: {new[0] if new else 'more than alone'}", *lines, *said,
                 cause=f"log: {finding.normal(new[0]) if new else 'lines'}", c=where)
    if out.wrong is not None:
        task, step = case.program.numbered()[out.wrong]
        what = compare(right[out.wrong], kernel.said[out.wrong])
        who = f"task{task}" if 0 < task <= len(case.program.tasks) else "before" if not task else "afterwards"
        run.fail(f"{who}: {step}: {what}", *lines, *out.console.splitlines()[-8:],
                 cause=f"{step.what.name.lower()}: {what}", severity="critical", c=where)


def compare(right: Said | None, said: Said | None) -> str:
    """How an answer is not the right one."""
    def one(s: Said | None) -> str:
        return "not reached" if s is None else errno.errorcode.get(-s.value, str(s.value)) if s.value < 0 else str(s.value)

    if right is not None and said is not None and right.value == said.value:
        return "other contents than alone"
    return f"{one(said)} instead of {one(right)}"


def tell(kernel: Kernel, out: Outcome) -> list[tuple[str, str]]:
    """For each switch where the task that was preempted stands, and the sentence."""
    told = []
    for s, stack in zip(out.switches, frames(kernel.path, kernel.source, [s.pc - 1 for s in out.switches])):
        at = _own(stack) if stack else Frame("?", hex(s.pc))
        where = f"{at.function}() at {at.place}"
        told.append((where, f"{s.frm} stops in {where}, while {s.to} runs"))
    return told


def _own(stack: Sequence[Frame]) -> Frame:
    """The innermost frame that is no header's."""
    return next((f for f in stack if f.place.split(":")[0].endswith(".c")), stack[0])


def _place(kernel: Kernel, out: Outcome) -> list[Frame]:
    """The C line of the last switch: what a finding is about, where nothing better is known."""
    if not out.switches:
        return []
    stack = frames(kernel.path, kernel.source, [out.switches[-1].pc - 1])
    return [_own(stack[0])] if stack and stack[0] else []


def _cause(out: Outcome) -> str:
    return f"{out.crash}: {finding.normal(out.message)}"


def _detector(out: Outcome) -> str:
    return "hang" if out.crash == "hang" else finding.classify(out.message)[0]


__all__ = ["Case", "Step", "compare", "draw_plan", "judge", "offsets_of", "tell"]
