# SPDX-License-Identifier: GPL-2.0-only
"""Bugs of compressed files whose bios end late, put back: each is found within a minute; and without them the same search finds
nothing.
"""
from __future__ import annotations

import pytest

from kemu.explore.experiment import registry
from kemu.explore.search import search
from tests.quality.hunt import Mutant, check
from tests.quality.mutants.zdata_museum import mutants


@pytest.mark.parametrize("m", mutants, ids=lambda m: m.series.name)
def test_a_bug_is_found(m: Mutant) -> None:
    check(m)


def test_without_them_nothing_is_found() -> None:
    names = sorted({n for m in mutants for n in m.experiments} | {"bdev.short-of-memory"})
    p = search([registry[n] for n in names], seconds=20)
    assert [(f.title, f.input) for f in p.findings] == []
