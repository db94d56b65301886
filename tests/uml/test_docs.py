# SPDX-License-Identifier: GPL-2.0-only
"""The samples of the README and docs/ that need a kernel tree; see tests/samples.py."""
from __future__ import annotations

import pytest

from tests.samples import PAGES, problems, samples


@pytest.mark.parametrize("page", [p for p in PAGES if any("linux" in s.notes for s in samples(p))], ids=lambda p: p.name)
def test_samples_of_the_linux_rung(page, tmp_path, kernel):
    where = tmp_path / "here"
    where.mkdir()
    wrong = list(problems(page, where, lambda s: s.notes & {"linux", "both"}))
    assert not wrong, "\n\n".join(wrong)
