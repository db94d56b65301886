# SPDX-License-Identifier: GPL-2.0-only
"""One finding for each fault: what went wrong first tells them apart, not where it was noticed."""
from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

from kemu.check.location import c_location
from kemu.explore.experiment import registry
from kemu.explore.finding import SEVERITIES, Finding
from kemu.explore.parting import Parting, parting

OF_VALUES = "difference"
SECONDS = 8.0
MOST_TOLD = 8           # other ways in which a fault is seen that are told in words


def grouped(findings: Iterable[Finding], **options: Any) -> list[Finding]:
    """The findings, those of one fault as one. ``options``: those that they were found with.

    What detectors report is told apart by its cause already. Differences are one if they part from the base in one function,
    where that comes back with something else; if a detector has reported that function, they are what its report comes to. Those
    that take a switch of tasks are one in each experiment: it is tasks that meet, and who of them suffers is chance. Where a
    difference parts is looked for in ``SECONDS`` of processor time for all of them.
    """
    end = time.process_time() + SECONDS
    out: dict[object, Finding] = {}
    by_detector = [f for f in findings if f.detector != OF_VALUES]
    for f in _worst_first(by_detector):
        _put(out, f.cause, f)
    reported: dict[str, object] = {}            # function -> the worst report of it
    for cause, f in out.items():
        if " " in f.c_location:
            reported.setdefault(f.c_location.rpartition(" ")[2], cause)
    for f in _worst_first([f for f in findings if f.detector == OF_VALUES]):
        exp = registry.get(f.experiment)
        where = parting(f, exp, **options) if exp is not None and not f.choices and time.process_time() < end else None
        key: object = ("schedule", f.experiment) if f.switches else f.cause
        if where is not None:
            f.report = [*f.report, *where.told()]
            key = reported.get(where.function, (where.function, _kind(where)))
            if key not in out:
                f.function = where.function
                f.c_location = c_location(where.function, where.place) or f.c_location
        _put(out, key, f)
    return list(out.values())


def _kind(where: Parting) -> str:
    """What a base's value is, whatever its bytes."""
    return re.sub(r"pointer to [0-9a-f ]+", "pointer", where.base)


def _worst_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), len(f.trigger), f.title))


def _put(out: dict[object, Finding], key: object, f: Finding) -> None:
    known = out.get(key)
    if known is None:
        out[key] = f
        return
    known.seen_as(*known.also, f.token, *f.also)
    known.stored.update(f.stored)
    told = sum(line.startswith("also seen as: ") for line in known.report)
    if told < MOST_TOLD:
        known.report = [*known.report, f"also seen as: {f.title}"]
