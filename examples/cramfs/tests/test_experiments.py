# SPDX-License-Identifier: GPL-2.0-only
"""The experiments: what holds, and what they find in Linux as it is."""

from __future__ import annotations

import pytest

from kemu.explore.experiment import registry
from kemu.explore.run import Outcome, execute
from kemu.explore.source import SeedSource
from kemu.forge.pick import Pick, SeedValues

from cramfs.harness import experiments  # noqa: F401
from cramfs.harness.choose import choose_image, damage


def outcome(name: str, seed: int) -> Outcome:
    return execute(registry[name], SeedSource(seed))


@pytest.mark.parametrize(
    "name,count,wanted",
    [
        ("cramfs.same-as-written", 40, {"file:None", "dir:None", "mount EINVAL"}),
        ("cramfs.damaged", 40, {"file:None", "dir:None", "mount EINVAL", "file:EIO", "dir:EIO"}),
        ("cramfs.failing-calls", 30, {"file:None", "dir:None", "mount ENOMEM", "dir:ENOMEM"}),
    ],
)
def test_it_holds(name: str, count: int, wanted: set[str]) -> None:
    seen: set[str] = set()
    for seed in range(count):
        out = outcome(name, seed)
        assert out.finding is None, f"seed {seed}: {out.finding}"
        seen |= out.behaviour
    assert seen >= wanted


def finding(name: str, title: str, count: int) -> None:
    for seed in range(count):
        out = outcome(name, seed)
        if out.finding is not None:
            assert title in out.finding.title, out.finding
            return
    pytest.fail(f"{name} found nothing in {count} runs")


def test_a_whole_last_block_that_is_stored_anywhere_is_found() -> None:
    finding("cramfs.block-pointers", "(direct stored): ", 150)


def test_zeros_in_the_place_of_what_cannot_be_read_are_found() -> None:
    finding("cramfs.bad-medium", "differs", 150)


def test_choices_make_the_same_image_again() -> None:
    for seed in range(10):
        a, b = (choose_image(Pick(SeedValues(seed)), ext=True) for _ in range(2))
        assert a.data == b.data and a.manifest() == b.manifest()
        assert damage(Pick(SeedValues(seed)), a) == damage(Pick(SeedValues(seed)), b)
