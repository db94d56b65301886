# SPDX-License-Identifier: GPL-2.0-only
"""Findings of the port, tried on the other rungs: what rests on a schedule on the deterministic kernel, what rests on an image or
an archive on the kernel's C in this process, under a sanitizer, and on the booted kernel.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from kemu.explore.experiment import Experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.run import Expected, Outcome, execute
from kemu.explore.source import ListSource
from kemu.machine.given import GivenBoot, GivenMount
from kemu.report import manifest
from kemu.rung.c.kernel import Kernel
from kemu.rung.differential import first_field
from kemu.rung.protocol import Answer, Judge
from kemu.rung.uml import series as c_series
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.oracle import Oracle
from kemu.rung.uml.sched import confirm as by_schedule
from kemu.rung.uml.sched.confirm import NotThere, c_side, rests_on_schedule, tree_is_here
from kemu.rung.uml.tree import find_tree
from kemu.series.backend import tried

UNWRITTEN = 0x6B        # the byte of memory that nobody has written, where a back end of a series' own is asked
BACKENDS = {"bdev": "disk", "fileio": "file"}
OF_MEMORY = ("KASAN", "oops", "page", "UBSAN", "BUG", "stack")
CAP = 1 << 22           # bytes of a file that are read


@dataclass
class Rungs:
    """The kernels that are asked, built when the first finding needs them; ``with Rungs() as r``."""

    say: Say = nothing
    _stack: ExitStack = field(default_factory=ExitStack)
    _known: dict[tuple[object, ...], Judge] = field(default_factory=dict)

    def __enter__(self) -> Rungs:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def judge(self, rung: str, flavour: str, side: Sequence[c_series.Series]) -> Judge:
        """The kernel of a rung with these series. ``RungError``: it cannot be built."""
        key = rung, flavour, tuple(s.path for s in side)
        if key not in self._known:
            patches, config, slot = c_series.together(side) if side else ((), (), "plain")
            self.say(f"the {rung} rung ({flavour}){' with ' + '+'.join(s.name for s in side) if side else ''}")
            if rung == "c":
                kernel: Any = Kernel(flavour, patches=patches, config=config, slot=slot, say=self.say,
                                     fill=UNWRITTEN if flavour == tried.IN_C else None)
            else:
                kernel = Oracle(flavour, patches=patches, config=config, slot=slot, say=self.say)
            self._stack.callback(kernel.close)
            self._known[key] = kernel
        return self._known[key]


def confirm(findings: Sequence[Finding], seconds: float = by_schedule.SECONDS, say: Say = nothing,
            keep: Callable[[str], str] = str, c: c_series.Series | None = None, **options: Any) -> None:
    """Fill ``Finding.confirmed`` of each; ``options``: those that it was found with. ``keep``: gives a token as it is to be
    typed. ``c``: the series in C, where it is not what belongs to the Series or is made of it.
    """
    scheduled = [f for f in findings if rests_on_schedule(f, registry[f.experiment], **options)]
    by_schedule.confirm([f for f in scheduled if not _of_memory(f, **options)], seconds, say, keep, **options)
    with Rungs(say) as rungs:
        for f in findings:
            if f not in scheduled:
                f.confirmed = by_input(f, registry[f.experiment], rungs, c, **options)


def _of_memory(f: Finding, **options: Any) -> bool:
    """Whether a schedule is one of mounts from memory: then it is said why that is not tried."""
    out = execute(registry[f.experiment], ListSource(f.offsets), **options)
    if not any(isinstance(g, GivenMount) and g.backend not in BACKENDS and tried.page_of(g) is not None for g in out.given):
        return False
    f.confirmed = {"c": None, "linux": None, "why": "a schedule of mounts from memory: the experiments whose schedules are "
                                                    "chosen on the booted kernel mount block devices and files"}
    return True


def by_input(f: Finding, exp: Experiment, rungs: Rungs, c: c_series.Series | None = None, **options: Any) -> dict[str, Any]:
    """What became of its input on the other rungs."""
    try:
        out = execute(exp, ListSource(f.offsets), **options)
        region = _by_region(f, out, rungs, c)
        if region is not None:
            return region
        ask = question(f, out)
        if not tree_is_here():
            raise NotThere("no kernel tree on this machine: kemu linux fetch")
        side = c_side(f, exp, **options) if out.series else []
    except NotThere as e:
        return {"c": None, "linux": None, "why": str(e)}
    found: dict[str, Any] = {}
    said: list[str] = []
    before = ""
    for rung, flavour in (("c", "asan"), ("linux", "kasan" if f.detector in OF_MEMORY else "fast")):
        try:
            shown = shows(ask(rungs.judge(rung, flavour, side)), out.expected)
            found[rung] = bool(shown)
            said.append(f"{rung} ({flavour}): {'the same' if shown and shown == before else shown or 'nothing of the kind'}")
            before = shown
        except RungError as e:
            found[rung] = None
            said.append(f"{rung} ({flavour}): {str(e).splitlines()[0]}")
    return {**found, "why": "; ".join(said)}


def _by_region(f: Finding, out: Outcome, rungs: Rungs, c: c_series.Series | None) -> dict[str, Any] | None:
    """Of a mount from memory, by a back end whose series says how its C does that."""
    given = out.given[-1] if out.given else None
    page = tried.page_of(given) if isinstance(given, GivenMount) and given.backend not in BACKENDS else None
    if page is None or not isinstance(given, GivenMount):
        return None
    if not tree_is_here():
        raise NotThere("no kernel tree on this machine: kemu linux fetch")
    side = [tried.side_of(out.series, page, find_tree(os.environ.get("KEMU_TREE")), c)]
    return tried.by_region(f, given, lambda rung, flavour: rungs.judge(rung, flavour, side))


def question(f: Finding, out: Outcome) -> Callable[[Judge], Answer]:
    """What another rung is asked. ``NotThere``: why it cannot be."""
    if not out.given:
        raise NotThere("it mounts and boots nothing that another kernel could be given")
    if f.choices:
        raise NotThere("a call that fails, or a task that is preempted, has another number in another kernel")
    given = out.given[-1]
    if isinstance(given, GivenBoot):
        return _of_boot(given)
    if given.backend not in BACKENDS:
        raise NotThere(f"the back end {given.backend} is not one that another kernel has")
    return _of_mount(given)


def _of_mount(given: GivenMount) -> Callable[[Judge], Answer]:
    if given.page_size != 4096:
        raise NotThere(f"pages of {given.page_size} bytes: the kernels here have 4096")
    image, *devices = (i.read() for i in given.images)
    first = given.images[0]
    return lambda judge: judge.erofs(image, at=first.at, options=given.options, devices=devices, backend=BACKENDS[given.backend],
                                     memory=first.memory, cap=CAP)


def _of_boot(given: GivenBoot) -> Callable[[Judge], Answer]:
    if given.series:
        raise NotThere(f"a boot of {' and '.join(given.series)}: other kernels are given archives, not boots")
    if given.initrd is None:
        raise NotThere("a boot without an initrd")
    archive = given.initrd.read()
    return lambda judge: judge.cpio(archive, at=given.initrd.at if given.initrd else 0, cap=CAP)


def shows(answer: Answer, expected: Expected | None) -> str:
    """What is wrong with an answer, in a few words; empty if nothing."""
    if answer.crash:
        where = f", {answer.function} at {answer.place}" if answer.place else ""
        return f"{(answer.message or answer.crash).splitlines()[0]}{where}"
    if expected is None:
        return ""
    said = answer.mount_error or answer.message or ""
    if said != expected.error:
        return f"{said or 'no error'} instead of {expected.error or 'none'}"
    if expected.error or not manifest.diff(expected.entries, answer.entries, "a", "b", lines=1):
        return ""
    path, name, right, got = first_field(expected.entries, answer.entries)
    return f"{manifest.show(path)}: {name}: {_short(got)} instead of {_short(right)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 20 else text[:17] + "..."
