# SPDX-License-Identifier: GPL-2.0-only
"""``--assume-fixed TOKEN``: what a search goes on behind."""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kemu.cli import _series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_USAGE, CommandError
from kemu.explore import experiment, token
from kemu.explore.run import replay
from kemu.machine.series import Series
from kemu.report.store import tokens

if TYPE_CHECKING:                   # start-up
    from kemu.series.whole import Whole


def add_argument(parser: argparse.ArgumentParser) -> None:
    """--assume-fixed"""
    parser.add_argument("--assume-fixed", metavar="TOKEN", action="append", default=[],
                        help="go on behind this finding, as if it were mended (several in the order in which they were "
                             "found): a bad access is done all the same, what is left "
                             "behind is passed over; --rung py")


def option(args: argparse.Namespace, rung: str | None, stack: Sequence[Whole]) -> dict[str, dict[str, str]]:
    """The option of a run; none without --assume-fixed."""
    if not args.assume_fixed:
        return {}
    if rung not in (None, "py"):
        raise CommandError("--assume-fixed is for the port (--rung py)", EXIT_USAGE)
    return {"assumed": _assumed(args, _series.python_of(stack))}


def _assumed(args: argparse.Namespace, series: Sequence[Series]) -> dict[str, str]:
    """The causes of the findings that are assumed to be mended, and their tokens; each is run once, to know it, behind those that
    are given before it.
    """
    out = causes_of(args.assume_fixed, series)
    if not args.quiet:
        for title in out.values():
            complain(f"kemu: {args.command}: assumed to be mended: {title}")
    return {cause: word for cause, word in zip(out, args.assume_fixed)}


def causes_of(words: Sequence[str], series: Sequence[Series]) -> dict[str, str]:
    """Cause -> title, for each token."""
    out: dict[str, str] = {}
    for word in words:
        try:
            tok = token.decode(tokens.whole(word))
        except token.TokenError as e:
            raise CommandError(f"--assume-fixed: {e}", EXIT_USAGE) from None
        exp = next((e for e in experiment.registry.values() if token.experiment_id(e.name) == tok.experiment), None)
        if exp is None:
            raise CommandError(f"--assume-fixed {word}: no experiment belongs to {tok.experiment!r}", EXIT_USAGE)
        found = replay(exp, tok, series=tuple(series), assumed=out).finding
        if found is None:
            raise CommandError(f"--assume-fixed {word}: {exp.name}: nothing is wrong on this run", EXIT_USAGE)
        out[found.cause] = found.title
    return out
