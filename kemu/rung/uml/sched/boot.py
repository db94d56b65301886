# SPDX-License-Identifier: GPL-2.0-only
"""A boot under a plan: from its first initcall until init is executed every switch is chosen, the unpacker's worker's too."""
from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kemu.rung.uml.process import Process
from kemu.rung.uml.sched import wire
from kemu.rung.uml.sched.callers import Got, Ledger, got_of, ledger_of
from kemu.rung.uml.sched.kernel import TIME, Switched, places_of, results, same
from kemu.rung.uml.sched.program import Plan, packed

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.initrd import Boot


@dataclass
class Booted:
    """A boot, how many scheduling questions it met, the switches that were, and where its tasks were at each question."""

    boot: Boot
    points: int
    switches: list[Switched]
    trace: list[int]
    console: str

    def answers(self) -> list[str]:
        """What may not depend on who runs when: how the boot ends, its messages, the tree that init finds."""
        b = self.boot
        said = [f"end: {b.end} {b.init or ''}{b.panic or ''}", f"splat: {b.splat}", f"unpacking: {b.unpack_error}"]
        return said + [str(sorted(e.items())) for e in b.entries or ()]

    @property
    def got(self) -> list[Got]:
        """What those got who asked for something meanwhile."""
        return got_of(self.console)

    @property
    def ledger(self) -> Ledger | None:
        """What became of the initrd's pages; None if the boot did not come so far."""
        return ledger_of(self.console)

    def messages(self) -> set[str]:
        """The lines of the log that are the kernel's own."""
        return {line for line in self.console.splitlines() if not line.startswith("kemu: ")}


def boot(kernel: Path, initrd: bytes, plan: Plan, cmdline: str = "", trace: bool = False, ram: str = "256M",
         timeout: float = 20.0) -> Booted:
    """Boot with ``initrd`` under ``plan``. ``trace``: fill ``Booted.trace``."""
    from kemu.rung.uml.agentbin import WALK, WALK_LATE, initrd_with_agent  # noqa: PLC0415  (start-up)
    from kemu.rung.uml.initrd import watch  # noqa: PLC0415  (start-up)

    head = wire.HEAD.pack(wire.MAGIC, 0, 1, 0, 0, 0, 0, 0, trace, 0, 1, 0)
    words = ["kunit.enable=0", "init_on_alloc=1", "root=0:0", "con3=null", "norandmaps", *TIME, *cmdline.split()]

    def prepare(share: memoryview) -> None:
        share[:len(head)] = head
        data = packed(plan)
        share[wire.AT_PLANS:wire.AT_PLANS + len(data)] = data

    begun = time.monotonic()
    process = Process(kernel, initrd_with_agent(initrd, None, WALK | WALK_LATE), words, ram, share=wire.SHARE, prepare=prepare)
    try:
        done = watch(process, begun, timeout)
        share = process.shared
        assert share is not None
        out = results(share, 1)[0]
        return Booted(done, out.points, out.switches, places_of(share) if trace else [], same(process.console()))
    finally:
        process.close()
