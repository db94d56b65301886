# SPDX-License-Identifier: GPL-2.0-only
"""How deep the kernel stack gets, where one mount reads through another."""
from __future__ import annotations

from typing import Any

from kemu.check.watch import Detector
from kemu.check.where import has, port_depth
from kemu.machine.current import this
from kemu.machine.pages import Page
from kemu.machine.splat import Splat, call_trace, caller_function

THREAD_SIZE = 16384
BYTES_PER_FRAME = 144       # a frame of the block, VFS and file system code of an x86-64 build, on average


class StackDepth(Detector):
    """Measures at allocations, which happen at the far end of every deep path. One frame counts as ``BYTES_PER_FRAME``."""

    name = "stack"

    def __init__(self, limit: int = THREAD_SIZE - 2048):
        self.limit = limit
        self.frames = limit // BYTES_PER_FRAME

    def page_alloc(self, page: Page) -> None:
        self._measure()

    def alloc(self, what: str, obj: Any, size: int) -> None:
        self._measure()

    def _measure(self) -> None:
        if not has(self.frames):
            return
        used = port_depth() * BYTES_PER_FRAME
        if used > self.limit:
            func, line = caller_function()
            raise Splat(f"BUG: kernel stack overflow in {func}",
                        [f"about {used} of {THREAD_SIZE} bytes used by task {this.task.comm}/{this.task.pid}", "Call Trace:",
                         *call_trace(24)],
                        function=func, line=line)
