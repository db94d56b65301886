# SPDX-License-Identifier: GPL-2.0-only
"""The trace of a run: choices, kernel log and task switches in order, with virtual time. The same token gives the same trace,
byte for byte.
"""
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from kemu.check.watch import Detector, Detectors

if TYPE_CHECKING:
    from kemu.machine.machine import Machine


class Trace:
    """Lines of text; ``digest()`` is a short name for all of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.machines = 0

    def add(self, text: str) -> None:
        """One more line."""
        self.lines.append(text)

    def watch(self) -> Tracer:
        """A listener for one more machine of the run."""
        self.machines += 1
        return Tracer(self, self.machines)

    def text(self) -> str:
        """All lines, each with its newline."""
        return "".join(line + "\n" for line in self.lines)

    def digest(self) -> str:
        """16 hexadecimal digits: equal traces have equal ones."""
        return hashlib.sha256(self.text().encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Tracer(Detector):
    """Writes what one machine does."""

    name = "trace"

    def __init__(self, trace: Trace, number: int):
        self.trace = trace
        self.number = number
        self.machine: Machine | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        """Begin with what the machine is; its log is traced from now on."""
        self.machine = machine
        self.trace.add(f"machine {self.number}: {machine.mem.nr_pages} pages of {machine.mem.page_size} bytes")
        machine.log.console = self._log

    def _log(self, level: int, line: str) -> None:
        assert self.machine is not None
        self.trace.add(f"[{self.machine.clock.now_ns}] <{level}> {line}")

    def on_sched_switch(self, prev: Any, next: Any) -> None:
        """Another task runs."""
        assert self.machine is not None
        self.trace.add(f"[{self.machine.clock.now_ns}] switch {prev.comm}/{prev.pid} -> {next.comm}/{next.pid}")
