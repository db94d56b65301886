# SPDX-License-Identifier: GPL-2.0-only
"""Hunting a bug that was put back: how long it takes, by which report it is caught, and whether that holds.

    python -m tests.quality.hunt [NAME...]      measure (all, or those whose name contains one of the words) and print the table
"""
from __future__ import annotations

import time
from typing import NamedTuple

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.finding import Finding
from kemu.explore.progress import Listener
from kemu.explore.run import execute, replay
from kemu.explore.search import search
from kemu.explore.source import ListSource
from kemu.machine.series import Series
from kemu.series.own import fitting

SECONDS = 60.0
SMALL = 24         # choices that are not the simplest ones, in a trigger that counts as small


class Mutant(NamedTuple):
    """``experiments``: where to look for it; ``title``: a part of the report, where the kind of report matters; ``detector``:
    whose report.

    ``series``: the code with the bug; what replaces nothing is a bug that the code as it is has. ``small``: of the trigger.
    ``shrink``: seconds for that. ``anyway``: the code as it is has a part of it, and shows the same.
    """

    series: Series
    experiments: tuple[str, ...]
    title: str = ""
    detector: str = ""
    small: int = SMALL
    anyway: bool = False
    shrink: float = 12.0


class Caught(NamedTuple):
    """The report, shrunk, and how long it took to have it."""

    finding: Finding
    seconds: float
    others: list[str]


class _Enough(Exception):
    pass


def hunt(m: Mutant, seconds: float = SECONDS) -> Caught | list[str]:
    """Search until the report is there; if it does not come, the titles of what came instead. What the code without the bug shows
    as well is none of it.
    """
    found: list[Finding] = []
    judged = 0
    start = time.monotonic()

    def hit(f: Finding) -> bool:
        return m.title in f.title and (not m.detector or f.detector == m.detector) and not there_anyway(m, f)

    def tell(p: object) -> None:
        nonlocal judged
        if len(found) > judged:
            judged = len(found)
            if hit(found[-1]):
                raise _Enough

    # a design that has changed the lines itself is none that the bug can be in
    experiments, _ = fitting([registry[n] for n in m.experiments], (m.series,))
    try:
        search(experiments, seconds=seconds, shrink_seconds=m.shrink, series=(m.series,),
               listen=Listener(found=found.append, example=tell))
    except _Enough:
        return Caught(found[-1], time.monotonic() - start, [f.title for f in found[:-1]])
    return [f"{f.detector}: {f.title}" for f in found]


def there_anyway(m: Mutant, f: Finding) -> bool:
    """Whether the same choices give the same report without the bug."""
    if m.anyway or not m.series.replacements:
        return False
    without = execute(registry[f.experiment], ListSource(f.offsets))
    return without.finding is not None and without.finding.cause == f.cause


def check(m: Mutant) -> Caught:
    """It is caught in time; the trigger is small; the token replays; and without the bug the same choices give no such report."""
    caught = hunt(m)
    assert isinstance(caught, Caught), f"not found in {SECONDS:.0f} s; reported: {caught}"
    f = caught.finding
    exp = registry[f.experiment]
    again = replay(exp, token.decode(f.token), series=(m.series,))
    assert (again.finding is not None and again.finding.title == f.title
            and not again.diverged), (f.title, again.finding and again.finding.title, again.diverged)
    assert sum(map(bool, f.offsets)) <= m.small, (f.title, f.offsets, f.input, f.choices)
    return caught


def all_mutants() -> dict[str, list[Mutant]]:
    """Every mutant, by the part of the kernel that it is in."""
    from tests.quality.mutants import file_museum, initramfs_museum, layered_museum, museum, zdata_museum

    return {"erofs": museum.mutants, "file": file_museum.mutants, "zdata": zdata_museum.mutants, "init": initramfs_museum.mutants,
            "layered": layered_museum.mutants}


def main(words: list[str]) -> None:
    from kemu.explore.experiment import load_entry_points

    load_entry_points()
    for part, mutants in all_mutants().items():
        for m in mutants:
            if (words and part not in words and not any(w in m.series.name for w in words
                                                        if w not in ("erofs", "file", "zdata", "init", "layered"))):
                continue
            try:
                caught = check(m)
                f = caught.finding
                print(f"| {m.series.name} | {f.experiment} | {f.detector} | {caught.seconds:.1f} | {sum(map(bool, f.offsets))} "
                      f"| {f.title[:100]} |", flush=True)
            except AssertionError as e:
                print(f"| {m.series.name} | {' '.join(m.experiments)} | - | - | {str(e)[:200]} |", flush=True)


if __name__ == "__main__":
    import sys
    import warnings

    warnings.simplefilter("ignore")

    main(sys.argv[1:])


__all__ = ["Caught", "Mutant", "check", "hunt"]
