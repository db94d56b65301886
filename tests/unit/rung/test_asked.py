# SPDX-License-Identifier: GPL-2.0-only
"""One kernel for each process, started when it is asked first."""
from __future__ import annotations

from typing import Any

import pytest

from kemu.rung.asked import Asked, asked
from kemu.rung.uml.make import Say, nothing


class Kernel:
    """Counts what is done with it."""

    def __init__(self, zeroed: bool):
        self.zeroed = zeroed
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Kernels(Asked):
    """Kernels that cost nothing."""

    prepared = 0

    def prepare(self, say: Say = nothing) -> None:
        self.prepared += 1

    def start(self, zeroed: bool) -> Any:
        return Kernel(zeroed)


def test_one_kernel_for_all_cases_of_a_process() -> None:
    k = Kernels()
    first: Any = k.judge()
    assert k.judge() is first and k.prepared == 1 and first.zeroed
    other: Any = k.judge(zeroed=False)
    assert other is not first and not other.zeroed
    assert k.judge(afresh=True) is first and first.closed == 1 and other.closed == 0
    k.close()
    assert (first.closed, other.closed) == (2, 1)
    assert k.judge() is not first


def test_a_forked_process_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    k = Kernels()
    first: Any = k.judge()
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert k.judge() is not first
    k.close()
    assert first.closed == 0, "it is the parent's"


def test_the_rungs_that_can_be_asked() -> None:
    assert asked("c").who == "C" and asked("linux").who == "Linux" and asked("c") is asked("c")
    with pytest.raises(ValueError, match="linux, c"):
        asked("py")
