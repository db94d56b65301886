# SPDX-License-Identifier: GPL-2.0-only
"""Kept inputs on the py rung, without the C: each mounted under all detectors; a planted bug is seen."""
from __future__ import annotations

from pathlib import Path

import pytest

from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import replay
from kemu.explore.search import search
from kemu.explore.token import decode
from kemu.machine.series import Series
from kemu.rung import asked
from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.corpus import Corpus, default_folder
from tests.conftest import DATA

from erofs_memback import data

load_entry_points()
IMAGES = ["demo.erofs", "erofs/tiny-b512.erofs"]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images have been kept, and there is no C rung."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(asked, "at_hand", lambda rung: None)
    for name in IMAGES:
        Corpus(default_folder() / "corpus").add(Case((DATA / name).read_bytes()))


def test_each_is_run() -> None:
    p = search([registry["bdev.kept.py"]], examples=2)
    assert p.examples == 2 and not p.findings
    assert any("mount None" in b for b in p.behaviours)


def test_a_planted_leak_is_found_and_its_token_carries_the_input() -> None:
    leaky = Series("leaky", ("erofs_memback",))
    leaky.edits(data.erofs_put_metabuf, ("if not buf.page:", "if buf.page:"))
    p = search([registry["bdev.kept.py"]], examples=2, series=(leaky,), shrink_seconds=0.0)
    assert p.findings
    again = replay(registry["bdev.kept.py"], decode(p.findings[0].token), series=(leaky,))
    assert again.finding is not None and again.finding.cause == p.findings[0].cause
    assert replay(registry["bdev.kept.py"], decode(p.findings[0].token)).finding is None
