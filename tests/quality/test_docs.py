# SPDX-License-Identifier: GPL-2.0-only
"""The samples of the README and docs/ that take long; see tests/samples.py."""
from __future__ import annotations

import pytest

from tests.samples import PAGES, problems, samples


@pytest.mark.parametrize("page", [p for p in PAGES if any(s.notes == {"slow"} for s in samples(p))], ids=lambda p: p.name)
def test_samples_that_take_long(page, tmp_path):
    where = tmp_path / "here"
    where.mkdir()
    wrong = list(problems(page, where, lambda s: s.notes == {"slow"}))
    assert not wrong, "\n\n".join(wrong)
