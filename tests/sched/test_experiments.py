# SPDX-License-Identifier: GPL-2.0-only
"""Unchanged Linux: no schedule of the first programs of each experiment is wrong, but for what is known about it."""
from __future__ import annotations

import pytest

from kemu.explore.chooser import Choices
from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import ListSource, SparseSource
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.boots import BootHunt
from kemu.rung.uml.sched.case import offsets_of
from kemu.rung.uml.sched.hunt import Hunt, Tally, hunt, tally_of
from tests.sched.conftest import Ask

PROGRAMS, SCHEDULES = 3, 1024
QUIET = ("backing", "cache", "copyup", "faults", "ishare", "mounts", "nested", "plain", "pressure", "readers", "remounts",
         "twins", "umount")


def feed(name: str) -> Hunt:
    """The hunt of an experiment."""
    f = registry[f"sched.{name}"].feed
    assert isinstance(f, Hunt)
    return f


@pytest.mark.parametrize("name", QUIET)
def test_unchanged_linux_is_quiet(ask: Ask, name: str) -> None:
    ask()
    tally = Tally()
    for number in range(PROGRAMS):
        chooser = Choices(SparseSource(2 * number + 1) if number else ListSource([]))
        case = feed(name).make(Pick(chooser))
        plan = hunt(case, number, SCHEDULES, tally)
        assert plan is None, (case.program.told(), plan)
    assert tally.schedules == PROGRAMS * SCHEDULES
    assert tally.hits == 0


@pytest.mark.parametrize("name", ["boot", "callers"])
def test_unchanged_boots_are_quiet(ask: Ask, name: str) -> None:
    ask()
    boots = registry[f"sched.{name}"].feed
    assert isinstance(boots, BootHunt)
    tally = tally_of(boots.make)
    before = tally.programs
    for offsets in boots.deal("sched", 0, (0, 1)):
        assert tally.hits == 0, offsets
        if tally.programs - before > PROGRAMS:
            break
    assert tally.schedules >= PROGRAMS * boots.boots


def test_a_mount_with_a_shared_page_cache_goes_away_while_its_inode_is_read_through(ask: Ask) -> None:
    """docs/explanation/findings-about-linux.md: erofs_real_inode() holds an inode of any of the mounts, and not the mount."""
    ask()
    chooser = Choices(ListSource([]))
    case = feed("ishare.umount").make(Pick(chooser))
    plan = hunt(case, 0, SCHEDULES, Tally())
    assert plan is not None
    assert len(plan.switches) == 1
    offsets = chooser.offsets() + offsets_of(plan, len(case.program.tasks))
    finding = execute(registry["sched.ishare.umount"], ListSource(offsets), rung="sched", detect=False).finding
    assert finding is not None
    assert any("VFS: Busy inodes after unmount of kemu" in line for line in finding.report)
    assert "task1/" in finding.report[1] and " stops in erofs_re" in finding.report[1]
