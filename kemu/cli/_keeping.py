# SPDX-License-Identifier: GPL-2.0-only
"""What a search finds goes to disk before anybody is told of it, and how far the search is, too."""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from kemu.explore.experiment import Experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.progress import Progress
from kemu.report.store import findings, runs, version
from kemu.report.store.inputs import Inputs

EVERY = 1.0             # seconds between two notes of how far a search is


class Keeper:
    """Keeps findings, inputs and the state of one search. What cannot be written is said once; the search goes on without it."""

    def __init__(self, command: str, run: runs.RunFile, experiments: Sequence[Experiment], rung: str,
                 series: Sequence[str] = ()):
        self.command = command
        self.run = run
        self.rung = rung
        self.modules = sorted({e.fn.__module__ for e in experiments})
        self.experiments = experiments
        self.on_top = "".join(f" + {s}" for s in series)           # what --series has put on the experiments' own
        self.inputs = Inputs([e.name for e in experiments], "")
        self.last = time.monotonic()
        self.failed = False

    @property
    def version(self) -> str:
        return version.of(self.modules)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as e:
            if not self.failed:
                print(f"kemu: {self.command}: what is found cannot be kept on disk: {e.filename or ''}: {e.strerror}",
                      file=sys.stderr)
            self.failed = True

    def first(self) -> dict[str, list[list[int]]]:
        """Choices of earlier searches to begin with."""
        return self.inputs.first({e.series for e in self.experiments} | {e.series + self.on_top for e in self.experiments})

    def finding(self, f: Finding) -> None:
        """Keep a finding."""
        e = registry.get(f.experiment)
        self._try(lambda: findings.save(f, (e.series if e else f.experiment) + self.on_top, self.rung, self.version, self.run.id))

    def novel(self, experiment: str, token: str, new: set[str]) -> None:
        """Keep an input that reached something new."""
        self.inputs.version = self.version
        self._try(lambda: self.inputs.add(experiment, token, new))

    def progress(self, p: Progress, always: bool = False) -> None:
        """Note how far the search is, once a second."""
        if always or time.monotonic() - self.last > EVERY:
            self._try(lambda: self.run.note(p))
            self.last = time.monotonic()

    def end(self, p: Progress) -> None:
        """The search is over: keep what its findings have come to. Only one that did not come to its end can be gone on with."""
        for f in p.findings:
            self.finding(f)
        if p.interrupted or p.lost:
            self.progress(p, always=True)
        else:
            self._try(self.run.end)
