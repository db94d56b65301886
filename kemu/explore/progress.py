# SPDX-License-Identifier: GPL-2.0-only
"""How far a search is, and who is told of it."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kemu.explore.finding import SEVERITIES, Finding
from kemu.explore.plan import Done
from kemu.explore.stop import Stop


@dataclass
class Progress:
    """How far a search is; ``findings`` in the order in which they were found."""

    examples: int = 0
    behaviours: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    of_base: list[Finding] = field(default_factory=list)        # what the base shows as well
    seconds: float = 0.0
    current: str = ""
    per_experiment: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False
    trouble: list[str] = field(default_factory=list)            # workers that died
    given_up: list[str] = field(default_factory=list)           # experiments that ended one worker after the other
    lost: tuple[str, int] | None = None                         # the rung is gone: why, and the exit code
    met: dict[str, dict[str, str]] = field(default_factory=dict)        # experiment -> causes that it has shown: their titles
    done: dict[int, dict[str, Done]] = field(default_factory=dict)      # of each share: how far each experiment is

    def sorted_findings(self) -> list[Finding]:
        """Worst first."""
        return sorted(self.findings, key=lambda f: (SEVERITIES.index(f.severity), f.title))

    def finding(self, cause: str) -> Finding | None:
        """The finding of that cause, if there is one."""
        return next((f for f in self.findings if f.cause == cause), None)

    def add(self, finding: Finding, instead: Finding | None = None) -> None:
        """One finding more, or a smaller trigger of one that is known by its cause already, or ``instead`` of that one."""
        for i, known in enumerate(self.findings):
            if known.cause == finding.cause or known is instead:
                if known is not finding:
                    self.findings[i] = finding
                    finding.seen_as(known.token, *known.also)
                return
        self.findings.append(finding)

    def note_met(self, finding: Finding) -> None:
        """An experiment has shown this, whoever was first."""
        self.met.setdefault(finding.experiment, {}).setdefault(finding.cause, finding.title)

    def others(self, experiment: str) -> list[str]:
        """What it has shown that is told as another experiment's finding: "as NAME: TITLE"."""
        own = {f.cause for f in self.findings if f.experiment == experiment}
        base = {f.cause for f in self.of_base}
        if not self.findings:
            return []
        told = {f.cause: f.experiment for f in self.findings}
        return [f"as {told[cause]}: {title}" if cause in told else f"as another: {title}"
                for cause, title in self.met.get(experiment, {}).items() if cause not in own and cause not in base]

    def again(self, finding: Finding) -> None:
        """A known cause has come once more, by other choices."""
        for known in self.findings:
            if known.cause == finding.cause:
                known.seen_as(finding.token, *finding.also)


def _nobody(*args: object) -> None:
    return None


@dataclass
class Listener:
    """Who is told, and who may end the search (``stop``, asked between examples).

    ``begin``: the experiment that runs next; ``example``: after every example; ``met``: a finding at once; ``found``: the same
    when it has been shrunk;
    ``base``: what the base shows as well; ``novel``: a run that behaved as none before (experiment, token, what was new);
    ``trouble``: a line about a worker.
    """

    begin: Callable[[str], None] = _nobody
    example: Callable[[Progress], None] = _nobody
    met: Callable[[Finding], None] = _nobody
    found: Callable[[Finding], None] = _nobody
    base: Callable[[Finding], None] = _nobody
    novel: Callable[[str, str, set[str]], None] = _nobody
    trouble: Callable[[str], None] = _nobody
    stop: Stop = field(default_factory=Stop)


Recorded = Mapping[str, Sequence[Sequence[int]]]      # of each experiment: choices of earlier runs
