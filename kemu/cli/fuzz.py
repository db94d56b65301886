# SPDX-License-Identifier: GPL-2.0-only
"""``kemu fuzz``: run experiments with chosen inputs, places, faults and schedules until something breaks or the time is over."""
from __future__ import annotations

import argparse
import json
import sys

from kemu.cli import _coverage, _search, _series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_OK, EXIT_USAGE, CommandError
from kemu.explore import experiment
from kemu.report.terminal import is_terminal, print_table

HELP = "run experiments with generated inputs, faults and schedules"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu fuzz``."""
    parser.add_argument("experiment", nargs="*", metavar="EXPERIMENT",
                        help="name, glob, series, installed module or path of a module (default: all that must hold: not the "
                             "series that are known to be bad)")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    _search.add_search_arguments(parser)
    _coverage.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """``kemu fuzz``; its exit code."""
    if args.coverage:
        if args.series or args.base:
            raise CommandError("--series goes without --coverage", EXIT_USAGE)
        return _coverage.run(args)
    args.rung = args.rung or "py"
    for name, given in (("--corpus", args.corpus), ("--unreached", args.unreached)):
        if given:
            raise CommandError(f"{name} goes with --coverage", EXIT_USAGE)
    _search.load()
    chosen = _search.choose(experiment.select, [*args.experiment, *_search.of_folder(args.modules)])
    if args.list and args.json:
        print(json.dumps([{"name": e.name, "series": e.series, "holds": e.doc, "rungs": list(e.rungs),
                           "known_bad": experiment.bad_series.get(e.series)}
                          for e in chosen]))
        return EXIT_OK
    if args.list:
        if is_terminal(sys.stdout):
            print_table(["experiment", "series", "what holds"], [[e.name, e.series, e.doc] for e in chosen], args.no_color)
        else:
            for e in chosen:
                print(f"{e.name:<36} {e.series:<20} {e.doc}")
        return EXIT_OK
    chosen = _search.check_rung(chosen, args.rung)
    p = _search.run_search(args, "fuzz", chosen, 20.0, args.workers or 1, _series.stack_of(args))
    if args.rung == "sched" and not args.quiet:
        from kemu.rung.uml.sched.hunt import tallied  # start-up

        complain(f"kemu: fuzz: {tallied() or 'schedules are counted with one worker only'}")
    if not _search.print_machine_readable(args, "fuzz", chosen, p):
        print(f"{p.examples} examples of {len(p.per_experiment)} experiments in {p.seconds:.1f} s, {len(p.behaviours)} "
              f"behaviours, {len(p.findings)} findings")
    return _search.finish(p, "fuzz")
