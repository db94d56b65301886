# SPDX-License-Identifier: GPL-2.0-only
"""The same token is the same run: its trace, with the kernel's console, is equal to the byte in two fresh kernels.

``TOKENS=500 pytest tests/sched/test_determinism.py`` is the campaign; a few of each experiment belong to the tests.
"""
from __future__ import annotations

import os

import pytest

from kemu.explore.experiment import registry
from kemu.explore.run import Outcome, execute
from kemu.explore.source import SeedSource
from tests.sched.conftest import Ask

TOKENS = int(os.environ.get("TOKENS", "24"))


def again(name: str, seed: int) -> Outcome:
    return execute(registry[name], SeedSource(seed), rung="sched", detect=False, trace=True)


@pytest.mark.parametrize("share", range(4))
def test_two_runs_of_a_token_say_the_same(ask: Ask, share: int) -> None:
    ask()
    names = sorted(e.name for e in registry.values() if "sched" in e.rungs)
    switched = 0
    for n in range(share, TOKENS, 4):
        name = names[n % len(names)]
        one, two = again(name, 5000 + n), again(name, 5000 + n)
        assert one.trace is not None and two.trace is not None
        assert one.trace.lines == two.trace.lines, f"{name}: kemu replay {one.token}"
        assert (one.token, one.files, one.diverged) == (two.token, two.files, two.diverged)
        assert one.trace.lines
        switched += b"stops in" in one.files.get("story", b"")
    assert switched
