# SPDX-License-Identifier: GPL-2.0-only
"""struct subprocess_info (include/linux/umh.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.include.completion import completion
from kemu.linux.include.workqueue import work_struct
from kemu.linux.port.honesty import dup
from kemu.machine.sched import HZ

P = "include/linux/umh.h"

UMH_NO_WAIT, UMH_WAIT_EXEC, UMH_WAIT_PROC, UMH_KILLABLE, UMH_FREEZABLE = 0, 1, 2, 4, 8
UMH_ENABLED, UMH_FREEZING, UMH_DISABLED = range(3)
RUNNING_HELPERS_TIMEOUT = 5 * HZ


@dup(P)
class subprocess_info:
    """``struct subprocess_info``"""

    __slots__ = ("argv", "cleanup", "complete", "data", "envp", "init", "path", "retval", "wait", "work")

    def __init__(self) -> None:
        self.work = work_struct(self)
        self.complete: completion | None = None
        self.path: str | None = None
        self.argv: list[str] = []
        self.envp: list[str] = []
        self.wait = 0
        self.retval = 0
        self.init: Callable[[Any, Any], int] | None = None
        self.cleanup: Callable[[Any], None] | None = None
        self.data: Any = None
