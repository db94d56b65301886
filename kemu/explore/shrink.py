# SPDX-License-Identifier: GPL-2.0-only
"""Shrinking: image, place, schedule and faults of a failing run become small together, because all of them are choices of one
source.

A quick pass of our own comes first, then Hypothesis."""
from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Disagreement
from kemu.explore.reduce import reduce
from kemu.explore.run import Outcome, execute
from kemu.explore.source import HypothesisSource, ListSource
from kemu.explore.stop import Stop


class _Enough(BaseException):
    """The time is over."""


def smaller(a: Outcome, b: Outcome) -> bool:
    """Fewer choices that are not the simplest ones, then fewer choices, then lower ones."""
    x, y = a.offsets, b.offsets
    return (sum(map(bool, x)), len(a.draws), x) < (sum(map(bool, y)), len(b.draws), y)


def shrink(found: Outcome, seconds: float = 5.0, run: Callable[..., Outcome] = execute, stop: Stop | None = None,
           **options: Any) -> Outcome:
    """The smallest run that is found in ``seconds``, or until ``stop``, whose finding has the same cause.

    ``seconds`` are of this process' processor time, so that a busy machine finds triggers as small; three times as long on the
    clock is enough.
    """
    assert found.finding is not None
    exp: Experiment = found.experiment
    cause = found.finding.cause
    best = found
    full = options
    if isinstance(found.splat, Disagreement) and options.get("detect", True):
        options = {**options, "detect": False}          # what differs shows without detectors, in half the time
    begun, began = time.process_time(), time.monotonic()

    def over(share: float = 1.0) -> bool:
        return bool(stop) or time.process_time() - begun > seconds * share or time.monotonic() - began > 3 * seconds

    def attempt(offsets: list[int]) -> list[int] | None:
        nonlocal best
        out = run(exp, ListSource(offsets), **options)
        if out.finding is None or out.finding.cause != cause:
            return None
        if smaller(out, best):
            best = out
        return [c.offset for c in out.draws]

    reduce([c.offset for c in found.draws], attempt, lambda: over(0.7))
    if over():
        return _whole(best, found, run, cause, options, full)
    from hypothesis import HealthCheck, Phase, Verbosity, find, settings  # noqa: PLC0415  (start-up)
    from hypothesis import strategies as st  # noqa: PLC0415  (start-up)
    from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes  # noqa: PLC0415  (start-up)
    from hypothesis.errors import HypothesisException, HypothesisWarning  # noqa: PLC0415  (start-up)

    key = b"kemu"
    db = InMemoryExampleDatabase()
    # as something that was interesting once: what is saved as a minimal example is not shrunk again
    db.save(key + b".secondary", choices_to_bytes([c.offset for c in best.draws]))

    def one_run(draw: Any) -> Outcome:
        return run(exp, HypothesisSource(draw), **options)

    runs: Callable[[], Any] = st.composite(one_run)

    def same(out: Outcome) -> bool:
        nonlocal best
        if over():
            raise _Enough
        hit = out.finding is not None and out.finding.cause == cause
        if hit and smaller(out, best):
            best = out
        return hit

    try:
        # it talks about how to reproduce it; tokens do that here
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", HypothesisWarning)
            find(runs(), same, database_key=key, settings=settings(
                database=db, verbosity=Verbosity.quiet, phases=(Phase.reuse, Phase.shrink), max_examples=100_000, deadline=None,
                suppress_health_check=list(HealthCheck)))
    except _Enough:
        pass
    except HypothesisException:         # flaky: the run does not depend on its choices alone; what was found stands
        pass
    return _whole(best, found, run, cause, options, full)


def _whole(best: Outcome, found: Outcome, run: Callable[..., Outcome], cause: str, options: dict[str, Any],
           full: dict[str, Any]) -> Outcome:
    """``best`` with the detectors that the search had."""
    if options is full or best is found:
        return best
    again = run(found.experiment, ListSource(best.offsets), **full)
    return again if again.finding is not None and again.finding.cause == cause else found
