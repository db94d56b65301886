# SPDX-License-Identifier: GPL-2.0-only
"""``--series S`` of every command: several stack in the order given."""
from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from kemu.cli.common import EXIT_CONFIG, EXIT_USAGE, CommandError
from kemu.cli.values import name_of_file

if TYPE_CHECKING:                   # start-up
    from kemu.machine.series import Series
    from kemu.rung.uml.patches import Patch
    from kemu.series.whole import Whole


def add_series_arguments(parser: argparse.ArgumentParser, tree: bool = True) -> None:
    """--series, and what it takes a branch by. ``tree``: --tree as well."""
    parser.add_argument("--series", metavar="S", action="append", default=[],
                        help="with this series: a folder of patches/, a path to a folder, an mbox or a patch, - (a mail on "
                             "standard input), MODULE[:NAME] or ./FILE.py[:NAME]; several stack in the order given")
    if tree:
        parser.add_argument("--tree", type=name_of_file, metavar="DIR", help="a git tree: with --base")
    parser.add_argument("--base", metavar="REV", help="with what the branch of --tree has since this commit, as a series")


def stack_of(args: argparse.Namespace) -> list[Whole]:
    """The series that the options name, in order. Exit code 3 and one line for one that cannot be had."""
    if getattr(args, "tree", None) and not args.base and getattr(args, "command", "") != "port":
        raise CommandError(f"--tree {args.tree}: goes with --base REV, which says where the branch begins", EXIT_USAGE)
    if args.base and not args.tree:
        raise CommandError("--base: goes with --tree DIR", EXIT_USAGE)
    if args.series.count("-") > 1:
        raise CommandError("--series -: standard input is read once", EXIT_USAGE)
    if not args.series and not args.base:
        return []
    return of_names([*args.series, *([f"--tree {args.tree} --base {args.base}"] if args.base else [])])


def of_names(given: Sequence[str], option: str = "--series") -> list[Whole]:
    """The series that these stand for; see :attr:`kemu.series.whole.Whole.given`. ``option``: what they were given with."""
    if not given:
        return []
    from kemu.rung.uml.errors import RungError  # start-up
    from kemu.series.branch import from_branch  # start-up
    from kemu.series.whole import whole  # start-up

    out: list[Whole] = []
    for name in given:
        try:
            if name.startswith("--tree "):
                out.append(from_branch(*name.removeprefix("--tree ").rsplit(" --base ", 1)))
            else:
                out.append(whole(name))
        except RungError as e:
            if name.startswith("--tree ") or not option:
                raise CommandError(str(e), EXIT_CONFIG) from None
            raise CommandError(option + (f" {e}" if name and str(e).startswith(name) else f": {e}"), EXIT_CONFIG) from None
    return out


def python_of(stack: Sequence[Whole]) -> list[Series]:
    """The Python halves, for --rung py."""
    if not stack:
        return []
    from kemu.rung.uml.errors import RungError  # start-up
    from kemu.series.whole import python_halves  # start-up

    try:
        return python_halves(stack)
    except RungError as e:
        raise CommandError(f"--series {e}", EXIT_CONFIG) from None


def c_of(stack: Sequence[Whole]) -> tuple[tuple[Patch, ...], tuple[str, ...], str]:
    """Of the C halves, for the other rungs: patches, lines of configuration, and the slot of the copy of the tree."""
    if not stack:
        return (), (), "plain"
    from kemu.rung.uml.errors import ConfigError, PatchError, RungError  # start-up
    from kemu.rung.uml.patches import apply_patches  # start-up
    from kemu.rung.uml.series import together  # start-up
    from kemu.rung.uml.tree import find_tree  # start-up
    from kemu.series.whole import c_halves  # start-up

    try:
        patches, extra, slot = together(c_halves(stack))
    except RungError as e:
        raise CommandError(f"--series {e}", EXIT_CONFIG) from None
    with suppress(ConfigError):                 # without a tree that is told where it is needed
        tree = find_tree(os.environ.get("KEMU_TREE"))
        try:
            apply_patches(tree, patches)
        except PatchError as e:
            raise CommandError(f"--series: {e}", EXIT_CONFIG) from None
    return patches, extra, slot
