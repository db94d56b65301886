# SPDX-License-Identifier: GPL-2.0-only
"""A race that was put into the kernel is found, made small, and shown again by its token."""
from __future__ import annotations

import resource
import time

import pytest

from kemu.explore.experiment import registry
from kemu.explore.finding import Finding
from kemu.explore.run import execute
from kemu.explore.source import ListSource
from kemu.rung.uml.sched.asked import AskedSched
from kemu.rung.uml.sched.boots import BootHunt
from kemu.rung.uml.sched.hunt import Hunt
from tests.sched.conftest import Ask
from tests.sched.museum import MUSEUM
from tests.sched.planted import RACES, Race

SECONDS = 60.0          # of processor time, the kernels' included
FEW = 4                 # switches that a trigger has at most


def used() -> float:
    """Processor time of this process and of the kernels that have ended."""
    a, b = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return a.ru_utime + a.ru_stime + b.ru_utime + b.ru_stime


def found(asked: AskedSched, race: Race) -> tuple[list[int], Finding] | None:
    """The choices of the first finding that the experiment comes to."""
    experiment = registry[race.experiment]
    end = time.monotonic() + 2 * SECONDS
    feed = experiment.feed
    assert isinstance(feed, (Hunt, BootHunt))
    for offsets in feed.deal("sched", 0, (0, 1)):
        finding = shown(asked, race, offsets)
        if finding is not None:
            return offsets, finding
        if time.monotonic() > end:
            return None
    return None


def shown(asked: AskedSched, race: Race, offsets: list[int]) -> Finding | None:
    """What a run of these choices comes to in a kernel that has run nothing."""
    asked.close()
    return execute(registry[race.experiment], ListSource(offsets), rung="sched", detect=False).finding


@pytest.mark.parametrize("race", (*RACES, *MUSEUM), ids=lambda race: race.name)
def test_a_planted_race_is_found_with_few_switches_and_found_again(ask: Ask, race: Race) -> None:
    asked = ask(race.flavour, race.patches())
    before = used()
    hit = found(asked, race)
    asked.close()
    assert hit is not None, f"{race.name}: not found"
    assert used() - before < SECONDS
    offsets, finding = hit
    again = [shown(asked, race, offsets) for _ in range(2)]
    asked.close()
    for one in again:
        assert one is not None
        assert (one.cause, one.token) == (finding.cause, finding.token)
        assert one.report == finding.report
    switches = sum(" stops in " in line for line in finding.report)
    assert race.fewest <= switches <= FEW
