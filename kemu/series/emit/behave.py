# SPDX-License-Identifier: GPL-2.0-only
"""Does an emitted function do what the original does? Asked of the kernel's C itself, with images that reach the function."""
from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from kemu.rung.c.build import Library
from kemu.rung.c.cover import doors
from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.c.module import come_and_go
from kemu.rung.protocol import Answer
from kemu.series.emit.ports import Result
from kemu.series.emit.switched import ROOM, Switches

_DEVICE = re.compile(r"device \d+:\d+")
EACH = 10                              # cases that a function is asked with by itself


@dataclass
class Case:
    """An image and how it is mounted."""

    name: str
    image: bytes
    how: dict[str, Any] = field(default_factory=dict)
    kind: str = "mount"                # or "doors": it is asked what else there is to ask; "module": fs/erofs comes and goes


@dataclass(frozen=True)
class Seen:
    """One case on one kernel. ``outside``: its answer; ``returned``: what the functions returned; ``said``: in words."""

    outside: str
    returned: str
    said: str = field(compare=False)


@dataclass
class Verdict:
    """What was found of all functions that have both forms."""

    equal: list[Result] = field(default_factory=list)
    different: list[tuple[Result, str]] = field(default_factory=list)
    unreached: list[Result] = field(default_factory=list)


def digest(a: Answer) -> tuple[str, str]:
    """What two answers are compared by, and what is said of it."""
    log = [_DEVICE.sub("device N", line) for line in a.kmsg if line.startswith("erofs") and "EXPERIMENTAL" not in line]
    packed = hashlib.sha256(a.packed.data).hexdigest()[:16] if a.packed is not None else ""
    said = f"mount {a.mount_error}, {a.crash or 'alive'} {a.message or ''} {packed} {'|'.join(log[-3:])}"
    return hashlib.sha256(repr((a.mount_error, a.crash, packed, log, a.facts)).encode()).hexdigest(), said


class Asker:
    """Runs cases on a library with some functions emitted."""

    def __init__(self, switches: Switches, cases: Sequence[Case]):
        self.switches = switches
        self.cases = cases
        self.base: list[Seen] = []
        self.reached: list[set[int]] = []
        self.boot: set[int] = set()

    def first(self) -> None:
        """All originals: the answers that are right, and which case reaches what."""
        with Kernel(library=self.switches.choose(()), timeout=10.0) as k:
            self.boot = self._rows(k.instance)[1]
            for case in self.cases:
                seen, reached = self._ask(k, case)
                self.base.append(seen)
                self.reached.append(reached)

    def _ask(self, k: Kernel, case: Case) -> tuple[Seen, set[int]]:
        """What a case shows from outside, what its functions returned, and which were called."""
        i = k.instance
        for offset, size in ((self.switches.called, 4), (self.switches.returned, 8)):
            i.ffi.memmove(i.ffi.cast("char *", i.base + offset), bytes(ROOM * size), ROOM * size)
        if case.kind == "module":
            answer = come_and_go(k, case.image)
        else:
            answer = k.erofs(case.image, facts=True, then=doors.ask if case.kind == "doors" else None, **case.how)
        outside, said = digest(answer)
        assert k.last is not None
        returned, called = self._rows(k.last)
        return Seen(outside, returned, said), called

    def _rows(self, k: Instance) -> tuple[str, set[int]]:
        row = bytes(k.ffi.buffer(k.ffi.cast("char *", k.base + self.switches.called), ROOM * 4))
        returned = bytes(k.ffi.buffer(k.ffi.cast("char *", k.base + self.switches.returned), ROOM * 8))
        return hashlib.sha256(returned).hexdigest(), {n for n in range(ROOM) if row[4 * n:4 * n + 4] != b"\0\0\0\0"}

    def run(self, library: Library, numbers: Sequence[int]) -> list[Seen]:
        """Cases in a kernel of their own, up to the first that breaks it."""
        out: list[Seen] = []
        with Kernel(library=library, timeout=5.0) as k:
            for i in numbers:
                try:
                    out.append(self._ask(k, self.cases[i])[0])
                except Exception as e:
                    out.append(Seen("", "", f"{type(e).__name__}: {e}"))
                    break
        return out

    def differs(self, emitted: Collection[int], numbers: Sequence[int], base: Sequence[Seen] | None = None) -> str:
        """The first case that another answer is given to than by the originals, in as new a kernel; empty if none."""
        if base is None:
            base = self.run(self.switches.choose(()), numbers)
        for i, right, got in zip(numbers, base, self.run(self.switches.choose(emitted), numbers)):
            if right != got:
                inside = " (by what a function returns)" if right.outside == got.outside else ""
                return f"{self.cases[i].name}{inside}: {got.said}, not {right.said}"
        return ""

    def sample(self, number: int) -> list[int]:
        """Cases that reach a function, spread over all that do."""
        found = [i for i, r in enumerate(self.reached) if number in r]
        step = max(1, len(found) // EACH)
        return found[::step][:EACH]


def judge(switches: Switches, order: Sequence[Result], cases: Sequence[Case], say: Callable[[str], None] = lambda t: None,
          skip: Collection[int] = ()) -> Verdict:
    """Each function by itself, on cases that reach it; then all that are equal together, on every case."""
    out = Verdict()
    asker = Asker(switches, cases)
    asker.first()
    say(f"{len(cases)} cases, {len(set().union(*asker.reached, asker.boot))} of {len(order)} functions reached")
    good: list[int] = []
    for n, r in enumerate(order):
        if n in skip:
            continue
        sample = asker.sample(n) or ([0, len(cases) // 2, len(cases) - 1] if n in asker.boot else [])
        if not sample:
            out.unreached.append(r)
            continue
        found = asker.differs([n], sample)
        if found:
            say(f"different: {r.name}: {found}")
            out.different.append((r, found))
        else:
            good.append(n)
    _together(asker, good, order, out, say)
    return out


def _together(asker: Asker, good: list[int], order: Sequence[Result], out: Verdict, say: Callable[[str], None]) -> None:
    """All of them at once and on every case; who makes a difference there is found by halves."""
    everything = list(range(len(asker.cases)))
    base = asker.run(asker.switches.choose(()), everything)
    while good:
        found = asker.differs(good, everything, base)
        if not found:
            break
        case = next((i for i, c in enumerate(asker.cases) if found.startswith((f"{c.name}:", f"{c.name} (by"))), 0)
        upto = list(range(case + 1)) if not asker.differs(good, [case]) else [case]
        half = list(good)
        while len(half) > 1:
            left, right = half[:len(half) // 2], half[len(half) // 2:]
            if asker.differs(left, upto):
                half = left
            elif asker.differs(right, upto):
                half = right
            else:
                break                               # only both halves together make it
        say(f"different: {', '.join(order[n].name for n in half[:4])}: {found}")
        for n in half:
            out.different.append((order[n], found))
            good.remove(n)
    out.equal += [order[n] for n in good]
