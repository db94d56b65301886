# SPDX-License-Identifier: GPL-2.0-only
"""What ``fuzz`` and ``review`` share: options, progress, output."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kemu.cli import _assumed, _series
from kemu.cli._keeping import Keeper
from kemu.cli._rung import RUNGS, add_flavour_argument, flavour_of, on_rung, with_series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NO_TESTS, EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.values import count, seconds, seed
from kemu.explore import modules
from kemu.explore.experiment import Experiment, UnknownExperiment, load_entry_points, registry
from kemu.explore.finding import Finding
from kemu.explore.progress import Listener, Progress
from kemu.explore.stop import on_signals
from kemu.explore.workers import review_on, search_on
from kemu.report import splat_report
from kemu.report.store import findings, runs
from kemu.report.terminal import Wait, is_terminal

if TYPE_CHECKING:                   # start-up
    from kemu.series.whole import Whole


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--seconds", type=seconds, metavar="S", help="stop after S seconds")
    limit.add_argument("--examples", type=count(), metavar="N", help="stop after N examples")
    parser.add_argument("--workers", type=count(1, 4096), metavar="N",
                        help="processes (default: 1; of a review, one for each processor, at most 4)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="where the seeds begin (default: 0)")
    parser.add_argument("--rung", choices=RUNGS, default=None,
                        help="where the code under test runs: the port (py, the default), or the port beside the kernel's own C, "
                        "in this process (c) or booted (linux)")
    add_flavour_argument(parser)
    _series.add_series_arguments(parser)
    _assumed.add_argument(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the last search like this one that was interrupted")
    parser.add_argument("--fresh", action="store_true",
                        help="do not begin with the inputs and findings that earlier searches have kept")
    parser.add_argument("--ktap", action="store_true", help="KTAP version 1 (the default when stdout is not a terminal)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_module_argument(parser)


def add_module_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", dest="modules", action="append", default=[], metavar="NAME",
                        help="import the module NAME from the working folder; "
                        "a path to it (./NAME.py) does the same")


def load() -> None:
    """Import every installed package of experiments; what cannot be imported is said and left out."""
    for problem in load_entry_points():
        print(f"kemu: {problem}", file=sys.stderr)


def choose(select: object, names: Sequence[str]) -> list[Experiment]:
    """``select(names)``, with errors as the command line wants them."""
    try:
        chosen: list[Experiment] = select(names)        # type: ignore[operator]
    except UnknownExperiment as e:
        raise CommandError(str(e), EXIT_USAGE) from None
    except modules.ModuleProblem as e:
        raise CommandError(f"cannot import {e}", EXIT_CONFIG) from None
    told_imports()
    return chosen


def told_imports() -> None:
    """Say which files were imported for names and paths on the command line."""
    while modules.files:
        complain(f"kemu: imported {modules.files.pop(0)}")


def of_folder(names: Sequence[str]) -> list[str]:
    """Import the modules of ``-m``; what their experiments are selected by."""
    try:
        loaded = [sorted(modules.load_here(name)) for name in names]
    except modules.ModuleProblem as e:
        raise CommandError(f"-m: {e}", EXIT_CONFIG) from None
    told_imports()
    out = []
    for found, name in zip(loaded, names):
        if not any(e.fn.__module__ in found for e in registry.values()):
            raise CommandError(f"-m {name}: there is no experiment in it", EXIT_CONFIG)
        out += [e.name for e in registry.values() if e.fn.__module__ in found]
    return out


def check_rung(experiments: list[Experiment], rung: str) -> list[Experiment]:
    """Those that run there; of one that does not, the same property on that rung."""
    fit = {e.name: e for x in experiments for e in [x.on(rung)] if e is not None}
    if not fit:
        raise CommandError(f"none of these experiments runs on the {rung} rung; they run on: "
                           + ", ".join(sorted({r for e in experiments for r in e.rungs})), EXIT_CONFIG)
    return list(fit.values())


def _every() -> float:
    """Seconds between two lines of progress: ``KEMU_PROGRESS``; 0: as is usual."""
    try:
        return max(0.05, float(os.environ["KEMU_PROGRESS"]))
    except (KeyError, ValueError):
        return 0.0


class Teller:
    """Progress of a search, on stderr."""

    def __init__(self, quiet: bool, no_color: bool = False, seconds: float = 0.0, examples: int = 0):
        self.wait = Wait(quiet, no_color, every=_every())
        self.seconds = seconds
        self.examples = examples

    def __call__(self, p: Progress) -> None:
        done, total = (p.examples, self.examples) if self.examples else (p.seconds, self.seconds)
        self.wait(f"{p.seconds:.0f} s: {p.examples} examples, {len(p.behaviours)} behaviours, {len(p.findings)} findings "
                  f"({p.current})", done, total)

    def clear(self) -> None:
        self.wait.clear()


def run_search(args: argparse.Namespace, command: str, experiments: list[Experiment], most: float, workers: int,
               stack: Sequence[Whole] = (), **options: Any) -> Progress:
    """Search as the options say, with ``stack`` and more ``options`` of the search. What is found is kept on disk at once; on a
    terminal ``fuzz`` prints it as it comes.
    """
    teller = Teller(args.quiet or args.json, args.no_color, 0.0 if args.examples else args.seconds or most, args.examples or 0)
    experiments = check_rung(experiments, args.rung)
    flavour = flavour_of(args.flavour, args.rung)
    options |= _assumed.option(args, args.rung, stack)
    live = is_terminal(sys.stdout) and not args.ktap and not args.json
    run, p = _begin(args, command, experiments, workers)
    keeper = Keeper(command, run, experiments, args.rung, [w.given for w in stack])
    for kept in findings.of_run(run.id) if args.resume else ():
        p.add(kept.finding)

    def note(line: str) -> None:
        teller.clear()
        complain(f"kemu: {command}: {line}")

    def found(f: Finding) -> None:
        keeper.finding(f)
        if live and command == "fuzz":
            teller.clear()
            print("\n".join(splat_report.lines(f)) + "\n", flush=True)

    def example(p: Progress) -> None:
        keeper.progress(p)
        teller(p)

    listen = Listener(example=example, met=keeper.finding, found=found, novel=keeper.novel, trouble=note)
    first = {} if args.fresh else keeper.first()
    try:
        beside = all(e.feed for e in experiments) and all(w.c is not None for w in stack)
        with with_series(args.rung, stack, beside) as more, on_rung(
                args.rung, args.quiet or args.json, flavour, beside) as how, on_signals(
                listen.stop, lambda name: note(f"{name}: the example under way ends first, then what was found is shown "
                                   "(once more: at once)")):
            how = {**how, **more, **options}
            if command == "review" and not args.examples:
                review_on(run.workers, experiments, args.seconds or most, seed=args.seed, listen=listen, progress=p, first=first,
                          **how)
            else:
                left = max(0.1, (args.seconds or most) - p.seconds)
                search_on(run.workers, experiments, seconds=0.0 if args.examples else left, examples=args.examples or 0,
                          seed=args.seed,
                          listen=listen, progress=p, first=first, **how)
    except KeyboardInterrupt:
        p.interrupted = True
    teller.clear()
    keeper.end(p)
    if p.interrupted and not keeper.failed:
        note(f"interrupted after {p.examples} examples; kemu findings lists what was found, --resume goes on")
    return p


def _begin(args: argparse.Namespace, command: str, experiments: list[Experiment], workers: int) -> tuple[runs.RunFile, Progress]:
    """The record of this search, and where it begins: anew, or where the last like it was interrupted."""
    asked: dict[str, object] = {"command": command, "experiments": sorted(e.name for e in experiments), "rung": args.rung,
                                "seed": args.seed, **({"flavour": args.flavour} if args.flavour else {}),
                                **({"series": args.series} if args.series else {})}
    if not args.resume:
        return runs.begin(asked, workers), Progress()
    run = runs.last_like(asked)
    if run is None:
        raise CommandError("--resume: no search like this one was interrupted", EXIT_USAGE)
    run.pid = os.getpid()
    return run, run.progress()


def print_machine_readable(args: argparse.Namespace, name: str, experiments: list[Experiment], p: Progress) -> bool:
    """JSON, KTAP or another format, if one of them is wanted; KTAP in a pipe, if nothing is."""
    wanted = format_of(args) or ("" if is_terminal(sys.stdout) else "ktap")
    if wanted in ("", "text"):
        return False
    from kemu.report.formats import FORMATS  # start-up

    print(FORMATS[wanted](name, p, experiments))
    return True


def format_of(args: argparse.Namespace) -> str:
    """What the options say of the output; "" if nothing."""
    return getattr(args, "format", None) or ("json" if args.json else "ktap" if args.ktap else "")


def finish(p: Progress, command: str) -> int:
    """The exit code, after everything has been printed; what kept the search from its end is said on stderr."""
    if p.interrupted:
        return EXIT_INTERRUPTED
    if p.lost:
        raise CommandError(p.lost[0], p.lost[1])
    if p.given_up:
        complain(f"kemu: {command}: not tried to the end: {', '.join(dict.fromkeys(p.given_up))}")
        return EXIT_FAILED
    if not p.examples:
        return EXIT_NO_TESTS
    return EXIT_FAILED if p.findings else EXIT_OK
