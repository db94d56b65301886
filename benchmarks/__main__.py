# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks [--write] [NAME...]``"""
from __future__ import annotations

import argparse
import importlib
import pkgutil
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import benchmarks
from benchmarks.measure import Figure

RESULTS = Path(__file__).parent / "RESULTS.md"


def known() -> dict[str, Callable[[], list[Figure]]]:
    """Every benchmark of this package: modules with a table ``ALL``."""
    out: dict[str, Callable[[], list[Figure]]] = {}
    for info in pkgutil.iter_modules(benchmarks.__path__):
        if not info.name.startswith("_"):
            out.update(getattr(importlib.import_module(f"benchmarks.{info.name}"), "ALL", {}))
    return out


def main() -> int:
    """Measure what was asked for and print it; the exit code."""
    table = known()
    p = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure and print; figures, not tests.")
    p.add_argument("name", nargs="*", help=f"one of {', '.join(table)} (default: all)")
    p.add_argument("--write", action="store_true", help="put the rows measured now into RESULTS.md")
    args = p.parse_args()
    unknown = [n for n in args.name if n not in table]
    if unknown:
        print(f"benchmarks: {', '.join(unknown)}: no such benchmark; there are {', '.join(table)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in args.name or table:
        for f in table[name]():
            print(f"{f.name:<72} {f.value}   (aim: {f.aim})", flush=True)
            figures.append(f)
    if args.write:
        write(figures)
    return 0


def write(figures: list[Figure]) -> None:
    """Replace the rows measured now, keep the others."""
    rows: dict[str, str] = {}
    if RESULTS.exists():
        for line in RESULTS.read_text().splitlines():
            if line.startswith("| ") and not line.startswith("| figure") and not line.startswith("|--"):
                rows[line.split("|")[1].strip()] = line
    for f in figures:
        rows[f.name] = f"| {f.name} | {f.value} | {f.aim} | `{f.how}` |"
    text = ["# Figures", "",
            "Measured on a shared and noisy machine (two cores); medians of several runs, ratios against a peer in the same run.",
            f"Python {platform.python_version()}.", "", "| figure | measured | aim | command |", "|---|---|---|---|",
            *rows.values(), ""]
    RESULTS.write_text("\n".join(text))


if __name__ == "__main__":
    sys.exit(main())
