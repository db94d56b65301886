# SPDX-License-Identifier: GPL-2.0-only
"""Measuring on a shared and noisy machine: several runs, the best and the median; memory as the kernel counts it."""
from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO


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


def in_turn(ways: dict[str, Callable[[], float]], rounds: int = 5) -> dict[str, list[float]]:
    """What each way gives, once in each round: all of them take their turns, and what else the machine does meets them all."""
    out: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, fn in ways.items():
            out[name].append(fn())
    return out


def ratio(a: list[float], b: list[float]) -> str:
    """How many times the second the first is: the median of the rounds, the least and the most."""
    each = sorted(x / y for x, y in zip(a, b, strict=True))
    return f"{statistics.median(each):.2f} times ({each[0]:.2f} to {each[-1]:.2f})"


def processor_time(argv: list[str], env: dict[str, str] | None = None, cwd: str | None = None, check: bool = False) -> float:
    """Seconds of user and system time of one process, of which nothing is shown."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=env, cwd=cwd,
                   check=check)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# exec() takes over the peak of the memory that it replaces: a child of a large process begins with that process' peak.
# So a small process stands between, and its child starts from little.
_BETWEEN = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[2:]], os.environ)
_, status, used = os.wait4(pid, 0)
with open(sys.argv[1], "w") as out:
    print(status, used.ru_utime + used.ru_stime, used.ru_maxrss, file=out)
"""


@dataclass(frozen=True)
class Used:
    """What a process used: its exit code (negative: a signal), seconds of processor time, peak memory in bytes."""

    code: int
    seconds: float
    memory: int


def used(*args: str, stdout: int | IO[bytes] | None = None, stderr: int | IO[bytes] | None = None,
         before: Callable[[], None] | None = None, timeout: float | None = None) -> Used:
    """Run ``python ARGS`` to its end and say what it alone used. ``before`` runs first and sets limits."""
    with tempfile.NamedTemporaryFile("r") as said:
        subprocess.run([sys.executable, "-I", "-S", "-c", _BETWEEN, said.name, *args], stdout=stdout, stderr=stderr,
                       preexec_fn=before, timeout=timeout, check=True)
        status, seconds, peak = said.read().split()
    return Used(os.waitstatus_to_exitcode(int(status)), float(seconds), int(peak) << 10)


def in_child(code: str, *args: str, timeout: int = 600) -> str:
    """Run Python code in a process of its own: its stdout. What it reads of its own peak memory is its own."""
    with tempfile.TemporaryFile() as out:
        if (end := used("-c", code, *args, stdout=out, timeout=timeout)).code:
            raise subprocess.CalledProcessError(end.code, [sys.executable, "-c", code, *args])
        out.seek(0)
        return out.read().decode()


def tool(name: str) -> str | None:
    """A program of erofs-utils: from the cache folder or the PATH."""
    import shutil

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kemu/erofs-utils/bin" / name
    return str(cache) if cache.exists() else shutil.which(name)
