# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series port``: the Python Series of a C patch."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.linux import say_of, tree_of
from kemu.cli.values import name_of_file


def add_arguments(p: argparse.ArgumentParser) -> None:
    """Options of ``kemu series port``."""
    p.add_argument("name", metavar="NAME", nargs="*",
                   help="a folder of patches/, an mbox, a patch, a directory of format-patch files, or - (a mail on standard "
                        "input); with --ports: C functions (default: all)")
    p.add_argument("--ports", metavar="PACKAGE",
                   help="not a series: write every ported function of a package again from its C, by rule")
    p.add_argument("--check", action="store_true", help="with --ports: run each in the place of the port's own")
    p.add_argument("--show", action="store_true", help="with --ports: print the Python of each")
    p.add_argument("-o", "--output", type=name_of_file, metavar="FILE", help="write the module there (default: standard output)")
    p.add_argument("--package", metavar="PACKAGE", default="", help="the port that it is for (default: whose files it touches)")
    p.add_argument("--tree", type=name_of_file, metavar="TREE",
                   help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
    p.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """The command; its exit code: 1 if something is left to do."""
    if args.ports:
        return _ports(args)
    if len(args.name) != 1:
        raise CommandError("port: one series, or --ports PACKAGE", EXIT_USAGE)
    from kemu.series.port.of_series import ported  # start-up
    from kemu.series.whole import in_c_named  # start-up

    series = in_c_named(args.name[0])
    output = Path(args.output) if args.output else None
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise CommandError(f"port: {args.output}: {'a folder' if output.is_dir() else 'there is no such folder'}", EXIT_USAGE)
    try:
        made = ported(series, tree_of(args), args.package, say_of(args))
    except ModuleNotFoundError:
        raise CommandError(f"port: no package {args.package!r}: `kemu port list` says what is ported", EXIT_USAGE) from None
    if args.json:
        print(json.dumps({"name": series.name, "module": made.text, "todo": made.unfinished,
                          "functions": [{"name": p.name, "path": p.path, "how": p.how, "todo": p.todo} for p in made.parts]}))
    elif output is not None:
        output.write_text(made.text)
        print(output)
    else:
        sys.stdout.write(made.text)
    if not args.json and not args.quiet:
        for t in made.unfinished:
            complain(f"kemu: series: port: TODO: {t}")
        n = {how: sum(p.how == how for p in made.parts) for how in ("hunks", "whole", "new")}
        complain(f"{n['hunks']} functions edited, {n['whole']} replaced as a whole, {n['new']} new, {len(made.unfinished)} left "
                 f"to do")
    return EXIT_FAILED if made.unfinished or not made.parts else EXIT_OK


def _ports(args: argparse.Namespace) -> int:
    """The shares: what rules translate wholly, and what of that does as the port does."""
    from kemu.series.port.roundtrip import ask, of_package  # start-up

    say = say_of(args)
    try:
        rows = of_package(args.ports, tree_of(args), args.name, say)
    except ModuleNotFoundError:
        raise CommandError(f"port: no package {args.ports!r}: `kemu port list` says what is ported", EXIT_USAGE) from None
    if not rows:
        raise CommandError(f"port: {args.ports}: no ported function{' of that name' if args.name else ''}", EXIT_USAGE)
    if args.check:
        ask(rows, args.ports, say)
    whole = [r for r in rows if r.whole]
    count = {v: sum(r.verdict == v for r in rows) for v in ("equal", "different", "unreached")}
    if args.json:
        print(json.dumps({"ports": len(rows), "whole": len(whole), **count, "functions": [
            {"path": r.path, "name": r.name, "whole": r.whole, "why": r.why, "behaves": r.verdict or None, "said": r.said,
             "python": r.text} for r in rows]}))
        return EXIT_OK
    for r in rows:
        if args.show and r.text:
            print(f"# {r.path}\n{r.text}\n")
        for why in r.why:
            print(f"{r.name}: {why}")
        if r.verdict == "different":
            print(f"{r.name}: behaves otherwise: {r.said}")
    print(f"{len(whole)} of {len(rows)} are translated wholly by rule ({100 * len(whole) / len(rows):.1f} %)")
    if args.check:
        reached = count["equal"] + count["different"]
        print(f"{count['equal']} of {reached} that examples reach behave as the port "
              f"({100 * count['equal'] / max(1, reached):.1f} %); {count['unreached']} are not reached")
    return EXIT_OK
