# SPDX-License-Identifier: GPL-2.0-only
"""``kemu fuzz --coverage``: inputs of the kernel's own C, searched by what of it they reach. What is found is a finding."""
from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kemu.cli import _search
from kemu.cli._keeping import Keeper
from kemu.cli._rung import flavour_of
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError, errno_text
from kemu.explore.experiment import Experiment, registry
from kemu.explore.progress import Progress
from kemu.explore.stop import Stop, on_signals
from kemu.report import json_out, ktap_out, splat_report
from kemu.report.store import findings, runs
from kemu.report.terminal import Wait

if TYPE_CHECKING:
    from kemu.rung.c.cover.corpus import Corpus
    from kemu.rung.c.cover.lines import Lines
    from kemu.rung.c.cover.search import Crash, Search, Stats

SECONDS = 60.0
KINDS = ("erofs", "cpio")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the search by coverage."""
    parser.add_argument("--coverage", action="store_true",
                        help="search inputs of the kernel's own C, steered by what they reach (EXPERIMENT: files and folders of "
                             "images, archives and kept cases to begin with), and print the lines and branches reached; with "
                             "--rung py, run what has been kept through the port and its detectors, beside the C")
    parser.add_argument("--corpus", metavar="DIR", help="with --coverage: where inputs are kept (default: beside the findings)")
    parser.add_argument("--unreached", metavar="FILE", help="with --coverage: write the lines that nothing reached into FILE")


def run(args: argparse.Namespace) -> int:
    """``kemu fuzz --coverage``; its exit code."""
    _check(args)
    _search.load()
    if args.rung == "py":
        return _through_the_port(args)
    args.rung = "c"
    from kemu.cli.linux import failures  # start-up

    return failures("fuzz", lambda: _run(args))


def _check(args: argparse.Namespace) -> None:
    if args.rung == "linux":
        raise CommandError("--coverage: it steers the search of the C rung (--rung c); what the booted kernel reaches is "
                           "counted by kemu linux oracle DIR --coverage", EXIT_USAGE)
    here = args.rung == "py"
    for name, given in (("--list", args.list), ("-m", args.modules), ("--workers", not here and (args.workers or 1) > 1),
                        ("--unreached", here and args.unreached), ("--fresh", here and args.fresh)):
        if given:
            raise CommandError(f"{name} does not go with --coverage" + (" --rung py" if here else ""), EXIT_USAGE)
    if args.resume and args.fresh:
        raise CommandError("--resume: a search with --fresh has kept nothing to go on with", EXIT_USAGE)
    for name in args.experiment:
        if not Path(name).exists():
            raise CommandError(f"{name}: with --coverage, files and folders to begin with are named: there is no such file",
                               EXIT_USAGE)


# ------------------------------------------------------------ the port

def _through_the_port(args: argparse.Namespace) -> int:
    """What is kept, on the py rung: an ordinary search of the experiments that judge kept inputs."""
    from kemu.rung.kept import Kept  # start-up

    chosen = [replace(e, feed=Kept(e.feed.kind, args.corpus or "", tuple(args.experiment))) for e in registry.values()
              if isinstance(e.feed, Kept) and "py" in e.rungs]
    if not chosen:
        raise CommandError("no experiment of the py rung is run with kept inputs: no package brings one", EXIT_CONFIG)
    if not any(next(iter(e.feed("py")), None) for e in chosen if e.feed is not None):
        raise CommandError("nothing has been kept to be run on the py rung: kemu fuzz --coverage keeps it", EXIT_CONFIG)
    p = _search.run_search(args, "fuzz", chosen, SECONDS, args.workers or 1)
    if not _search.print_machine_readable(args, "fuzz", chosen, p):
        print(f"{p.examples} examples of {len(p.per_experiment)} experiments in {p.seconds:.1f} s, {len(p.behaviours)} "
              f"behaviours, {len(p.findings)} findings")
    return _search.finish(p, "fuzz")


# ------------------------------------------------------------ the kernel's C

class Found:
    """Findings of one search: told and kept when a crash is met, and again when it has been made small."""

    def __init__(self, args: argparse.Namespace, keeper: Keeper, progress: Progress, second: str):
        self.args = args
        self.keeper = keeper
        self.progress = progress
        self.second = second
        self.slow = 0

    def crash(self, crash: Crash, small: bool = False) -> None:
        """Keep it. What only takes long is counted."""
        from kemu.rung.c.cover.told import finding_of  # start-up

        f = finding_of(crash, self.second)
        if f is None:
            self.slow += not small
            return
        f.small = small
        before = next((k for k in self.progress.findings if k.cause == f.cause), None)
        f.examples = before.examples if before else self.progress.examples
        self.progress.add(f)
        self.keeper.finding(f)
        if before is None and not self.args.json:
            complain(f"kemu: fuzz: {f.title} in {f.c_location or f.function}: kemu replay {f.ref(f.token)}")


def _run(args: argparse.Namespace) -> int:
    from kemu.rung.c.cover.begin import boots, files, forged, modules  # start-up
    from kemu.rung.c.cover.corpus import default_folder  # start-up
    from kemu.rung.c.cover.lines import Lines  # start-up
    from kemu.rung.c.cover.search import Search  # start-up
    from kemu.rung.c.cover.told import judge_of  # start-up
    from kemu.rung.c.kernel import Kernel  # start-up
    from kemu.rung.uml.build import progress  # start-up

    judges = [e for e in map(judge_of, KINDS) if e is not None]
    if len(judges) < len(KINDS):
        raise CommandError("what is found cannot be told: no package brings experiments for kept inputs", EXIT_CONFIG)
    second = flavour_of(args.flavour or "asan", "c")
    quiet = args.quiet or args.json
    say = progress() if not quiet else lambda text: None
    folder = Path(args.corpus) if args.corpus else default_folder()
    record, p = _begin(args, folder, second)
    found = Found(args, Keeper("fuzz", record, judges, "c"), p, second)
    for kept_finding in findings.of_run(record.id) if args.resume else ():
        p.add(kept_finding.finding)
    with (Kernel("cov", timeout=1.0, say=say) as cov, Kernel(second, timeout=10.0, say=say) as other,
          Kernel("gcov", timeout=5.0, say=say) as counting, _corpus(folder, args.fresh) as kept):
        lines = Lines(counting)
        search = Search(cov, kept, args.seed, other, crashed=found.crash)
        held = [k.library for k in (cov, other, counting)]
        first = [*kept, *files([Path(n) for n in args.experiment]), *forged(args.seed), *boots(args.seed)]
        first += modules(first, lambda case: not (answer := case.run(cov)).crash and answer.mount_error is None)
        try:
            _steered(args, search, found, held, first, quiet)
        except OSError as e:
            raise CommandError(f"{e.filename or folder}: {errno_text(e.errno or 0)}") from None
        died = [c.case for c in search.stats.crashes.values() if not c.title.startswith("hang")]
        for case in {c.key(): c for c in [*search.begun, *(entry.case for entry in search.entries), *died]}.values():
            case.run(counting)
        counting.close()
    found.keeper.end(p)
    _print(args, search.stats, lines, found, judges)
    return EXIT_INTERRUPTED if p.interrupted else EXIT_FAILED if p.findings else EXIT_OK


def _begin(args: argparse.Namespace, folder: Path, second: str) -> tuple[runs.RunFile, Progress]:
    """The record of this search, and where it begins: anew, or where the last like it was interrupted."""
    asked: dict[str, object] = {"command": "fuzz --coverage", "corpus": str(folder), "seed": args.seed, "flavour": second,
                                "begins with": sorted(args.experiment)}
    if not args.resume:
        return runs.begin(asked, 1), Progress()
    record = runs.last_like(asked)
    if record is None:
        raise CommandError("--resume: no search like this one was interrupted", EXIT_USAGE)
    return record, record.progress()


@contextmanager
def _corpus(folder: Path, fresh: bool) -> Iterator[Corpus]:
    """Where inputs are kept; with --fresh a folder of this search's own, and nothing is begun with."""
    from kemu.rung.c.cover.corpus import Corpus  # start-up

    if not fresh:
        yield Corpus(folder / "corpus")
        return
    with tempfile.TemporaryDirectory(prefix="kemu-corpus-") as name:
        yield Corpus(Path(name))


