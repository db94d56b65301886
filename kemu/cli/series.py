# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series``: patch series, judged by the kernel that they are for."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from kemu.cli import _emit, _series_check, _series_diff, _series_evidence, _series_port
from kemu.cli._images import images_of
from kemu.cli.common import EXIT_OK, CommandError
from kemu.cli.linux import failures, globals_parser, say_of, tree_of
from kemu.cli.values import count, name_of_file, seconds, seed
from kemu.rung.uml import config as kconfig
from kemu.rung.uml import series as series_
from kemu.rung.uml.seriestest import Step, planned, run_steps

HELP = "patch series: list, new, check, test, diff, port, emit, evidence"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu series``."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    common = [globals_parser()]
    p = verbs.add_parser("list", help="the series in patches/", parents=common)
    p.add_argument("--json", action="store_true")

    p = verbs.add_parser("new", help="make a folder in patches/", parents=common)
    p.add_argument("name", metavar="NAME")

    _emit.add_arguments(verbs.add_parser("emit", help="a Python Series as a C patch", parents=common))
    _series_evidence.add_arguments(verbs.add_parser("evidence", parents=common,
                                                    help="the block for a cover letter: what was run, and what was not"))
    _series_diff.add_arguments(verbs.add_parser("diff", help="does the Python Series do what the C patches do", parents=common))
    _series_port.add_arguments(verbs.add_parser("port", help="the Python Series of C patches", parents=common))
    for verb, text in (("check", "does it apply, and what does checkpatch say"),
                       ("test", "apply to a copy of the tree, build, run, compare")):
        p = verbs.add_parser(verb, help=text, parents=common)
        p.add_argument("name", metavar="NAME",
                       help="a folder of patches/, an mbox, a directory of format-patch files, or - (a mail on standard input)")
        p.add_argument("--tree", type=name_of_file, metavar="TREE",
                       help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
        if verb == "check":
            p.add_argument("--json", action="store_true", help="as b4 wants it from a check hook")
            p.add_argument("--build", action="store_true",
                           help="build it, too: what W=1, sparse, kernel-doc and modpost say of it and not of its base, and "
                                "whether it links without what its Kconfig does not ask for, and on 32 bits")
            p.add_argument("--jobs", type=count(1, 4096), default=0, metavar="N")
            continue
        p.add_argument("--bisectable", action="store_true", help="build after each patch of the series too")
        p.add_argument("--configs", action="store_true",
                       help="does it link without what its Kconfig does not ask for, and on 32 bits")
        p.add_argument("--flavour", choices=kconfig.flavours(), default="fast")
        p.add_argument("--images", type=name_of_file, metavar="DIR", action="append", default=[],
                       help="EROFS images and archives for which nothing may change; default: tests/data, where there is one")
        p.add_argument("--examples", type=count(0, 1 << 20), default=2000, metavar="N",
                       help="about how many inputs are made and compared besides these (2000; 0: none): sound and damaged "
                            "images, odd streams, archives")
        p.add_argument("--seed", type=seed, default=0, metavar="N", help="where the generator of these begins (0)")
        p.add_argument("--ktap", action="store_true", help="KTAP even on a terminal")
        p.add_argument("--jobs", type=count(1, 4096), default=0, metavar="N")
        p.add_argument("--timeout", type=seconds, default=120.0, metavar="S", help="seconds until the suites are a hang")


def run(args: argparse.Namespace) -> int:
    """``kemu series``; its exit code."""
    verbs = {"list": _list, "new": _new, "check": _series_check.run, "test": _test, "diff": _series_diff.run, "emit": _emit.run,
             "port": _series_port.run,
             "evidence": _series_evidence.run}
    return failures(args.verb, lambda: verbs[args.verb](args))


def _list(args: argparse.Namespace) -> int:
    found = series_.all_series()
    if args.json:
        print(json.dumps([{"name": s.name, "title": s.title, "base": s.base, "patches": [p.subject for p in s.patches],
                           "config": s.config, "path": str(s.path)} for s in found]))
        return EXIT_OK
    for s in found:
        print(f"{s.name:24} {len(s.patches):3} patch{'es' if len(s.patches) != 1 else '  '}  {s.title}")
    if not found:
        print("no series: `kemu series new NAME` makes one", file=sys.stderr)
    return EXIT_OK


def _new(args: argparse.Namespace) -> int:
    print(series_.new_series(args.name, Path.cwd() / "patches"))
    return EXIT_OK


def _named(args: argparse.Namespace) -> series_.Series:
    """The C patches that are meant; ``-``: a mail on standard input, as b4 gives it to a check."""
    from kemu.series.whole import in_c_named  # start-up

    return in_c_named(args.name)


def _test(args: argparse.Namespace) -> int:
    series = _named(args)
    ktap = args.ktap or not sys.stdout.isatty()
    images = images_of(args.images)
    if ktap:
        print(f"KTAP version 1\n1..{planned(series, args.bisectable, images, args.configs, args.examples)}", flush=True)
    count, worst = 0, EXIT_OK
    steps = run_steps(series, tree_of(args), args.flavour, args.bisectable, images, say_of(args), args.jobs, args.timeout,
                      args.configs, args.examples, args.seed)
    for step in steps:
        count += 1
        _show(step, count, ktap)
        if step.status == "not ok":
            worst = worst or step.code
        elif step.status == "skip" and step.details:
            print(f"kemu: series: test: {series.name}: {step.details}", file=sys.stderr)
    if worst:
        raise CommandError(f"test: {series.name}: failed", worst)
    return EXIT_OK


def _show(step: Step, number: int, ktap: bool) -> None:
    details = step.details.rstrip().splitlines()
    if ktap:
        for line in details:
            print(f"# {line}")
        print(f"{'ok' if step.status != 'not ok' else 'not ok'} {number} "
              f"{step.name}{f' # SKIP {step.why}' if step.status == 'skip' else ''}")
    else:
        word = {"ok": "PASSED", "not ok": "FAILED", "skip": "SKIPPED"}[step.status]
        print(f"[{word}] {step.name}{f' ({step.seconds:.1f} s)' if step.status != 'skip' else ''}")
        for line in details:
            print(f"    {line}")
    sys.stdout.flush()
