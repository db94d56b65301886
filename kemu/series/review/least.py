# SPDX-License-Identifier: GPL-2.0-only
"""The least trigger: fewest trials, and of the last one the plainest case."""
from __future__ import annotations

import time
from dataclasses import replace

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.least import least
from kemu.series.review.search import Found, Search


def smaller(search: Search, found: Found, seconds: float) -> None:
    """Shrink a finding's trials, as far as the time goes."""
    end = time.monotonic() + seconds
    key = found.difference.key()

    def shows(trials: list[object]) -> bool:
        if time.monotonic() >= end:
            return False
        seen = search.shows(trials)                    # type: ignore[arg-type]
        if seen is None or seen.key() != key:
            return False
        found.difference = seen
        return True

    at = 0
    while at < len(found.trials) - 1 and len(found.trials) < 40:
        fewer = [*found.trials[:at], *found.trials[at + 1:]]
        if shows(list(fewer)):
            found.trials = fewer
        else:
            at += 1
    before, last = found.trials[:-1], found.trials[-1]
    if last.look and shows([*before, replace(last, look=False)]):
        last = replace(last, look=False)

    def still(case: Case) -> bool:
        return shows([*before, replace(last, case=case)])

    if last.case.kind != "module":
        last = replace(last, case=least(last.case, None, still, 60))
    found.trials = [*before, last]
