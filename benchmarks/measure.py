# SPDX-License-Identifier: GPL-2.0-only
"""Measuring on a shared and noisy machine: several runs, the best and the median; memory as the kernel counts it."""
from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One line of RESULTS.md. ``aim`` is what was wanted, as text."""

    name: str
    value: str
    aim: str
    how: str


def times(fn: Callable[[], object], runs: int = 5) -> tuple[float, float]:
    """(best, median) seconds of ``runs`` calls after one that is not counted."""
    fn()
    out = []
    for _ in range(runs):
        t = time.perf_counter()
        fn()
        out.append(time.perf_counter() - t)
    return min(out), statistics.median(out)


def in_child(code: str, *args: str, timeout: int = 600) -> tuple[str, float, int]:
    """Run Python code in a process of its own: (stdout, seconds, peak KiB)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    t = time.perf_counter()
    p = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=timeout, check=True)
    return p.stdout, time.perf_counter() - t, max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def tool(name: str) -> str | None:
    """A program of erofs-utils: from the cache folder or the PATH."""
    import shutil

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kemu/erofs-utils/bin" / name
    return str(cache) if cache.exists() else shutil.which(name)
