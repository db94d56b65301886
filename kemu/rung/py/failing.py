# SPDX-License-Identifier: GPL-2.0-only
"""One run with one failing call: the n-th that can fail."""
from __future__ import annotations

from kemu.explore.chooser import Choices
from kemu.explore.source import ListSource, PlanSource
from kemu.machine.current import this
from kemu.machine.machine import Machine

MANY = 1 << 32


def failing(n: int, m: Machine) -> Choices:
    """From now on the n-th call that can fail fails on the current machine ``m`` (0: none does); tasks run in their order."""
    choices = Choices(PlanSource(ListSource([]), faults=(n,) if n else ()))
    choices.arm_faults(MANY)
    m.chooser = this.chooser = choices
    return choices
