# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the deterministic kernel: what is done before, what tasks do beside each other, and what is done afterwards."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from kemu.rung.uml.sched.wire import OP, OPS, PLAN, PLAN_BYTES, STRINGS, SWITCH, TASKS, What

LATE, LATE_RCU, SLOW, NEWEST = 1, 2, 4, 8
ROOM = "/.kemu"                        # the agent's own file system
MNT = f"{ROOM}/mnt"


@dataclass(frozen=True)
class Step:
    """One system call of a task. ``slot``: number of an open file, which the tasks of a program share.

    What it says when nobody is preempted is right. ``may``: errors (negative) that are right, too; ``wire.ANY``: whatever it is.
    """

    what: What
    text: str | bytes = ""
    text2: str = ""
    text3: str = ""
    slot: int = 0
    a: int = 0
    b: int = 0
    c: int = 0
    may: tuple[int, ...] = ()

    def __str__(self) -> str:
        name = self.what.name.lower()
        file = f"{name}(file {self.slot}"
        match self.what:
            case What.OPEN:
                return f"file {self.slot} = open({self.text!r})"
            case What.MAP:
                return f"{file}, {self.b} bytes at {self.a}{', nothing ahead' * bool(self.c)})"
            case What.READ:
                direct = f" in pieces of {self.c}" if self.c else ""
                return f"{file}, {self.b} bytes at {self.a}{direct})"
            case What.WRITE | What.TRUNCATE | What.SEEK:
                return f"{file}, {self.a})"
            case What.CLOSE | What.READDIR | What.INVALIDATE:
                return f"{file})"
            case What.MOUNT:
                return f"mount({self.text!r}, {self.text2!r}, {self.text3!r})"
            case What.GETXATTR | What.SETXATTR | What.RENAME | What.LINK:
                return f"{name}({self.text!r}, {self.text2!r})"
            case What.FADVISE:
                return f"{file}, {self.b} bytes at {self.a}, {self.c})"
            case What.FOREIGN:
                how = "map" if self.text2 else "read"
                return f"{how}(file {self.slot}, {self.b} bytes at {self.a}: those that are neither old nor new)"
            case What.FALLOCATE:
                return f"{file}, {self.b} bytes at {self.a}, mode {self.c})"
            case What.LOOP:
                return f"{self.text!r} lets its file go" if self.a else f"{self.text!r} gets file {self.slot}"
            case What.SLEEP | What.FAIL | What.COUNT:
                return f"{name}({self.a})"
        return f"{name}({self.text!r})" if self.text else f"{name}()"


def mount(source: str, place: str = MNT, type_: str = "erofs", options: str = "", read_only: bool = True) -> Step:
    """mount(2)."""
    return Step(What.MOUNT, source, place, f"{type_}\0{options}", a=1 if read_only else 0)


def umount(place: str = MNT, lazy: bool = False) -> Step:
    """umount2(2)."""
    return Step(What.UMOUNT, place, a=2 if lazy else 0)


def remount(place: str = MNT, options: str = "", read_only: bool = True) -> Step:
    """mount(2) with MS_REMOUNT."""
    return Step(What.REMOUNT, place, text3=options, a=1 if read_only else 0)


def open_(slot: int, path: str, flags: int = os.O_RDONLY) -> Step:
    """open(2); the file is known by ``slot`` from then on."""
    return Step(What.OPEN, path, slot=slot, a=flags)


def close(slot: int) -> Step:
    """close(2), and what a task does on its way to user space."""
    return Step(What.CLOSE, slot=slot)


def read(slot: int, at: int, length: int, piece: int = 0) -> Step:
    """pread(2) of ``length`` bytes, by ``piece`` at a time."""
    return Step(What.READ, slot=slot, a=at, b=length, c=piece)


def map_(slot: int, at: int, length: int, random: bool = False) -> Step:
    """mmap(2), every byte read, munmap(2); ``random``: with madvise(2) so that nothing is read ahead."""
    return Step(What.MAP, slot=slot, a=at, b=length, c=int(random))


KEEP_SIZE, PUNCH_HOLE = 1, 2           # of fallocate()


