# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the differential campaign: an image is chosen, mounted and walked by Linux and by the emulation, and both are
compared.
"""
from __future__ import annotations

import itertools
import statistics
import time

from benchmarks.measure import Figure

_HOW = "python -m benchmarks differential"


def differential() -> list[Figure]:
    """Cases per second on one core, the choosing of the images included."""
    from kemu.explore.experiment import registry
    from kemu.explore.run import execute
    from kemu.explore.source import SeedSource
    from kemu.rung.asked import asked
    from kemu.rung.uml import RungError

    import erofs_memback.harness.differential as experiments

    names = sorted(n for n, e in registry.items() if e.fn.__module__ == experiments.__name__ and n.startswith("bdev."))
    try:
        asked("linux").prepare()
    except RungError as e:
        return [Figure("py against linux", f"not measured: {e}", "", _HOW)]
    out = []
    seeds = itertools.count(1000)
    everything = 0.0
    for name in names:
        exp = registry[name]
        rates = []
        for part in range(6):
            begin = time.perf_counter()
            for _ in range(60):
                finding = execute(exp, SeedSource(next(seeds)), rung="linux", detect=False).finding
                assert finding is None, finding
            rates.append(60 / (time.perf_counter() - begin))
        everything += 1 / statistics.median(rates[1:])
        out.append(Figure(f"py against linux, {name.removesuffix('.linux')}",
                          f"{statistics.median(rates[1:]):.0f} cases/s ({min(rates[1:]):.0f} to {max(rates[1:]):.0f})",
                          "thousands a minute", _HOW))
    out.append(Figure("py against linux, all kinds alike", f"{len(names) / everything * 60:.0f} cases a minute",
                      "thousands a minute", _HOW))
    asked("linux").close()
    return out


ALL = {"differential": differential}
