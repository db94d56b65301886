# SPDX-License-Identifier: GPL-2.0-only
"""Data races by KCSAN's rules: one that Linux has is told with both accesses, and shown again; no write, no report."""
from __future__ import annotations

from kemu.rung.uml.sched.case import Case
from kemu.rung.uml.sched.hunt import Tally, afresh, hunt
from kemu.rung.uml.sched.program import LATE, MNT, Program, Step, close, mount, open_, read, umount
from kemu.rung.uml.sched.wire import What
from kemu.samples import sample
from tests.sched.conftest import Ask

DISK = "/.kemu/dev/kemu0"


def readers(late: int) -> Case:
    """Two files of one mount are read at once."""
    tasks = [[open_(i, f"{MNT}/{name}"), read(i, 0, 8192), close(i)] for i, name in enumerate("ab")]
    program = Program([mount(DISK)], tasks, [umount(), Step(What.SETTLE)], late)
    return Case(program, [sample("pair.erofs").read_bytes()])


def test_sync_decompress_is_read_plainly_while_the_device_writes_it(ask: Ask) -> None:
    """z_erofs_runqueue() against z_erofs_decompress_kickoff(), see docs/explanation/findings-about-linux.md."""
    asked = ask("sched-race")
    case = readers(LATE)
    plan = hunt(case, 0, 4096, Tally())
    assert plan is not None
    assert len(plan.switches) <= 4
    first, second = (afresh(asked.kernel(), case, plan) for _ in range(2))
    assert first.message.startswith("BUG: KCSAN: data-race in z_erofs_")
    assert "value changed: 0x00000000 -> 0x00000001" in first.console
    assert first.console == second.console


def test_without_the_write_nothing_is_said(ask: Ask) -> None:
    asked = ask("sched-race")
    tally = Tally()
    assert hunt(readers(0), 0, 2048, tally) is None
    assert tally.schedules >= 2048 // asked.slower and tally.lost == 0
