# SPDX-License-Identifier: GPL-2.0-only
"""``kemu review`` of C patches: the kernel with them against the one without, on the C rung."""
from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kemu.cli import _search, _series
from kemu.cli._keeping import Keeper
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, CommandError
from kemu.cli.linux import failures
from kemu.explore.experiment import registry
from kemu.explore.progress import Progress
from kemu.report import splat_report
from kemu.report.store import runs, tokens
from kemu.report.terminal import print_table

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.make import Say
    from kemu.rung.uml.patches import Patch
    from kemu.rung.uml.series import Series

SECONDS = 60.0
_SUFFIXES = (".patch", ".diff", ".mbox", ".mbx", ".eml")


def is_for_c(name: str) -> bool:
    """Whether a review of this name is one of C patches: standard input, a file or a folder of patches."""
    if name == "-":
        return True
    path = Path(name)
    if path.is_dir():
        return any(p.suffix in _SUFFIXES or p.name[:4].isdigit() for p in path.iterdir())
    return path.is_file() and path.suffix != ".py"


def run(args: argparse.Namespace, series: Series | None = None) -> int:
    """The review of what ``args.name`` names, or of ``series``; its exit code."""
    return failures("", lambda: _run(args, series))


def _run(args: argparse.Namespace, given: Series | None) -> int:
    from kemu.rung.uml.build import progress  # start-up
    from kemu.rung.uml.make import nothing  # start-up
    from kemu.rung.uml.series import find_series  # start-up
    from kemu.rung.uml.tree import find_tree  # start-up
    from kemu.series.backend.glue import glue_of  # start-up
    from kemu.series.backend.page import backend_of  # start-up
    from kemu.series.review import confirmed, replay, session, static, together  # start-up
    from kemu.series.review.search import Found  # start-up
    from kemu.series.switches import switched_on  # start-up
    from kemu.series.whole import from_mail  # start-up

    quiet = args.quiet or args.json
    series = given if given is not None else from_mail(sys.stdin.buffer.read()) if args.name == "-" else find_series(args.name)
    if not series.patches:
        raise CommandError(f"{args.name}: no patch in it", EXIT_FAILED)
    below, more, _ = _series.c_of(_series.stack_of(args)) if args.series else ((), (), "")
    tree = find_tree(os.environ.get("KEMU_TREE"))
    say = progress() if not quiet else nothing
    on = switched_on(replace(series, name="review"), tree, below, more, say)
    config = [*more, *series.config, *on.lines]
    backend = backend_of(series, args.backend)
    patches = [*series.patches, *([glue_of(backend, series.patches, tree)] if backend is not None else [])]
    pair = session.prepare(tree, patches, config, say, below, backend)
    tools = static.Static(series.patches, config, tree, below, backend=backend)
    p, chosen = Progress(), [registry[replay.NAME]]
    asked: dict[str, object] = {"command": "review", "series": series.name, "rung": "c", "seed": args.seed}
    keeper = Keeper("review", runs.begin(asked, 1), chosen, "c")
    teller = _search.Teller(quiet, args.no_color, args.seconds or SECONDS)

    def told(found: Found, at: float) -> None:
        teller.clear()
        if not quiet:
            complain(f"kemu: review: after {at:.1f} s: {found.difference.title}")

    def step(trials: int, at: float) -> None:
        p.examples, p.seconds, p.current = trials, at, series.name
        teller(p)

    images = [Path.cwd() / "tests" / "data"]
    result = together.review(pair, args.seconds or SECONDS, args.seed, told, step, [d for d in images if d.is_dir()],
                             args.workers or 0)
    teller.clear()
    p.examples, p.seconds, p.interrupted = result.trials, result.seconds, result.interrupted
    p.per_experiment[replay.NAME] = result.trials
    for line in result.warnings:
        p.add(replay.byte_order(line, pair, patches, config, below))
    for found in result.found:
        p.add(replay.finding_of(found, patches, config, below))
    for remark in tools.end(0 if result.interrupted else static.SECONDS):
        if remark.tool != "sparse" or not result.warnings:
            p.add(replay.said(remark, pair, patches, config, below))
    notes = _booted(args, p, series, config, below, say)
    for f in p.findings:
        with suppress(OSError):
            short = tokens.keep(f.token)
            if short != f.token:
                f.stored[f.token] = short
    keeper.end(p)
    if args.confirm and not p.interrupted:
        confirmed.confirm(p.findings, result.found, [*below, *patches], config, below, say)
    half = [f"its Python half is reviewed by kemu review {shlex.quote(args.name)} --rung py"] if _halves(args.name) else []
    for note in [*on.notes(), *result.notes, *tools.notes, *notes, *half]:
        complain(f"kemu: review: {series.name}: {note}")
    if not _search.print_machine_readable(args, series.name, chosen, p):
        _print(args, p, result.of_base)
    if p.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if p.findings else EXIT_OK


def _halves(name: str) -> bool:
    """Whether it is a folder of a series that has a Python half, too."""
    return name != "-" and Path(name).is_dir() and _series.of_names([name], "")[0].python is not None


def _booted(args: argparse.Namespace, p: Progress, series: Series, config: Sequence[str], below: Sequence[Patch],
            say: Say) -> list[str]:
    """Boots of a series that changes init/, with --confirm in every flavour; what is to be said of them."""
    from kemu.rung.uml.errors import RungError  # start-up
    from kemu.series.review import boots  # start-up

    if p.interrupted or not boots.concerns(series.patches):
        return []
    try:
        found, notes = boots.review(series.patches, config, below, (boots.FIRST, *(boots.MORE if args.confirm else ())), say)
    except RungError as e:
        return [f"not booted: {str(e).splitlines()[0]}"]
    for f in found:
        p.add(f)
    return notes


def _print(args: argparse.Namespace, p: Progress, of_base: list[str]) -> None:
    found = p.sorted_findings()
    for f in found if not args.quiet else []:
        print("\n".join(splat_report.lines(f)) + "\n")
    if found:
        print_table(["severity", "rung", "detector", "where in C", "token", "what"],
                    [[f.severity, ", ".join(f.rungs), f.detector, f.c_location or "-", f.ref(f.token), f.title]
                     for f in found],
                    args.no_color)
    if of_base:
        print(f"{len(of_base)} more that the kernel below shows as well: {'; '.join(of_base)}")
    print(f"{args.name}: {p.examples} trials in {p.seconds:.1f} s, {len(found)} findings")
