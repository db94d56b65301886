# SPDX-License-Identifier: GPL-2.0-only
"""Which choices of a trigger do not matter: each is made otherwise, all others staying as they are, and the fault still comes."""
from __future__ import annotations

import time
from typing import Any

from kemu.explore.chooser import Choice
from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import execute
from kemu.explore.source import ListSource

SECONDS = 1.5           # for all choices of one finding
TRIES = 3               # other values of each
_OWN = ("fault", "preempt")             # are told as the schedule and the fault


def others(c: Choice) -> list[int]:
    """A few other offsets that a choice could have, the ends first."""
    span = c.high - c.low
    found = dict.fromkeys((span, 0, span // 2, c.offset - 1, c.offset + 1, 1))
    return [v for v in found if 0 <= v <= span and v != c.offset][:TRIES]


def immaterial(finding: Finding, exp: Experiment, seconds: float = SECONDS, **options: Any) -> list[str]:
    """Names of choices that may be anything: with a few other values of each the cause is the same.

    A name that a run asks for several times counts only if none of its choices matters. What there was no time for is not said
    to be immaterial.
    """
    end = time.monotonic() + seconds

    def shown(offsets: list[int]) -> list[Choice] | None:
        out = execute(exp, ListSource(offsets), **options)
        return out.draws if out.finding is not None and out.finding.cause == finding.cause else None

    draws = shown(finding.offsets)
    if draws is None:
        return []
    free: dict[str, bool] = {}
    offsets = [c.offset for c in draws]
    for i, c in enumerate(draws):
        if c.name in _OWN or not others(c) or free.get(c.name) is False:
            continue
        if time.monotonic() > end:
            return [name for name, ok in free.items() if ok and all(d.name != name for d in draws[i:])]
        free[c.name] = all(shown([*offsets[:i], v, *offsets[i + 1:]]) is not None for v in others(c))
    return [name for name, ok in free.items() if ok]
