# SPDX-License-Identifier: GPL-2.0-only
"""``kemu review``: what is wrong with a series, as a table of findings with the smallest trigger of each."""
from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from typing import Any

from kemu.cli import _review_c, _review_own, _search, _series
from kemu.cli.common import EXIT_USAGE, CommandError
from kemu.explore import experiment
from kemu.explore.finding import Finding
from kemu.explore.group import grouped
from kemu.explore.progress import Progress
from kemu.explore.run import execute
from kemu.explore.source import ListSource
from kemu.report import splat_report
from kemu.report.store import findings, tokens
from kemu.report.takeaway.folder import kunit_lines
from kemu.report.terminal import fitted, print_table, width_of

HELP = "find what is wrong with a patch series, and say how to see it"


FOR_A_TABLE = 110           # columns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu review``."""
    parser.add_argument("name", metavar="NAME", nargs="?",
                        help="a series (kemu fuzz --list '*' shows them), an installed module, or the path of a module of yours; "
                        "or C patches: a file, a folder, or - for a mail on standard input")
    parser.add_argument("--format", choices=("text", "json", "ktap", "junit", "sarif", "mail", "html"),
                        help="of the output (default: text on a terminal, KTAP in a pipe)")
    parser.add_argument("--kunit", action="store_true", help="also print a KUnit case for each finding that one can be made of")
    parser.add_argument("--confirm", action=argparse.BooleanOptionalAction, default=False,
                        help="try each finding on the other rungs, with the series' C built into them: an image or an archive on "
                             "the kernel's C in this process and on the booted kernel, a schedule on the deterministic one "
                             "(builds, and for a schedule a minute of search; default: no)")
    parser.add_argument("--c", metavar="PATH", help="with --confirm: the same series in C, a name of patches/ or a path "
                        "(default: what belongs to the Series, or else what kemu series emit makes of it)")
    parser.add_argument("--backend", metavar="FILE", help="of C patches that bring a back end: how it mounts from a region of "
                        "memory, a page of Python or a C file (default: what series.toml names)")
    _search.add_search_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """``kemu review``; its exit code."""
    if args.format and (args.json or args.ktap) and args.format != ("json" if args.json else "ktap"):
        raise CommandError(f"--format {args.format} and --{'json' if args.json else 'ktap'}: one of them", EXIT_USAGE)
    args.json, args.ktap = args.json or args.format == "json", args.ktap or args.format == "ktap"
    if args.name is not None and not args.modules and _review_c.is_for_c(args.name) and not _review_own.in_python(args):
        return _review_c.run(args)
    in_c = _review_own.in_c(args)
    if in_c is not None:
        return _review_c.run(args, in_c)
    args.rung = args.rung or "py"
    _search.load()
    if (args.name is None) == (not args.modules):
        raise CommandError("what is to be reviewed is one NAME, or -m NAME", EXIT_USAGE)
    if args.confirm and args.rung != "py":
        raise CommandError("--confirm is for what the port shows (--rung py)", EXIT_USAGE)
    options: dict[str, Any] = {}
    if args.name is None:
        chosen, stack = _search.choose(experiment.select, _search.of_folder(args.modules)), _series.stack_of(args)
        args.name = args.modules[0]
    else:
        chosen, stack, options = _review_own.chosen_for(args)
    p = _search.run_search(args, "review", chosen, 49.0, args.workers or min(4, os.cpu_count() or 1), stack, **options)
    how: dict[str, Any] = {"series": tuple(_series.python_of(stack))} if stack and args.rung == "py" else {}
    if args.rung == "py" and not p.interrupted:
        p.findings = grouped(p.findings, against=options.get("against"), **how)
    if args.confirm and not p.interrupted:
        _confirm(args, p, how)
    if not _search.print_machine_readable(args, args.name, chosen, p):
        _print(args, p, how)
    return _search.finish(p, "review")


def _confirm(args: argparse.Namespace, p: Progress, how: dict[str, Any]) -> None:
    """Fill in whether Linux shows what was found, too."""
    from kemu.rung.uml.build import progress  # start-up
    from kemu.rung.uml.series import find_series  # start-up
    from kemu.series.confirm import confirm  # start-up

    try:
        given = find_series(args.c) if args.c else None
        confirm(found := p.sorted_findings(), say=progress() if not (args.quiet or args.json) else lambda text: None, keep=_kept,
                c=given, **how)
        for f in found:
            with suppress(OSError):
                findings.note_confirmed(f, experiment.registry[f.experiment].series + "".join(f" + {s}" for s in f.series))
    except KeyboardInterrupt:
        p.interrupted = True


def _kept(token: str) -> str:
    """A token as it is to be typed: a long one is kept on disk, if that can be."""
    try:
        return tokens.keep(token)
    except OSError:
        return token


def _case(f: Finding, how: dict[str, Any]) -> list[str]:
    """The KUnit case of a finding, from a run of its choices."""
    out = execute(experiment.registry[f.experiment], ListSource(f.offsets), **how)
    return kunit_lines(out, f.ref(f.token))


def _short(text: str, most: int = 160) -> str:
    """Of a trigger that takes many words; all of them are in the report."""
    return text if len(text) <= most else text[:most - 3] + "..."


def _print(args: argparse.Namespace, p: Progress, how: dict[str, Any]) -> None:
    found = p.sorted_findings()
    width = width_of(sys.stdout)
    for f in found if not args.quiet else []:
        print("\n".join(fitted(splat_report.lines(f), width)) + "\n")
        if args.kunit:
            print("\n".join(_case(f, how)) + "\n")
    if found and width < FOR_A_TABLE:
        for f in found:
            print(f"{f.severity} {f.detector}: {f.c_location or f.function or '-'}")
            print("\n".join(fitted([f"    {f.title}", *([f"    {_short(f.trigger)}"] if f.trigger else []),
                                    f"    kemu replay {f.ref(f.token)}"], width)))
    elif found:
        rows = [[f.severity, f.detector, f.c_location or f.function or "-", f.ref(f.token),
                 f.title + (f" [{_short(f.trigger)}]" if f.trigger else "")] for f in found]
        print_table(["severity", "detector", "where in C", "token", "what, with the smallest trigger"], rows, args.no_color,
                    width)
    if p.of_base:
        print("\n".join(fitted([f"{len(p.of_base)} more that the kernel below shows as well: "
                                + "; ".join(f.title for f in p.of_base)], width)))
    print(f"{args.name}: {p.examples} examples of {len(p.per_experiment)} experiments in {p.seconds:.1f} s, {len(found)} "
          f"findings")
