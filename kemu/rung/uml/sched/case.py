# SPDX-License-Identifier: GPL-2.0-only
"""A case of the deterministic kernel: images, a program, and a plan drawn for it; what came of them, told by the lines of C."""
from __future__ import annotations

import errno
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kemu.explore import chooser, finding
from kemu.explore.run import Run
from kemu.forge.pick import Pick
from kemu.rung.uml.lines import Frame, frames
from kemu.rung.uml.sched.asked import asked_sched
from kemu.rung.uml.sched.kernel import Outcome, Said, Sched, Switched
from kemu.rung.uml.sched.program import Plan, Program, Step, Switch
from kemu.rung.uml.sched.strategy import orders
from kemu.rung.uml.sched.wire import LOG, SWITCHES

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.build import Kernel

FURTHEST = 100_000      # scheduling questions between two switches
OTHERS = 8


@dataclass
class Case:
    """What is run: a program, over images that are placed as the rung's :class:`~kemu.rung.uml.sched.kernel.Sched` has it.
    ``patient``: of the calls that can fail only those do that may not wait.
    """

    program: Program
    images: Sequence[bytes] = ()
    backend: str = "disk"
    memory: str = "linear"
    at: int = 0
    patient: bool = False
    told: list[str] = field(default_factory=list)

    def place(self, kernel: Sched) -> None:
        """Load the images."""
        kernel.load(self.images, self.backend, self.memory, self.at, self.patient)


def draw_plan(pick: Pick, tasks: int) -> Plan:
    """A plan; the simplest preempts nobody. Tokens depend on the order of these choices."""
    order = orders(tasks)[pick.int("who begins", 0, tasks - 1)] if tasks > 1 else ()
    fine = bool(pick.int("grain", 0, 1))
    switches: list[Switch] = []
    while len(switches) < SWITCHES:
        gap = pick.int("switch", 0, FURTHEST)
        if not gap:
            break
        switches.append(Switch(gap, pick.int("to", 0, OTHERS - 1), bool(pick.int("hold", 0, 1))))
    return Plan(switches, order, fine)


def offsets_of(plan: Plan, tasks: int) -> list[int]:
    """The choices that :func:`draw_plan` makes this plan of."""
    out = [orders(tasks).index(tuple(plan.order))] if tasks > 1 and plan.order else [0] * (tasks > 1)
    out.append(int(plan.fine))
    for s in plan.switches:
        out += [min(s.gap, FURTHEST), s.who % OTHERS, int(s.hold)]
    return out + [0] * (len(plan.switches) < SWITCHES)


class Memory:
    """What a token remembers of the run that it was made from: the kernel's build, and in which function each switch was. Drawn
    behind all else; 0: nothing is known.
    """

    BUILD, FUNCTION = 0xFFFF, 0xFF

    def __init__(self, run: Run, switches: int):
        self.run = run
        self.first = len(run.chooser.draws)
        self.build = run.pick.int("build", 0, self.BUILD)
        self.functions = [run.pick.int("function", 0, self.FUNCTION) for _ in range(switches)]

    def compare(self, kernel: Kernel, story: Sequence[tuple[str, str]]) -> None:
        """Say where this run is another one than the token's, and remember this one."""
        build = 1 + int(kernel.key[:4], 16) % self.BUILD
        run = self.run
        if self.build not in (0, build):
            run.left_out = "this kernel is another build than the token's (tree, configuration, compiler or kemu's own patch)"
        now = [1 + zlib.crc32(where.partition(" ")[0].encode()) % self.FUNCTION for where, _ in story]
        for i, was in enumerate(self.functions):
            if was and was != (now[i] if i < len(now) else 0) and not run.chooser.diverged:
                run.chooser.diverged = (f"switch {i + 1}: in another function than when the token was made, "
                                        f"{story[i][0] if i < len(story) else 'it is not reached'}")
        for i, value in enumerate([build, *now][:1 + len(self.functions)], self.first):
            run.chooser.draws[i] = run.chooser.draws[i]._replace(value=value)


def judge(run: Run, case: Case) -> None:
    """Run a case in a kernel that has run nothing else: the program alone first, then under the plan. Every step has to say what
    it said alone, or what it may say. What is saved of it: the images, the console, and the story of the switches.
    """
    asked = asked_sched()
    plan = draw_plan(run.pick, len(case.program.tasks))
    memory = Memory(run, len(plan.switches))
    kernel = asked.kernel()
    kernel.close()
    case.place(kernel)
    run.show(*case.told, *case.program.told())
    run.files = {f"image{i}.erofs": bytes(image) for i, image in enumerate(case.images)}
    alone = kernel.learn(case.program)
    right = list(kernel.said)
    console = kernel.console or alone.console
    if alone.crash:
        run.fail(f"{alone.message}, with nobody preempted", *alone.console.splitlines(), cause=f"alone: {_cause(alone)}",
                 detector=_detector(alone))
    if alone.wrong is not None:
        run.fail(f"{case.program.numbered()[alone.wrong][1]}: {compare(None, right[alone.wrong])}, with nobody preempted",
                 *alone.console.splitlines()[-8:], cause=f"alone: {case.program.numbered()[alone.wrong][1].what.name.lower()}",
                 severity="critical")
    if not plan.switches and tuple(plan.order[:1]) in ((), (1,)):
        memory.compare(asked.built, ())
        return
    out = kernel.run(case.program, [plan])[0]
    story = tell(asked.built, out)
    memory.compare(asked.built, story)
    console = console + out.console
    run.files |= {"console": console.encode(), "story": "".join(f"{text}\n" for _, text in story).encode()}
    if run.trace is not None:
        for text in (*(text for _, text in story), *console.splitlines()):
            run.trace.add(text)
    for s, (at, _) in zip(out.switches, story):
        run.chooser.switches.append(chooser.Switch(s.point, at, s.frm, s.to))
    lines = [text for _, text in story]
    where = own(asked.built, out.switches)
    run.saw(f"{len(out.switches)} switches", f"switch in {where[0]}" if where[0] else "no switch")
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


def own(kernel: Kernel, switches: Sequence[Switched]) -> tuple[str, str]:
    """Function and C line of the last switch: what a finding is about, where nothing better is known."""
    if not switches:
        return "", ""
    stack = frames(kernel.path, kernel.source, [switches[-1].pc - 1])
    if not stack or not stack[0]:
        return "", ""
    at = _own(stack[0])
    return at.function, at.place


def _cause(out: Outcome) -> str:
    return f"{out.crash}: {finding.normal(out.message)}"


def _detector(out: Outcome) -> str:
    return "hang" if out.crash == "hang" else finding.classify(out.message)[0]


__all__ = ["Case", "Step", "compare", "draw_plan", "judge", "offsets_of", "tell"]
