# SPDX-License-Identifier: GPL-2.0-only
"""Does an emitted function do what the original does? Asked of the kernel's C itself, with images that reach the function."""
from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Instance, Kernel
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
        self.base: list[tuple[str, str]] = []
        self.reached: list[set[int]] = []
        self.counts = [0] * ROOM
        self.boot: set[int] = set()

    def first(self) -> None:
        """All originals: the answers that are right, and which case reaches what."""
        with Kernel(library=self.switches.choose(()), timeout=10.0) as k:
            self.boot = self._called(k.instance)
            for case in self.cases:
                self._clear(k.instance)
                answer = digest(self._ask(k, case))
                again = self._called(k.instance)
                self.base.append(answer)
                self.reached.append(again)

    def _ask(self, k: Kernel, case: Case) -> Answer:
        return k.erofs(case.image, facts=True, **case.how)

    def _row(self, k: Instance) -> Any:
        return k.ffi.cast("unsigned int *", k.base + self.switches.called)

    def _called(self, k: Instance) -> set[int]:
        row = self._row(k)
        return {n for n in range(ROOM) if row[n]}

    def _clear(self, k: Instance) -> None:
        row = self._row(k)
        for n in range(ROOM):
            row[n] = 0

    def differs(self, library: Library, numbers: Sequence[int]) -> str:
        """What is the first case of those that another answer is given to; empty if none."""
        with Kernel(library=library, timeout=5.0) as k:
            try:
                k.fresh()
            except Exception as e:
                return f"boot: {type(e).__name__}: {e}"
            for i in numbers:
                try:
                    got = digest(self._ask(k, self.cases[i]))
                except Exception as e:
                    return f"{self.cases[i].name}: {type(e).__name__}: {e}"
                if got[0] != self.base[i][0]:
                    return f"{self.cases[i].name}: {got[1]}, not {self.base[i][1]}"
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
        found = asker.differs(switches.choose([n]), sample)
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
    while good:
        found = asker.differs(asker.switches.choose(good), everything)
        if not found:
            break
        case = next((i for i, c in enumerate(asker.cases) if found.startswith(c.name + ":")), 0)
        half = list(good)
        while len(half) > 1:
            left = half[:len(half) // 2]
            if asker.differs(asker.switches.choose(left), [case]):
                half = left
            else:
                rest = half[len(half) // 2:]
                if not asker.differs(asker.switches.choose(rest), [case]):
                    break                           # only both halves together make it
                half = rest
        say(f"different: {', '.join(order[n].name for n in half[:4])}: {found}")
        for n in half:
            out.different.append((order[n], found))
            good.remove(n)
    out.equal += [order[n] for n in good]