def punch(slot: int, at: int, length: int) -> Step:
    """fallocate(2): a hole."""
    return Step(What.FALLOCATE, slot=slot, a=at, b=length, c=KEEP_SIZE | PUNCH_HOLE)


def loop(device: str, slot: int = 0, clear: bool = False) -> Step:
    """LOOP_SET_FD of an open file, read-only, or LOOP_CLR_FD."""
    return Step(What.LOOP, device, slot=slot, a=int(clear))


@dataclass
class Program:
    """``begin`` and ``end`` are done alone, with nothing chosen; the lists of ``tasks`` beside each other. ``late``: bios of the
    disks end when a thread of the device's own runs, not when they are submitted: LATE with softirqs off, LATE_RCU in an RCU
    section; with SLOW milliseconds of virtual time later, in which the others go on as far as they can; with NEWEST the last one
    first. ``talks``: the kernel may say more than it says when nobody is preempted.
    """

    begin: list[Step] = field(default_factory=list)
    tasks: list[list[Step]] = field(default_factory=list)
    end: list[Step] = field(default_factory=list)
    late: int = 0
    talks: bool = False

    def numbered(self) -> list[tuple[int, Step]]:
        """Each step with the number of its task, as the kernel has them."""
        return [*((0, s) for s in self.begin), *((i, s) for i, steps in enumerate(self.tasks, 1) for s in steps),
                *((TASKS + 1, s) for s in self.end)]

    def packed(self) -> tuple[bytes, bytes]:
        """The steps and the strings. ``ValueError``: more of either than fits."""
        steps = self.numbered()
        if len(steps) > OPS or len(self.tasks) > TASKS:
            raise ValueError(f"{len(steps)} steps in {len(self.tasks)} tasks: at most {OPS} in {TASKS}")
        strings = bytearray(b"\0")
        known: dict[bytes, int] = {b"": 0}

        def at(text: str | bytes) -> int:
            data = os.fsencode(text) if isinstance(text, str) else text
            if data not in known:
                known[data] = len(strings)
                strings.extend(data + b"\0")
            return known[data]

        ops = b"".join(OP.pack(s.what, task, s.slot, at(s.text), at(s.text2), at(s.text3), s.a, s.b, s.c,
                               *(*s.may, 0, 0, 0, 0)[:4]) for task, s in steps)
        if len(strings) > STRINGS:
            raise ValueError(f"{len(strings)} bytes of names and texts: at most {STRINGS}")
        return ops, bytes(strings)

    def told(self) -> list[str]:
        """The program as lines."""
        lines = [f"before: {s}" for s in self.begin]
        lines += [f"task {i}: {'; '.join(map(str, steps))}" for i, steps in enumerate(self.tasks, 1)]
        lines += [f"after: {s}" for s in self.end]
        if self.late:
            how = ((LATE_RCU, ", in an RCU section"), (SLOW, ", milliseconds later"), (NEWEST, ", the last one first"))
            lines.append("bios end when the device's thread runs" + "".join(text for flag, text in how if self.late & flag))
        return lines


@dataclass(frozen=True)
class Switch:
    """At the ``gap``-th scheduling question after the last switch the ``who``-th of the others runs; ``hold``: the one that ran
    comes back only when nobody else can run.
    """

    gap: int
    who: int = 0
    hold: bool = False


@dataclass(frozen=True)
class Plan:
    """A schedule: who is preempted, and in which order the tasks begin (from 1; empty: as they are numbered). ``fine``: memory
    accesses are places for a switch, too, where KASAN looks at them (flavour sched-kasan); it numbers the questions otherwise.
    """

    switches: Sequence[Switch] = ()
    order: Sequence[int] = ()
    fine: bool = False


def packed(plan: Plan) -> bytes:
    """A plan as the kernel takes it."""
    order = sum(task << 4 * i for i, task in enumerate(plan.order))
    return (PLAN.pack(len(plan.switches), order, plan.fine)
            + b"".join(SWITCH.pack(s.gap, s.who, s.hold) for s in plan.switches)).ljust(PLAN_BYTES, b"\0")
