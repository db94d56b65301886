# SPDX-License-Identifier: GPL-2.0-only
"""Which CONFIG values a finding depends on: the run is done again with each option that it has asked for the other way round."""
from __future__ import annotations

import time
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import Outcome, execute
from kemu.explore.source import ListSource
from kemu.machine import config

SECONDS = 3.0           # for all options of one finding


def depends_on(finding: Finding, exp: Experiment, seconds: float = SECONDS, **options: Any) -> list[str]:
    """``["CONFIG_BUFFER_HEAD=n", ...]``: without this value the same choices do not show the same cause.

    Switches only; options whose turn does not come in ``seconds`` are not said to matter. [] where another kernel is asked as
    well: it has the configuration that it was built with.
    """
    if options.get("rung", "py") != "py":
        return []
    end = time.monotonic() + seconds
    base = _again(finding, exp, {}, options)
    if base.finding is None or base.finding.cause != finding.cause:
        return []
    out = []
    # what is seldom named comes first
    for option, value in sorted(base.asked.items(), key=lambda x: (x[0] in config.DEFAULT_CONFIG, x)):
        if not isinstance(value, bool):
            continue
        if time.monotonic() > end:
            break
        there = _again(finding, exp, {option: not value}, options)
        if there.finding is None or there.finding.cause != finding.cause:
            out.append(config.text(option, value))
    return sorted(out)


def _again(finding: Finding, exp: Experiment, flipped: dict[str, Any], options: dict[str, Any]) -> Outcome:
    return execute(exp, ListSource(finding.offsets), config=flipped, **options)
