# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series emit``: a Python Series, or the ports themselves, as C."""
from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kemu.cli.common import EXIT_FAILED, EXIT_OK, CommandError
from kemu.cli.linux import say_of, tree_of
from kemu.cli.values import count, name_of_file, seed

if TYPE_CHECKING:
    from kemu.series.emit.report import Report  # start-up


def add_arguments(p: argparse.ArgumentParser) -> None:
    """Options of ``kemu series emit``."""
    p.add_argument("name", metavar="NAME", nargs="*",
                   help="a Python Series: a name, ./FILE.py[:NAME], MODULE[:NAME], or a folder whose series.toml names "
                        "it; with --ports: C functions (default: all)")
    p.add_argument("-o", "--output", type=name_of_file, metavar="DIR", help="write the patch there (default: standard output)")
    p.add_argument("--ports", metavar="PACKAGE", help="not a Series: emit every ported function of a package, and compile each "
                                                      "in the place of its original")
    p.add_argument("--check", action="store_true",
                   help="a Series: build the C rung with the patch; --ports: ask it whether what compiles does as the original")
    p.add_argument("--show", action="store_true", help="with --ports: print the C of each function")
    p.add_argument("--tree", type=name_of_file, metavar="TREE",
                   help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
    p.add_argument("--images", type=name_of_file, metavar="DIR", action="append", default=[],
                   help="with --ports --check: EROFS images to ask with; default: tests/data/erofs, where there is one")
    p.add_argument("--examples", type=count(0, 1 << 20), default=300, metavar="N",
                   help="and so many damaged ones made of them (300)")
    p.add_argument("--seed", type=seed, default=0, metavar="N", help="where their generator begins (0)")
    p.add_argument("--jobs", type=count(1, 4096), default=0, metavar="N")
    p.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """The command; its exit code."""
    if args.ports:
        return _ports(args)
    if len(args.name) != 1:
        raise CommandError("emit: one Series, or --ports PACKAGE", 2)
    return _series(args)


def _series(args: argparse.Namespace) -> int:
    from kemu.series.emit.expr import Untranslated  # start-up
    from kemu.series.emit.patchmail import written  # start-up
    from kemu.series.emit.report import of_series  # start-up

    try:
        made = of_series(args.name[0], tree_of(args), args.check, say_of(args))
    except Untranslated as e:
        raise CommandError(f"emit: {args.name[0]}: {e}") from None
    out = made.outcome
    if args.json:
        print(json.dumps({"subject": made.subject, "patch": made.text, "functions": out.functions, "hunks": out.hunks,
                          "missing": [{"function": f, "statement": s} for f, s in out.missing], "errors": out.errors,
                          "built": bool(made.built)}))
    elif args.output:
        print(written(Path(args.output), made.subject, made.text))
        tied(Path(args.output), made.subject, args.name[0])
    else:
        print(made.text, end="")
    for function, statement in out.missing:
        print(f"kemu: series: emit: {function}: not translated: {statement}", file=sys.stderr)
    for line in out.errors:
        print(f"kemu: series: emit: {line}", file=sys.stderr)
    if not args.json and not args.quiet:
        built = "; the C rung is built with it" if made.built else ""
        print(f"{out.functions} functions, {out.hunks} hunks in {len(out.files)} files, {len(out.missing)} statements not "
              f"translated, {len(out.errors)} errors{built}", file=sys.stderr)
    return EXIT_FAILED if out.missing or out.errors else EXIT_OK


def tied(folder: Path, title: str, python: str) -> None:
    """Write a series.toml that ties the patch to what it was made of, if the folder has none."""
    toml = folder / "series.toml"
    if toml.exists():
        return
    name, colon, which = python.partition(":")
    if name.endswith(".py"):
        name = os.path.relpath(name, folder)
    toml.write_text(f"# SPDX-License-Identifier: GPL-2.0-only\ntitle = {json.dumps(title)}\nbase = \"7.2\"\n"
                    f"python = {json.dumps(name + colon + which)}\n")


def _ports(args: argparse.Namespace) -> int:
    from kemu.series.emit.report import behaviour, of_package  # start-up

    tree, say = tree_of(args), say_of(args)
    try:
        report = of_package(args.ports, tree, args.name, say, args.jobs)
    except ModuleNotFoundError:
        raise CommandError(f"emit: no package {args.ports!r}: `kemu port list` says what is ported", 2) from None
    if not report.results and not report.outside:
        raise CommandError(f"emit: {args.ports}: no ported function{' of that name' if args.name else ''}", 2)
    if args.check:
        default = Path.cwd() / "tests" / "data" / "erofs"
        folders = [Path(d) for d in args.images] or [d for d in [default] if d.is_dir()]
        missing = next((d for d in folders if not d.is_dir()), None)
        if missing or not folders:
            raise CommandError(f"emit: {missing}: no such folder" if missing else "emit: no images: say --images DIR", 2)
        behaviour(report, tree, folders, args.examples, args.seed, say)
    if args.json:
        print(json.dumps(_as_json(report)))
    else:
        _print(report, args.show)
    bad = len(report.compiled) < len(report.results) or bool(report.verdict and report.verdict.different)
    return EXIT_FAILED if bad else EXIT_OK


def _as_json(report: Report) -> dict[str, object]:
    v = report.verdict
    states: dict[str, str] = {}
    if v is not None:
        states = {r.name: "equal" for r in v.equal} | {r.name: "unreached" for r in v.unreached}
        states |= {r.name: f"different: {why}" for r, why in v.different}
    return report.figures() | {"functions": [
        {"path": r.path, "name": r.name, "compiles": r.compiles, "missing": r.missing, "errors": r.errors, "warnings": r.warnings,
         "refused": r.refused, "behaves": states.get(r.name), "c": r.text} for r in [*report.results, *report.outside]]}


def _print(report: Report, show: bool) -> None:
    for r in report.results:
        if show and r.text:
            print(f"/* {r.path} */\n{r.text}\n")
        if not r.compiles:
            print(f"{r.path}: {r.name}: {r.refused or 'not whole'}")
            for line in [*(f"not translated: {m}" for m in r.missing), *r.errors]:
                print(f"    {line}")
    v = report.verdict
    if v is not None:
        for r, why in v.different:
            print(f"{r.path}: {r.name}: behaves otherwise: {why}")
        if v.unreached:
            print(f"not reached: {', '.join(sorted(r.name for r in v.unreached))}")
    n, total = len(report.compiled), len(report.results)
    more = f"; {len(report.outside)} more are not in this configuration" if report.outside else ""
    print(f"{n} of {total} compile unaided ({100 * n / max(1, total):.1f} %){more}")
    if v is not None:
        reached = len(v.equal) + len(v.different)
        print(f"{len(v.equal)} of {reached} that {report.cases} images reach behave as the original "
              f"({100 * len(v.equal) / max(1, reached):.1f} %); {len(v.unreached)} are not reached")
    sys.stdout.flush()
