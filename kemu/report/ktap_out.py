# SPDX-License-Identifier: GPL-2.0-only
"""KTAP version 1, as tools/testing/kunit/kunit.py reads it: a suite for each series, a case for each experiment."""
from __future__ import annotations

from collections.abc import Iterable

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.progress import Progress
from kemu.report import splat_report


def document(experiments: Iterable[Experiment], progress: Progress) -> list[str]:
    """The whole stream. An experiment that never ran is skipped, with the reason."""
    suites: dict[str, list[Experiment]] = {}
    for e in experiments:
        suites.setdefault(e.series, []).append(e)
    found: dict[str, list[Finding]] = {}
    for f in progress.findings:
        found.setdefault(f.experiment, []).append(f)
    out = ["KTAP version 1", f"1..{len(suites)}"]
    for number, (series, cases) in enumerate(suites.items(), 1):
        out += ["  KTAP version 1", f"  # Subtest: {series}", f"  1..{len(cases)}"]
        failed = False
        for i, e in enumerate(cases, 1):
            examples = progress.per_experiment.get(e.name, 0)
            if not examples and e.name not in found:
                out.append(f"  ok {i} {e.name} # SKIP not run: {'interrupted' if progress.interrupted else 'the time was over'}")
                continue
            for f in found.get(e.name, ()):
                out += [f"  # {line}".rstrip() for line in splat_report.lines(f)]
            out.append(f"  # {e.name}: {examples} examples")
            others = progress.others(e.name)
            out += [f"  # {line}" for line in others]
            bad = e.name in found or bool(others)
            failed = failed or bad
            out.append(f"  {'not ok' if bad else 'ok'} {i} {e.name}")
        out.append(f"{'not ok' if failed else 'ok'} {number} {series}")
    out += [f"# {line}" for line in [*progress.trouble, *(["interrupted: it did not come to its end"] if progress.interrupted
                                                          else [])]]
    return out
