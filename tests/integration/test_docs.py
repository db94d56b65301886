# SPDX-License-Identifier: GPL-2.0-only
"""The commands that the README and docs/ show: they run, end with the code that is said, and print what is shown; see
tests/samples.py.
"""
from __future__ import annotations

import pytest

from tests.samples import PAGES, matches, problems, renewed, samples

WITH_SAMPLES = [p for p in PAGES if any(s.notes <= {"both"} for s in samples(p))]


@pytest.mark.parametrize("page", WITH_SAMPLES, ids=lambda p: p.name)
def test_commands_of_the_page(page, tmp_path):
    where = tmp_path / "here"
    where.mkdir()
    wrong = list(problems(page, where, lambda s: s.notes <= {"both"}))
    assert not wrong, "\n\n".join(wrong) + "\n\n(make docs-samples makes them anew)"


def test_there_are_samples():
    names = {p.name for p in WITH_SAMPLES}
    assert {"README.md", "commands.md", "boot.md", "compare-designs.md", "bring-your-own-patch.md", "own-experiments.md"} <= names
    assert all(s.command.split()[0] in ("kemu", "echo", "head") for p in PAGES for s in samples(p))


def test_a_wrong_output_is_noticed():
    assert matches(["a ... c", "...", "z"], "a b c\nq\nz\n") and not matches(["a", "b"], "b\na\n") and not matches(["x"], "y\n")
    assert not matches(["b"], "ab\n") and matches(["a", "", "b"], "a\n\nb\n") and not matches(["a", "b"], "a\nx\nb\n")


def test_samples_are_made_anew():
    got = "head 12\nsecond line with a tail\nthird\nlast 7\n"
    assert renewed(["head 11", "...", "last 6"], got) == ["head 12", "...", "last 7"]
    assert renewed(["head 11", "second line...", "...", "last 7"], got)[:2] == ["head 12", "second line..."]
    assert renewed(["@@@@"], got) == got.splitlines() and renewed(["head...", "..."], got) == ["head...", "..."]
