# SPDX-License-Identifier: GPL-2.0-only
"""What the port finds in images, another kernel shows: tried by itself, on its C and booted."""
from __future__ import annotations

import pytest

from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.finding import Finding
from kemu.explore.run import execute
from kemu.rung.uml.cache import default_tree
from kemu.series.confirm import confirm
from tests.takeaway.faults import FAULTS


@pytest.fixture(scope="module")
def findings() -> dict[str, Finding]:
    if not (default_tree() / "Makefile").exists():
        pytest.skip("no kernel tree: kemu linux fetch")
    load_entry_points()
    found = {}
    for fault in FAULTS:
        out = execute(registry[fault.experiment], fault.source())
        assert out.finding is not None
        out.finding.offsets = out.offsets
        found[fault.name] = out.finding
    confirm(list(found.values()))
    return found


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_it_is_confirmed_on_both(findings: dict[str, Finding], name: str) -> None:
    assert (findings[name].confirmed["c"], findings[name].confirmed["linux"]) == (True, True), findings[name].confirmed["why"]
