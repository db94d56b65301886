# SPDX-License-Identifier: GPL-2.0-only
"""Trace events (include/linux/tracepoint.h): told to the watch under their real names, free when none is attached."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

P = "include/linux/tracepoint.h"


@custom(P, "TRACE_EVENT", "one function for all events")
def trace(name: str, **facts: Any) -> None:
    """``trace_<name>(...)``. On hot paths test ``this.watch is not None`` before calling."""
    if this.watch is not None:
        this.watch.event("trace:" + name, **facts)
