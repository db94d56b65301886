# SPDX-License-Identifier: GPL-2.0-only
"""What the port has found that rests on a schedule is shown by the booted kernel, too, and not by the kernel without it.

``make test-sched-port``.
"""
from __future__ import annotations

import pytest

from kemu.explore.experiment import registry
from tests.sched.conftest import Ask
from tests.sched.port_findings import FINDINGS, Found
from tests.sched.test_planted import found, shown

pytestmark = pytest.mark.port
hits: dict[str, list[int]] = {}         # of those that were shown, the choices


@pytest.mark.parametrize("race", FINDINGS, ids=lambda race: race.name)
def test_linux_shows_it_and_shows_it_again(ask: Ask, race: Found) -> None:
    asked = ask(race.flavour, race.patches(), race.extra)
    hit = found(asked, race)
    assert hit is not None, f"{race.name}: not found in {registry[race.experiment].name}"
    offsets, finding = hit
    for one in [shown(asked, race, offsets) for _ in range(2)]:
        assert one is not None
        assert (one.cause, one.token, one.report) == (finding.cause, finding.token, finding.report)
    hits[race.name] = offsets
    print(f"{race.name}: {race.experiment}: {finding.report[0]}")


@pytest.mark.parametrize("race", FINDINGS, ids=lambda race: race.name)
def test_linux_without_it_does_not(ask: Ask, race: Found) -> None:
    if race.name not in hits:
        pytest.skip("not shown with it either, or not asked for")
    assert shown(ask(race.flavour, (), race.extra), race, hits[race.name]) is None


def test_nine_in_ten_are_confirmed() -> None:
    if not hits:
        pytest.skip("none was asked for")
    assert len(hits) >= 0.9 * len(FINDINGS), sorted({r.name for r in FINDINGS} - set(hits))
