# SPDX-License-Identifier: GPL-2.0-only
"""``kemu fuzz --coverage``: inputs of the kernel's own C, searched by what of it they reach."""
from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, CommandError, errno_text
from kemu.explore.stop import Stop, on_signals
from kemu.report.terminal import Wait

if TYPE_CHECKING:
    from kemu.rung.c.build import Library
    from kemu.rung.c.cover.corpus import Corpus
    from kemu.rung.c.cover.lines import Lines
    from kemu.rung.c.cover.search import Crash, Search, Stats

SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the search by coverage."""
    parser.add_argument("--coverage", action="store_true",
                        help="search inputs of the kernel's own C, steered by what they reach (EXPERIMENT: files and folders of "
                             "images, archives and kept cases to begin with), and print the lines and branches reached")
    parser.add_argument("--corpus", metavar="DIR", help="with --coverage: where inputs are kept (default: beside the findings)")
    parser.add_argument("--unreached", metavar="FILE", help="with --coverage: write the lines that nothing reached into FILE")


def run(args: argparse.Namespace) -> int:
    """``kemu fuzz --coverage``; its exit code."""
    _check(args)
    from kemu.cli.linux import failures  # start-up

    return failures("fuzz", lambda: _run(args))


def _check(args: argparse.Namespace) -> None:
    if args.rung == "linux":
        raise CommandError("--coverage: it steers the search of the C rung (--rung c); what the booted kernel reaches is "
                           "counted by kemu linux oracle DIR --coverage", EXIT_USAGE)
    for name, given in (("--list", args.list), ("--workers", (args.workers or 1) > 1), ("--resume", args.resume),
                        ("--ktap", args.ktap), ("-m", args.modules)):
        if given:
            raise CommandError(f"{name} does not go with --coverage", EXIT_USAGE)
    for name in args.experiment:
        if not Path(name).exists():
            raise CommandError(f"{name}: with --coverage, files and folders to begin with are named: there is no such file",
                               EXIT_USAGE)


def _run(args: argparse.Namespace) -> int:
    from kemu.rung.c.cover.begin import boots, files, forged  # start-up
    from kemu.rung.c.cover.corpus import Corpus, default_folder  # start-up
    from kemu.rung.c.cover.lines import Lines  # start-up
    from kemu.rung.c.cover.search import Search  # start-up
    from kemu.rung.c.kernel import Kernel  # start-up
    from kemu.rung.uml.build import progress  # start-up

    quiet = args.quiet or args.json
    say = progress() if not quiet else lambda text: None
    folder = Path(args.corpus) if args.corpus else default_folder()
    with (Kernel("cov", timeout=1.0, say=say) as cov, Kernel("asan", timeout=10.0, say=say) as asan,
          Kernel("gcov", timeout=5.0, say=say) as counting, _corpus(folder, args.fresh) as kept):
        lines = Lines(counting)
        crashes = Corpus(folder / "crashes")
        search = Search(cov, kept, args.seed, asan, crashed=lambda crash: None if args.json else _heard(crash))
        try:
            held = [k.library for k in (cov, asan, counting)]
            first = [*kept, *files([Path(n) for n in args.experiment]), *forged(args.seed), *boots(args.seed)]
            interrupted = _search(args, search, held, first, quiet)
            search.shrink()
            for crash in search.stats.crashes.values():
                path = crashes.add(crash.case)
                path.with_suffix(".txt").write_text(f"{crash.case}\n{crash.flavour}\n{crash.report}\n")
                if crash.case.kind == "erofs":
                    path.with_suffix(".erofs").write_bytes(crash.case.data)
        except OSError as e:
            raise CommandError(f"{e.filename or folder}: {errno_text(e.errno or 0)}") from None
        for entry in search.entries:
            entry.case.run(counting)
        counting.close()
    _print(args, search.stats, lines, crashes)
    return EXIT_INTERRUPTED if interrupted else EXIT_FAILED if search.stats.crashes else EXIT_OK


@contextmanager
def _corpus(folder: Path, fresh: bool) -> Iterator[Corpus]:
    """Where inputs are kept; with --fresh a folder of this search's own, and nothing is begun with."""
    from kemu.rung.c.cover.corpus import Corpus  # start-up

    if not fresh:
        yield Corpus(folder / "corpus")
        return
    with tempfile.TemporaryDirectory(prefix="kemu-corpus-") as name:
        yield Corpus(Path(name))


def _search(args: argparse.Namespace, search: Search, held: list[Library], cases: list[Any], quiet: bool) -> bool:
    """Whether it was interrupted. ``held``: what other builds must not push out of the cache meanwhile."""
    wait = Wait(quiet, args.no_color)
    seconds = 0.0 if args.examples else args.seconds or SECONDS
    stop = Stop()

    def told(s: Stats) -> None:
        if s.executions % 1024 == 0:
            for library in held:
                library.used()
        done, total = (s.executions, args.examples) if args.examples else (s.seconds, seconds)
        wait(f"{s.seconds:.0f} s: {s.executions} executions, {s.cells} cells, {s.kept} kept, {len(s.crashes)} crashes", done,
             total)

    with on_signals(stop, lambda name: complain(f"kemu: fuzz: {name}: what was found is shown (once more: at once)")):
        search.begin(cases)
        search.run(seconds, args.examples or 0, told, lambda: bool(stop))
    wait.clear()
    return bool(stop)


def _heard(crash: Crash) -> None:
    complain(f"kemu: fuzz: {crash.title} in {crash.function} at {crash.place} ({crash.flavour})")


def _print(args: argparse.Namespace, s: Stats, lines: Lines, crashes: Corpus) -> None:
    missed = lines.unreached()
    if args.unreached:
        Path(args.unreached).write_text("".join(f"{file}:{n}: {function}: {text}\n" for file, n, function, text in missed))
    if args.json:
        reached, total, taken, branches = lines.total()
        print(json.dumps({"executions": s.executions, "seconds": round(s.seconds, 1), "cells": s.cells, "kept": s.kept,
                          "faults": s.faults, "lines": [reached, total], "branches": [taken, branches],
                          "files": {name: f.figures() for name, f in sorted(lines.files.items())},
                          "unreached": [list(m) for m in missed],
                          "crashes": [{"title": c.title, "function": c.function, "place": c.place, "flavour": c.flavour,
                                       "case": str(crashes.folder / f"{c.case.key()}.case")} for c in s.crashes.values()]}))
        return
    for c in s.crashes.values():
        print(f"{c.report}\n  {c.case}\n  {crashes.folder / c.case.key()}.case (flavour {c.flavour}, {c.times} times)\n")
    print("\n".join(lines.table()))
    if not args.unreached:
        for file, n, function, text in missed:
            print(f"{file}:{n}: {function}: {text}")
    sys.stdout.write(f"{s.executions} executions in {s.seconds:.1f} s, {s.faults} with a failing call, {s.cells} cells, {s.kept} "
                     f"inputs kept, {len(s.crashes)} crashes, {len(missed)} lines not reached\n")
