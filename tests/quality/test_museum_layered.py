# SPDX-License-Identifier: GPL-2.0-only
"""Bugs of memory-backed roots, put into ours: each is found within a minute; and without them the same search finds nothing."""
from __future__ import annotations

import pytest

from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.search import search
from tests.quality.hunt import Mutant, check
from tests.quality.mutants.layered_museum import broken, capacity, mutants

load_entry_points()


@pytest.mark.parametrize("m", mutants, ids=lambda m: m.series.name)
def test_a_bug_is_found(m: Mutant) -> None:
    assert m.series.name not in broken, broken[m.series.name]
    check(m)


def test_without_them_nothing_is_found() -> None:
    names = sorted({n for m in mutants for n in m.experiments if n.startswith("layered.")})
    p = search([registry[n] for n in names], seconds=20)
    assert [(f.title, f.input) for f in p.findings] == []


def test_a_capacity_that_is_rounded_up_is_enough() -> None:
    """Entry 15, which the posted block device has."""
    assert search([registry["initerofs-rfc.disk-has-every-byte"]], examples=100, series=(capacity,)).findings == []
