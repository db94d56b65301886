# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that were real, put back: each is found within a minute; and without them the same search finds nothing."""
from __future__ import annotations

import pytest

from kemu.explore.experiment import registry
from kemu.explore.search import search
from tests.quality.hunt import Mutant, check
from tests.quality.mutants.museum import OVERLAP, mutants, overlap_guard

import erofs_memback.harness.experiments  # noqa: F401 - registers


@pytest.mark.parametrize("m", mutants, ids=lambda m: m.series.name)
def test_a_bug_of_the_museum_is_found(m: Mutant) -> None:
    check(m)


def test_without_them_nothing_is_found() -> None:
    names = sorted({n for m in mutants for n in m.experiments if m.series.replacements})
    p = search([registry[n] for n in names], seconds=20)
    assert [f.title for f in p.findings if not f.experiment.startswith("bdev.")] == []


def test_the_guard_of_one_release_is_enough() -> None:
    experiment = [registry["bdev.ends-early"]]
    assert OVERLAP in search(experiment, examples=200).findings[0].title
    assert search(experiment, examples=200, series=(overlap_guard,)).findings == []
