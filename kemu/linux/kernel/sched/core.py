# SPDX-License-Identifier: GPL-2.0-only
"""migrate_disable() (kernel/sched/core.c): with one CPU, nothing."""
from __future__ import annotations

from kemu.linux.port.honesty import custom

C = "kernel/sched/core.c"


@custom(C, "migrate_disable", "the machine's scheduler and clock")
def migrate_disable() -> None:
    """``void migrate_disable(void)``"""


@custom(C, "migrate_enable", "the machine's scheduler and clock")
def migrate_enable() -> None:
    """``void migrate_enable(void)``"""
