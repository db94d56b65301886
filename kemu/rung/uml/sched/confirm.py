# SPDX-License-Identifier: GPL-2.0-only
"""Findings of the port that rest on a schedule, tried on the booted kernel: the series' own C is built into it, and the
experiments of chosen schedules that see what the port's experiment sees are searched.
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kemu.explore.experiment import Dealt, Experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.run import execute
from kemu.explore.schedule import rests_on_schedule
from kemu.explore.source import ListSource
from kemu.machine.series import Series
from kemu.rung.uml import series as c_series
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.sched.asked import Recipe, asked_sched

SECONDS = 60.0          # for one experiment with the series, and as many without
LEAST = 5.0             # without
OF_ACCESSES = ("KASAN", "page", "oops")


@dataclass(frozen=True)
class Hit:
    """What an experiment has shown, how many seconds it took: its token, and the report's first lines."""

    cause: str
    token: str
    lines: tuple[str, ...]
    seconds: float = 0.0


class NotThere(Exception):
    """Why nothing can be tried."""


def confirm(findings: Sequence[Finding], seconds: float = SECONDS, say: Say = nothing, keep: Callable[[str], str] = str,
            **options: Any) -> None:
    """Fill ``Finding.confirmed`` of each; ``options``: those that it was found with. No kernel is needed where nothing is tried.
    ``keep``: gives a token as it is to be typed.
    """
    known: dict[tuple[object, ...], dict[str, Any]] = {}
    for f in findings:
        exp = registry[f.experiment]
        try:
            if not rests_on_schedule(f, exp, **options):
                raise NotThere("does not rest on a schedule")
            on, side, flavour = experiments_for(exp), c_side(f, exp, **options), flavour_for(f)
            key = tuple(e.name for e in on), tuple(s.path for s in side), flavour
            if key not in known:
                known[key] = tried(on, side, flavour, seconds, say, keep)
            f.confirmed = {"c": None, **known[key]}
        except NotThere as e:
            f.confirmed = {"c": None, "linux": None, "why": str(e)}


def experiments_for(exp: Experiment) -> list[Experiment]:
    """Those that see on the booted kernel what this one sees in the port."""
    if not exp.on_linux:
        raise NotThere(f"no experiment of chosen schedules is named for {exp.name}")
    if missing := [name for name in exp.on_linux if name not in registry or not isinstance(registry[name].feed, Dealt)]:
        raise NotThere(f"{exp.name} names {missing[0]}, which is no experiment of chosen schedules")
    return [registry[name] for name in exp.on_linux]


def c_side(f: Finding, exp: Experiment, **options: Any) -> list[c_series.Series]:
    """The C of the series that a finding was found in, in the order in which they were applied."""
    out = execute(exp, ListSource(f.offsets), **options)
    if not out.series:
        raise NotThere("found in the port of the tree as it is: kemu fuzz sched --rung sched searches that")
    return [_c_of(s) for s in out.series]


def _c_of(s: Series) -> c_series.Series:
    try:
        if s.c:
            return c_series.read_series(Path(s.c))
        return c_series.find_series(s.name)
    except RungError as e:
        raise NotThere(f"the series {s.name} has no C side" + (f": {e}" if s.c else "")) from None


def flavour_for(f: Finding) -> str:
    """The flavour of the kernel that shows this kind."""
    return "sched-kasan" if f.detector in OF_ACCESSES else "sched"


def tree_is_here() -> bool:
    """Whether there is a kernel tree to build from; none is fetched for this."""
    from kemu.rung.uml.cache import default_tree  # noqa: PLC0415  (start-up)

    return bool(os.environ.get("KEMU_TREE")) or (default_tree() / "Makefile").exists()


def tried(on: Sequence[Experiment], side: Sequence[c_series.Series], flavour: str, seconds: float, say: Say = nothing,
          keep: Callable[[str], str] = str) -> dict[str, Any]:
    """What became of it."""
    if not tree_is_here():
        return {"linux": None, "why": "no kernel tree on this machine: kemu linux fetch"}
    asked = asked_sched()
    before = asked.recipe
    name = "+".join(s.name for s in side)
    with_c: Recipe = flavour, *c_series.together(side)
    try:
        for exp in on:
            without: set[str] | None = None
            for hit in hits(exp, with_c, seconds, say):
                if without is None:
                    as_long = max(LEAST, hit.seconds)
                    without = {h.cause for h in hits(exp, (flavour, (), (), "plain"), as_long, say)}
                if hit.cause not in without:
                    return {"linux": True, "why": f"{exp.name} ({flavour}, with {name}) {keep(hit.token)}: "
                                                   + "; ".join(hit.lines)}
    except RungError as e:
        return {"linux": None, "why": f"no kernel with {name}: {str(e).splitlines()[0]}"}
    finally:
        asked.close()
        asked.recipe = before
    where = f"{', '.join(e.name for e in on)} ({flavour}, with {name})"
    return {"linux": False, "why": f"{where}: nothing in {seconds:.0f} s that Linux does not show without it"}


def hits(exp: Experiment, recipe: Recipe, seconds: float, say: Say = nothing) -> Iterator[Hit]:
    """What an experiment shows in a kernel in so many seconds, the build and what is done between two hits apart."""
    asked = asked_sched()
    asked.recipe = recipe
    asked.prepare(say)
    assert isinstance(exp.feed, Dealt)
    say(f"{exp.name}: schedules of Linux {'with the series' if recipe[1] else 'as it is'}")
    begun = time.monotonic()
    for offsets in exp.feed.deal("sched", 0, (0, 1)):
        found = execute(exp, ListSource(offsets), rung="sched", detect=False).finding
        spent = time.monotonic() - begun
        if found is not None:
            yield Hit(found.cause, found.token, tuple(found.report[:2]), spent)
            asked.recipe = recipe
            asked.prepare(say)
            begun = time.monotonic() - spent
        if spent > seconds:
            return


__all__ = ["Hit", "NotThere", "c_side", "confirm", "experiments_for", "flavour_for", "hits", "rests_on_schedule", "tree_is_here",
           "tried"]
