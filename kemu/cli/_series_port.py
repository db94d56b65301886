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
    p.add_argument("name", metavar="NAME", help="a folder of patches/, an mbox, a patch, a directory of format-patch files, or - "
                                                "(a mail on standard input)")
    p.add_argument("-o", "--output", type=name_of_file, metavar="FILE", help="write the module there (default: standard output)")
    p.add_argument("--package", metavar="PACKAGE", default="", help="the port that it is for (default: whose files it touches)")
    p.add_argument("--tree", type=name_of_file, metavar="TREE",
                   help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
    p.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """The command; its exit code: 1 if something is left to do."""
    from kemu.series.port.of_series import ported  # start-up
    from kemu.series.whole import in_c_named  # start-up

    series = in_c_named(args.name)
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
        complain(f"{n['hunks']} functions edited, {n['whole']} replaced as a whole, {n['new']} new, {len(made.unfinished)} left to do")
    return EXIT_FAILED if made.unfinished or not made.parts else EXIT_OK
