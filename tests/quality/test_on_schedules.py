# SPDX-License-Identifier: GPL-2.0-only
"""Of which planted bugs it is said that they rest on a schedule: those that the booted kernel is to show, too
(tests/sched/port_findings.py).
"""
from __future__ import annotations

import pytest

from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.schedule import rests_on_schedule
from tests.quality.hunt import Caught, Mutant, all_mutants, hunt
from tests.sched.port_findings import FINDINGS

load_entry_points()
MUTANTS = {m.series.name: m for mutants in all_mutants().values() for m in mutants}
# wrong whoever runs first; on Linux, or with bios that end in another context, it may be a matter of order
IN_EVERY_ORDER = ("bio-counted-twice", "completed-twice", "delayed-files-not-flushed")
OTHERS = ("request-never-freed", "19-files-of-an-archive-wait", "root-of-everybody", "37-kill-sb-mode", "link-hash-unchecked")


def said(m: Mutant) -> bool:
    """Whether the smallest trigger rests on a schedule."""
    caught = hunt(m)
    assert isinstance(caught, Caught), caught
    return rests_on_schedule(caught.finding, registry[caught.finding.experiment], series=(m.series,))


@pytest.mark.parametrize("name", [f.name for f in FINDINGS])
def test_what_is_tried_on_linux_rests_on_a_schedule(name: str) -> None:
    assert said(MUTANTS[name]) is (name not in IN_EVERY_ORDER)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_wrong_by_itself_does_not(name: str) -> None:
    assert not said(MUTANTS[name])
