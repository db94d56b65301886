# SPDX-License-Identifier: GPL-2.0-only
"""What a command costs before it does anything: processor time of whole processes, with and without the bytecode that earlier
ones left.
"""
from __future__ import annotations

import os
import sys
import tempfile

from benchmarks.measure import Figure, processor_time

RUNS = 10
COMMANDS = (("mount sample:demo.erofs", "< 0.1 s"), ("mount sample:demo.erofs --backend memback", "< 0.1 s"),
            ("boot sample:root.cpio", "< 0.15 s"),
            ("fuzz memback.ground-truth --examples 1", "< 0.25 s"), ("--version", "< 0.1 s"))


def start() -> list[Figure]:
    """As in a container: Python is told to write no bytecode, and nothing is there at the first time."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": os.path.join(folder, "cache"),
               "XDG_STATE_HOME": os.path.join(folder, "state")}
        for command, aim in COMMANDS:
            argv = [sys.executable, "-m", "kemu", *command.split()]
            first = processor_time(argv, env, folder)
            rest = sorted(processor_time(argv, env, folder) for _ in range(RUNS))
            bare = min(processor_time([sys.executable, "-c", "pass"], env, folder) for _ in range(RUNS))
            out.append(Figure(f"start: kemu {command}, PYTHONDONTWRITEBYTECODE",
                              f"{rest[0] * 1e3:.0f} ms of processor time (median {rest[len(rest) // 2] * 1e3:.0f}; the first "
                              f"time {first * 1e3:.0f}; python -c pass {bare * 1e3:.0f})", aim, "python -m benchmarks start"))
    return out


ALL = {"start": start}
