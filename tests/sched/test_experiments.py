# SPDX-License-Identifier: GPL-2.0-only
"""Unchanged Linux: no schedule of the first programs of each experiment is wrong, but for what is known about it."""
from __future__ import annotations

import errno
import os

import pytest

from kemu.explore.chooser import Choices
from kemu.explore.experiment import registry
from kemu.explore.run import execute
from kemu.explore.source import ListSource, SparseSource
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.boots import BootCase, BootHunt
from kemu.rung.uml.sched.callers import Caller
from kemu.rung.uml.sched.case import Case, draw_plan, offsets_of
from kemu.rung.uml.sched.hunt import Hunt, Tally, hunt, tally_of
from kemu.rung.uml.sched.program import MNT, ROOM, Plan, Program, Step, close, loop, mount, open_, umount
from kemu.rung.uml.sched.wire import What
from tests.sched.conftest import Ask

from erofs_memback.harness.experiments_sched.backing import one_file, page
from erofs_memback.harness.experiments_sched.common import GONE, places
from initramfs.harness.experiments_sched import archive

PROGRAMS, SCHEDULES, BOOTED = 3, 512, 2
QUIET = ("backing", "cache", "copyup", "faults", "faults.ahead", "holes", "ishare", "later", "mounts", "nested", "overlapping",
         "plain", "pressure", "readers", "remounts", "twins", "umount")


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
    assert tally.schedules >= PROGRAMS * SCHEDULES
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
        if tally.programs - before > BOOTED:
            break
    assert tally.schedules >= BOOTED * boots.boots


@pytest.mark.parametrize("cut, page_reads", [(512, [0, -errno.EIO]), (100, None)])
def test_a_loop_devices_file_that_ends_inside_a_sector(ask: Ask, cut: int, page_reads: list[int] | None) -> None:
    """docs/explanation/findings-about-linux.md: a short read is gone on with from the beginning of its last sector."""
    kernel = ask().kernel()
    image, body = one_file("plain")
    first = image.find(body[:4096])
    place, device = f"{MNT}/0", f"{ROOM}/dev/loop7"
    begin = [*places(1), open_(8, f"{MNT}/image", os.O_RDWR | os.O_CREAT), Step(What.WRITE, image, slot=8, b=len(image)),
             loop(device, 8), mount(device, place), Step(What.TRUNCATE, slot=8, a=first + 4096 + cut)]
    end = [umount(place), loop(device, clear=True), close(8), *GONE]
    case = Case(Program(begin, [[open_(0, f"{place}/f"), page(0, body, 0), page(0, body, 1), close(0)]], end, talks=True))
    case.place(kernel)
    out = kernel.learn(case.program)
    reads = [s.value for s, (_, step) in zip(kernel.said, case.program.numbered()) if s is not None and step.what is What.FOREIGN]
    if page_reads is not None:
        assert (reads, out.wrong) == (page_reads, None)
    else:
        assert reads[0] == 0 and reads[1] > 3000
        assert out.wrong is not None


def asked_twice(pick: Pick) -> BootCase:
    """Somebody asks for firmware before there is anything to wait for, and somebody afterwards, for the same."""
    data, seen, told = archive(pick)
    return BootCase(data, "", [told], [Caller("s", "g", "t"), Caller("6", "f", "t")], seen)


def test_a_request_that_waits_shares_the_fate_of_one_that_does_not(ask: Ask) -> None:
    """docs/explanation/findings-about-linux.md: requests for one file are one, whoever of them waits for the initramfs."""
    ask()
    for offsets in BootHunt(asked_twice, 400).deal("sched", 0, (0, 1)):
        chooser = Choices(ListSource(offsets))
        case, plan = asked_twice(Pick(chooser)), draw_plan(Pick(chooser), 1)
        if plan.switches:
            break
    assert len(plan.switches) <= 2
    alone, out = case.under(Plan()), case.under(plan)
    assert case.seen is not None
    assert alone.got[1] == case.seen.right(case.callers[1])
    assert [g.value for g in out.got] == [-errno.ENOENT] * 2
    assert "request_firmware() gets ENOENT" in case.differs(alone, out)


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
