# SPDX-License-Identifier: GPL-2.0-only
"""KUnit on the Linux rung: boot, let the kernel run its suites, power off, parse."""
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kemu.report import ktap
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.errors import BootError, BootTimeout, ConfigError
from kemu.rung.uml.process import Process, find_splat


@dataclass
class KunitRun:
    """A run of the kernel's KUnit suites. ``end``: ``done``, ``panic``, ``hang``, ``exit``."""

    outcome: ktap.Outcome
    console: str
    end: str
    seconds: float
    message: str | None = None
    splat: str | None = None

    @property
    def exit_code(self) -> int:
        """0, 1 (a test failed), 125 (no test ran), 124 (hang), 255 (panic, or the kernel ended early)."""
        if self.end != "done":
            return 124 if self.end == "hang" else 255
        if not self.outcome.total and not self.outcome.failed:
            return 125
        return 0 if self.outcome.ok and not self.splat else 1


def run_kunit(kernel: Kernel, tree: Path, glob: str = "", args: Sequence[str] = (), timeout: float = 120.0, memory: str = "256M",
              cpu: int | None = None) -> KunitRun:
    """Boot ``kernel`` with its suites enabled (those that match ``glob``) and read what they print with ``tree``'s parser."""
    words = ["kunit.enable=1", "kunit_shutdown=poweroff", *([f"kunit.filter_glob={glob}"] if glob else []), *args]
    started = time.monotonic()
    process = Process(kernel.path, None, words, memory, cpu)
    end, message = "done", None
    try:
        code = process.wait(timeout)
        console = process.console()
        if code is None:
            end, message = "hang", f"the kernel did not finish its tests within {timeout:g} s"
        elif process.panicked is not None:
            end, message = "panic", f"kernel panic: {process.panicked}"
        elif code != 0 or "reboot: " not in console:
            end, message = "exit", f"the kernel ended early (exit code {code})"
    finally:
        process.close()
    try:
        outcome = ktap.parse(console.splitlines(), tree)
    except ktap.NoParser as e:
        raise ConfigError(str(e)) from None
    return KunitRun(outcome, console, end, time.monotonic() - started, message, find_splat(console))


def check(run: KunitRun) -> None:
    """``BootError``/``BootTimeout`` for a run that did not come to its end."""
    if run.end == "hang":
        raise BootTimeout(run.message or "hang", run.console)
    if run.end != "done":
        raise BootError(run.message or "the kernel ended early", run.console)
