# SPDX-License-Identifier: GPL-2.0-only
"""The same token is the same run: its trace, with the kernel's console, is equal to the byte in two fresh kernels.

``TOKENS=500 pytest tests/sched/test_determinism.py`` is the campaign; a few of each experiment belong to the tests.
"""
from __future__ import annotations

import os
import random

import pytest

from kemu.explore.chooser import Choices
from kemu.explore.experiment import registry
from kemu.explore.run import Outcome, execute
from kemu.explore.source import ListSource, SparseSource
from kemu.forge.pick import Pick
from kemu.rung.uml.sched.boots import BootHunt
from kemu.rung.uml.sched.case import Case, offsets_of
from kemu.rung.uml.sched.hunt import Hunt
from kemu.rung.uml.sched.program import Plan, Switch
from kemu.rung.uml.sched.strategy import orders
from tests.sched.conftest import Ask

TOKENS = int(os.environ.get("TOKENS", "24"))


def token(name: str, seed: int) -> list[int]:
    """The choices of a program and of a plan whose first switches are near its beginning."""
    rng = random.Random(seed)
    feed = registry[name].feed
    assert isinstance(feed, (Hunt, BootHunt))
    chooser = Choices(SparseSource(seed))
    case = feed.make(Pick(chooser))
    tasks = len(case.program.tasks) if isinstance(case, Case) else 1
    plan = Plan([Switch(rng.randrange(1, 400), rng.randrange(3), rng.random() < 0.5) for _ in range(rng.randrange(1, 6))],
                rng.choice(orders(tasks)))
    return chooser.offsets() + offsets_of(plan, tasks)


def again(name: str, choices: list[int]) -> Outcome:
    return execute(registry[name], ListSource(choices), rung="sched", detect=False, trace=True)


@pytest.mark.parametrize("share", range(4))
def test_two_runs_of_a_token_say_the_same(ask: Ask, share: int) -> None:
    ask()
    names = sorted(e.name for e in registry.values() if "sched" in e.rungs)
    switched = 0
    for n in range(share, TOKENS, 4):
        name = names[n % len(names)]
        choices = token(name, n)
        one, two = again(name, choices), again(name, choices)
        assert one.trace is not None and two.trace is not None
        assert one.trace.lines == two.trace.lines, f"{name}: kemu replay {one.token}"
        assert (one.token, one.files, one.diverged) == (two.token, two.files, two.diverged)
        assert one.trace.lines
        switched += b"stops in" in one.files.get("story", b"")
    assert switched