def _steered(args: argparse.Namespace, search: Search, found: Found, held: list[Any], cases: list[Any], quiet: bool) -> None:
    """The search, then the least input of each crash. ``held``: what other builds must not push out of the cache meanwhile."""
    from kemu.rung.c.cover.told import judge_of  # start-up

    p, stop, wait = found.progress, Stop(), Wait(quiet, args.no_color)
    before = p.examples, p.seconds
    seconds = 0.0 if args.examples else max(0.1, (args.seconds or SECONDS) - before[1])
    examples = max(1, args.examples - before[0]) if args.examples else 0

    def told(s: Stats) -> None:
        if s.executions % 1024 == 0:
            for library in held:
                library.used()
        p.examples, p.seconds = before[0] + s.executions, before[1] + s.seconds
        found.keeper.progress(p)
        done, total = (s.executions, examples) if examples else (s.seconds, seconds)
        wait(f"{s.seconds:.0f} s: {s.executions} executions, {s.cells} cells, {s.kept} kept, {len(p.findings)} findings", done,
             total)

    try:
        with on_signals(stop, lambda name: complain(f"kemu: fuzz: {name}: what was found is shown (once more: at once)")):
            search.begin(itertools.takewhile(lambda case: not stop, cases))
            search.run(seconds, examples, told, lambda: bool(stop))
            told(search.stats)
            search.shrink(lambda crash: found.crash(crash, True), lambda: bool(stop))
    except KeyboardInterrupt:
        stop.signal = stop.signal or "SIGINT"
    finally:
        wait.clear()
    for case, n in search.ran.items():
        judge = judge_of(case)
        if judge is not None:
            p.per_experiment[judge.name] = p.per_experiment.get(judge.name, 0) + n
    p.interrupted = bool(stop)


