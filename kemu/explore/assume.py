# SPDX-License-Identifier: GPL-2.0-only
"""What a fault hides: runs go on behind those that are assumed to be mended (``--assume-fixed TOKEN``).

A bad access is done all the same, as a kernel with kasan_multi_shot does it: what is there is read, or zeros, and what is written
goes nowhere. What is left behind at the end of a run is passed over, one detector after the other. Whatever else ends a run ends
it: that is no finding then, and what comes behind is not seen.
"""
from __future__ import annotations

from collections.abc import Collection

from kemu.explore.finding import of_splat
from kemu.machine.splat import Splat


class Passed:
    """Whether a report of one experiment's run is of a cause that is assumed to be mended."""

    def __init__(self, experiment: str, causes: Collection[str]):
        self.experiment = experiment
        self.causes = causes

    def __call__(self, splat: Splat) -> bool:
        """Whether this report is one of those."""
        return of_splat(self.experiment, splat).cause in self.causes
