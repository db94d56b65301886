# SPDX-License-Identifier: GPL-2.0-only
"""Every planted mistake is found from nothing, and shrunk to the smallest trigger."""
from __future__ import annotations

import pytest

from kemu.explore import token
from kemu.explore.experiment import Experiment
from kemu.explore.run import replay
from kemu.explore.search import search
from tests.quality.plants import Plant, body, plants


@pytest.mark.parametrize("p", plants, ids=lambda p: p.name)
def test_a_planted_bug_is_found_and_shrunk(p: Plant) -> None:
    exp = Experiment(f"plant.{p.name}", "plant", body(p.fn))
    progress = search([exp], examples=4000, seconds=30)
    hits = [f for f in progress.findings if p.title in f.title]
    assert hits, f"{progress.examples} examples, found: {[f.title for f in progress.findings]}"
    f = hits[0]
    n, at = p.least
    assert f.input == [f"n={n} at={at}"], f.report
    assert len(f.choices) == p.choices, f.choices
    assert len(progress.findings) == 1, [x.title for x in progress.findings]
    again = replay(exp, token.decode(f.token))
    assert again.finding is not None and again.finding.title == f.title and not again.diverged