def _print(args: argparse.Namespace, s: Stats, lines: Lines, found: Found, judges: list[Experiment]) -> None:
    p = found.progress
    missed = lines.unreached()
    if args.unreached:
        Path(args.unreached).write_text("".join(f"{file}:{n}: {function}: {text}\n" for file, n, function, text in missed))
    if args.json:
        reached, total, taken, branches = lines.total()
        print(json.dumps({**json.loads(json_out.review("fuzz --coverage", p)), "executions": s.executions, "cells": s.cells,
                          "kept": s.kept, "faults": s.faults, "slow": found.slow,
                          "lines": [reached, total], "branches": [taken, branches],
                          "files": {name: f.figures() for name, f in sorted(lines.files.items())},
                          "unreached": [list(m) for m in missed]}))
        return
    if args.ktap:
        print("\n".join(ktap_out.document(judges, p)))
        return
    for f in p.sorted_findings():
        print("\n".join(splat_report.lines(f)) + "\n")
    print("\n".join(lines.table()))
    if not args.unreached:
        for file, n, function, text in missed:
            print(f"{file}:{n}: {function}: {text}")
    slow = f"{found.slow} causes of more than a second, " if found.slow else ""
    sys.stdout.write(f"{s.executions} executions in {s.seconds:.1f} s, {s.faults} with a failing call, {s.cells} cells, {s.kept} "
                     f"inputs kept, {slow}{len(p.findings)} findings, {len(missed)} lines not reached\n")

