# SPDX-License-Identifier: GPL-2.0-only
"""Who called: the innermost ported function, once for all detectors that are told of one event; nothing beyond the experiment."""
from __future__ import annotations

from typing import Any

import pytest

from kemu.check import where
from kemu.check.watch import Detector, Detectors
from kemu.check.where import Site, has, port_depth, site
from kemu.explore.experiment import Experiment
from kemu.explore.run import Run, execute
from kemu.explore.source import SeedSource


class Notes(Detector):
    """Writes down who allocates pages."""

    def __init__(self) -> None:
        self.found: list[Site | None] = []

    def page_alloc(self, page: Any) -> None:
        self.found.append(site())


class Refuses(Notes):
    """Asks, and does not go on."""

    def page_alloc(self, page: Any) -> None:
        super().page_alloc(page)
        raise ValueError(page)


def walks(monkeypatch: pytest.MonkeyPatch) -> list[Site | None]:
    """What each walk over the stack finds."""
    found: list[Site | None] = []
    walk = where._site

    def counted() -> Site | None:
        found.append(walk())
        return found[-1]
    monkeypatch.setattr(where, "_site", counted)
    return found


@pytest.mark.parametrize("n", [2, 3])
def test_detectors_that_are_told_of_one_event_walk_once(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    told = [Notes() for _ in range(n)]
    watch = Detectors(told)
    found = walks(monkeypatch)
    watch.page_alloc(None)
    watch.page_alloc(None)
    assert len(found) == 2 and all(d.found == found for d in told)
    first, second = found
    assert first is not None and second is not None and second.line == first.line + 1
    assert first.function == "test_detectors_that_are_told_of_one_event_walk_once"         # and not a detector of a port's own


@pytest.mark.parametrize("n", [1, 2])
def test_a_report_ends_it(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    watch = Detectors([*(Notes() for _ in range(n)), Refuses()])
    found = walks(monkeypatch)
    with pytest.raises(ValueError, match="7"):
        watch.page_alloc(7)
    here = site()
    assert len(found) == 2 and here is not None and found[0] is not None and here.line > found[0].line


def test_what_calls_an_experiment_is_no_part_of_it() -> None:
    seen: list[Any] = []

    def inside(run: Run) -> None:
        seen.append((site(), port_depth()))

    execute(Experiment("ported", "", inside), SeedSource(0))
    assert seen[0][0].function == "inside" and seen[0][1] == 1
    tool: dict[str, Any] = {"__role__": "tool", "site": site, "seen": seen}
    exec("def inside(run): seen.append(site())", tool)
    execute(Experiment("tool", "", tool["inside"]), SeedSource(0))
    assert seen[1] is None and site() is not None


def test_has_counts_frames_of_any_code() -> None:
    frames = 1
    while has(frames):
        frames += 1

    def below(n: int) -> bool:
        return has(frames) if n == 0 else below(n - 1)
    assert not has(frames) and below(0) and below(9)
    frames += 5
    assert not below(3) and below(5)
