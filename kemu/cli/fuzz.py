# SPDX-License-Identifier: GPL-2.0-only
"""``kemu fuzz``: run experiments with chosen inputs, places, faults and schedules until something breaks or the time is over."""
from __future__ import annotations

import argparse

from kemu.cli import _search
from kemu.cli.common import EXIT_OK
from kemu.explore import experiment

HELP = "run experiments with generated inputs, faults and schedules"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", nargs="*", metavar="EXPERIMENT", help="name, glob, series or module (default: all)")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    _search.add_search_arguments(parser)


def run(args: argparse.Namespace) -> int:
    _search.load()
    chosen = _search.choose(experiment.select, args.experiment)
    if args.list:
        for e in chosen:
            print(f"{e.name:<36} {e.series:<20} {e.doc}")
        return EXIT_OK
    chosen = _search.check_rung(chosen, args.rung)
    p, _ = _search.run_search(args, "fuzz", chosen, 20.0, args.workers or 1)
    if not _search.print_machine_readable(args, "fuzz", chosen, p):
        print(f"{p.examples} examples of {len(p.per_experiment)} experiments in {p.seconds:.1f} s, {len(p.behaviours)} behaviours, {len(p.findings)} findings")
    return _search.exit_code(p)
