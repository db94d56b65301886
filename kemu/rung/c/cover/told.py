# SPDX-License-Identifier: GPL-2.0-only
"""What the search has come upon, as a finding: a run of the experiment that judges kept inputs, whose token carries the input."""
from __future__ import annotations

from kemu.explore.experiment import Experiment, registry
from kemu.explore.finding import Finding, classify
from kemu.explore.run import execute
from kemu.explore.source import ListSource
from kemu.rung.asked import asked
from kemu.rung.c.cover.search import Crash, signature_of
from kemu.rung.kept import Kept, offsets_of


def judge_of(kind: str) -> Experiment | None:
    """The experiment of the C rung that is run with kept inputs of this kind; None if no package brings one."""
    kind = "erofs" if kind == "module" else kind
    return next((registry[name] for name in sorted(registry)
                 if isinstance(feed := registry[name].feed, Kept) and feed.kind == kind and "c" in registry[name].rungs), None)


def finding_of(crash: Crash, flavour: str = "asan") -> Finding | None:
    """A finding: as a kernel that has done nothing else shows it, else as it was seen. ``flavour``: what is tried first where the
    search's own has shown it: a sanitizer says more. None: it takes its time, and comes to an end.
    """
    exp = judge_of(crash.case.kind)
    if exp is None:
        raise LookupError(f"no experiment is run with kept inputs of kind {crash.case.kind}")
    kernels, offsets = asked("c"), offsets_of(crash.case)
    before, out = kernels.flavour, None
    try:
        for tried in dict.fromkeys([crash.flavour if crash.flavour != "cov" else flavour, "plain"]):
            kernels.close()
            kernels.flavour = tried
            kernels.prepare()
            out = execute(exp, ListSource(offsets), rung="c", detect=False, flavour="" if tried == "plain" else tried)
            if out.finding is not None and out.finding.detector != "difference":
                out.finding.offsets = [c.offset for c in out.draws]
                return out.finding
    finally:
        kernels.close()
        kernels.flavour = before
    assert out is not None
    if crash.title.startswith("hang"):
        return None
    detector, severity = classify(crash.title)
    return Finding(exp.name, crash.title, detector, severity, crash.function, f"{crash.place} {crash.function}",
                   [*crash.report.split("\n"), "not in a kernel that has done nothing else before"], signature_of(crash),
                   token=out.token, input=[str(crash.case)], headlines=[str(crash.case)], offsets=[c.offset for c in out.draws])
