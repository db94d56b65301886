# SPDX-License-Identifier: GPL-2.0-only
"""What the Python half of a series has to show for itself."""
from __future__ import annotations

from typing import Any

from kemu.explore import experiment
from kemu.explore.group import grouped
from kemu.explore.workers import review_on
from kemu.machine.series import Series
from kemu.series.evidence.claims import Claim, counted
from kemu.series.own import experiments_of, fitting


def reviewed(series: Series, given: str, seconds: float, seed: int, workers: int) -> Claim:
    """Every experiment of the ports that sees it, on the emulated kernel, against what is there without it."""
    options: dict[str, Any] = {}
    if series.name in experiment.all_series():
        chosen = experiment.of_series(series.name)
    else:
        chosen, _ = fitting(experiments_of([series]), [series])
        options = {"series": (series,), "against": ()}
    command = f"kemu review {given} --seconds {seconds:g}" + (f" --seed {seed}" if seed else "")
    if not chosen:
        return Claim("port", "no experiment sees it", command, None)
    p = review_on(workers, chosen, seconds, seed=seed, **options)
    against = options.get("against")
    found = grouped(p.findings, against=against, **{k: v for k, v in options.items() if k == "series"})
    titles = list(dict.fromkeys(f.title for f in found))
    wrong = f"{counted(len(found), 'finding')}{': ' + '; '.join(titles[:3]) if titles else ''}"
    said = (f"on the emulated kernel {counted(p.examples, 'example')} of {counted(len(p.per_experiment), 'experiment')}, "
            f"with failing calls, damaged images and chosen schedules: {wrong}"
            f"{f'; {len(p.of_base)} more that are there without it' if p.of_base else ''}")
    return Claim("port", said, command, not found and not p.lost,
                 {"examples": p.examples, "experiments": len(p.per_experiment), "findings": len(found),
                  "of_base": len(p.of_base), "seconds": round(p.seconds, 1)})
