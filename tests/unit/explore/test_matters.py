# SPDX-License-Identifier: GPL-2.0-only
"""Choices that a trigger does not depend on."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kemu.explore.chooser import Choice
from kemu.explore.experiment import experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.matters import immaterial, others
from kemu.explore.run import Run, execute
from kemu.explore.source import ListSource


def body(run: Run) -> None:
    """Fails where a size is 7 or more and a flag is set; a colour and a depth are nothing to it."""
    size, _, flag = run.pick.int("size", 0, 20), run.pick.int("colour", 0, 5), run.pick.int("flag", 0, 1)
    for _ in range(2):
        run.pick.int("depth", 1, 3)
    first, second = run.pick.int("twice", 0, 9), run.pick.int("twice", 0, 9)
    if size >= 7 and flag and second == 0:
        run.fail(f"too large: {size}", cause="too large")
    assert first < 100


@pytest.fixture
def found() -> Iterator[tuple[Any, Finding]]:
    experiment("t.matters", series="t")(body)
    exp = registry["t.matters"]
    out = execute(exp, ListSource([7, 0, 1]))
    assert out.finding is not None
    out.finding.offsets = out.offsets
    yield exp, out.finding
    del registry["t.matters"]


def test_what_does_not_matter(found: tuple[Any, Finding]) -> None:
    """``size`` matters below, ``flag`` altogether, and of ``twice`` the second."""
    exp, finding = found
    assert immaterial(finding, exp, seconds=20) == ["colour", "depth"]


def test_without_time_nothing_is_said(found: tuple[Any, Finding]) -> None:
    exp, finding = found
    assert immaterial(finding, exp, seconds=0) == []


def test_a_finding_that_does_not_come_again(found: tuple[Any, Finding]) -> None:
    exp, finding = found
    finding.offsets = [0]
    assert immaterial(finding, exp) == []


def test_other_values() -> None:
    assert others(Choice("x", 5, 5, 5)) == [] and others(Choice("x", 0, 1, 1)) == [0] and others(Choice("x", 0, 1, 0)) == [1]
    assert len(others(Choice("x", 0, 100, 3))) == 3 and 3 not in others(Choice("x", 0, 100, 3))
