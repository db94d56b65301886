# SPDX-License-Identifier: GPL-2.0-only
"""A Series of one's own against the ports: which of their experiments can see it."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from kemu.explore.experiment import Experiment, bad_series, registry
from kemu.explore.run import execute
from kemu.explore.source import ListSource
from kemu.machine.series import Series, SeriesError
from kemu.plugins import ported_packages


def packages_of(series: Iterable[Series]) -> set[str]:
    """The ported packages that series touch; all of them, where the emulated kernel itself is changed."""
    touched = {p.partition(".")[0] for s in series for p in s.packages}
    return set(ported_packages()) if "kemu" in touched else touched


def experiments_of(series: Sequence[Series]) -> list[Experiment]:
    """Every installed experiment of the ports that the series touch, but those of series that are known to be bad."""
    packages = packages_of(series)
    return [e for _, e in sorted(registry.items())
            if "py" in e.rungs and e.series not in bad_series
            and e.fn.__module__.partition(".")[0] in packages]


def fitting(experiments: Iterable[Experiment], series: Sequence[Series]) -> tuple[list[Experiment], dict[str, list[str]]]:
    """Those whose own series leave what ``series`` apply to; of the others, what stands in the way -> their names. Each is run
    once, with the simplest choices; one that builds no machine with them is none that could see them.
    """
    fit: list[Experiment] = []
    misfits: dict[str, list[str]] = {}
    for e in experiments:
        try:
            out = execute(e, ListSource([]), series=tuple(series), detect=False)
            if not set(series).isdisjoint(out.series):         # else no machine of it has ever been built with them
                fit.append(e)
        except SeriesError as why:
            misfits.setdefault(str(why), []).append(e.name)
    return fit, misfits
