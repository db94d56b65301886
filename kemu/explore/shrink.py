# SPDX-License-Identifier: GPL-2.0-only
"""Shrinking: Hypothesis makes image, place, schedule and faults of a failing run small, all together, because all of them are its choices."""
from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.run import Outcome, execute
from kemu.explore.source import HypothesisSource


class _Enough(BaseException):
    """The time is over."""


def smaller(a: Outcome, b: Outcome) -> bool:
    """Shortlex, as Hypothesis orders: fewer choices first, then lower ones."""
    x, y = a.offsets, b.offsets
    return (len(a.draws), x) < (len(b.draws), y) if sum(1 for v in x if v) == sum(1 for v in y if v) else sum(map(bool, x)) < sum(map(bool, y))


def shrink(found: Outcome, seconds: float = 5.0, run: Callable[..., Outcome] = execute, **options: Any) -> Outcome:
    """The smallest run that Hypothesis finds in ``seconds`` whose finding has the same cause."""
    assert found.finding is not None
    exp: Experiment = found.experiment
    cause = found.finding.cause
    best = found
    deadline = time.monotonic() + seconds
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
    from hypothesis.errors import HypothesisException, HypothesisWarning

    key = b"kemu"
    db = InMemoryExampleDatabase()
    # as something that was interesting once: what is saved as a minimal example is not shrunk again
    db.save(key + b".secondary", choices_to_bytes([c.offset for c in found.draws]))

    def one_run(draw: Any) -> Outcome:
        return run(exp, HypothesisSource(draw), **options)

    runs: Callable[[], Any] = st.composite(one_run)

    def same(out: Outcome) -> bool:
        nonlocal best
        if time.monotonic() > deadline:
            raise _Enough
        hit = out.finding is not None and out.finding.cause == cause
        if hit and smaller(out, best):
            best = out
        return hit

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            find(runs(), same, database_key=key, settings=settings(
                database=db, phases=(Phase.reuse, Phase.shrink), max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck)))
    except _Enough:
        pass
    except HypothesisException:         # flaky: the run does not depend on its choices alone; what was found stands
        pass
    return best
