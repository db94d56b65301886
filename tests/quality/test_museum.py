# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that were real, put back: each is found within a minute; and without them the same search finds nothing."""
from __future__ import annotations

import pytest

from kemu.explore.experiment import registry
from kemu.explore.search import search
from tests.quality.mutants.museum import OVERLAP, Mutant, mutants, overlap_guard

import erofs_memback.experiments  # noqa: F401 - registers


@pytest.mark.parametrize("m", mutants, ids=lambda m: m.series.name)
def test_a_bug_of_the_museum_is_found(m: Mutant) -> None:
    found: list[str] = []

    class Enough(Exception):
        pass

    def tell(p: object) -> None:
        if any(not m.title or m.title in t for t in found):
            raise Enough

    experiments = [registry[n] for n in m.experiments]
    try:
        search(experiments, seconds=60, shrink_seconds=1, series=(m.series,), found=lambda f: found.append(f.title), tell=tell)
    except Enough:
        return
    pytest.fail(f"not found in 60 s; reported: {found}")


def test_without_them_nothing_is_found() -> None:
    names = sorted({n for m in mutants for n in m.experiments if m.series.replacements})
    p = search([registry[n] for n in names], seconds=20)
    assert [f.title for f in p.findings if not f.experiment.startswith("bdev.")] == []


def test_the_guard_of_one_release_is_enough() -> None:
    experiment = [registry["bdev.ends-early"]]
    assert OVERLAP in search(experiment, examples=200).findings[0].title
    assert search(experiment, examples=200, series=(overlap_guard,)).findings == []
