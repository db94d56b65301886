# SPDX-License-Identifier: GPL-2.0-only
"""``kemu review`` of a Python Series of one's own, and of any series on top of others: what is judged, and against what."""
from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kemu.cli import _search, _series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_CONFIG, CommandError
from kemu.explore import experiment, modules
from kemu.explore.experiment import Experiment, UnknownExperiment

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.series import Series as SeriesInC
    from kemu.series.whole import Whole


def in_python(args: argparse.Namespace) -> bool:
    """Whether it is the Python half of a folder that has both, with --rung py."""
    return args.rung == "py" and os.path.isdir(args.name)


def in_c(args: argparse.Namespace) -> SeriesInC | None:
    """The C that is to be reviewed: a branch, a folder of patches/ by its name, with --rung c the C half of a Python Series."""
    if args.modules:
        return None
    if args.name is None:
        if not args.base:
            return None
        args.name, branch = f"--tree {args.tree} --base {args.base}", _series.stack_of(args)[-1]
        return branch.c
    from kemu.rung.uml.series import places  # start-up

    by_name = "/" not in args.name and any((place / args.name).is_dir() for place in places())
    if not by_name and not (args.rung == "c" and (":" in args.name or args.name.endswith(".py"))):
        return None
    found = _series.of_names([args.name], "")[0]
    if args.rung == "c" or found.python is None:
        if found.c is None:
            raise CommandError(f"{args.name}: it has no C patches, which --rung c needs", EXIT_CONFIG)
        return found.c
    return None


def chosen_for(args: argparse.Namespace) -> tuple[list[Experiment], list[Whole], dict[str, Any]]:
    """The experiments that judge ``args.name``, the stack that they run on, and options of the search."""
    stack = _series.stack_of(args)
    own = _own(args.name)
    chosen: list[Experiment] = []
    if own is None:
        chosen = _search.choose(lambda names: experiment.of_series(names[0]), [args.name])
    elif own.python is not None and own.python.name in experiment.all_series():
        chosen, own = experiment.of_series(own.python.name), None
    if args.rung != "py" or (own is None and not stack):
        return chosen, stack if own is None else [*stack, own], {}
    from kemu.series.own import experiments_of, fitting  # start-up

    below = () if own is None else tuple(_series.python_of(stack))
    judged = _series.python_of(stack if own is None else [*stack, own])
    for s in judged if own is not None else ():
        if not s.changes:
            raise CommandError(f"{args.name}: {s.name} changes nothing", EXIT_CONFIG)
    fit, misfits = fitting(chosen or experiments_of(judged[-1:]), judged)
    for why, names in misfits.items() if fit else ():
        complain(f"kemu: review: {len(names)} experiments are left out ({_some(names)}): series {why}")
    if not fit:
        raise CommandError(next((f"series {why}" for why in misfits), f"{args.name}: no experiment is about "
                                                                     f"{', '.join(judged[-1].packages) or 'any package'}"),
                           EXIT_CONFIG)
    return fit, stack if own is None else [*stack, own], {"against": below}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _like_a_file(name: str) -> bool:
    return "/" in name or name.endswith((".patch", ".diff", ".mbox", ".mbx", ".eml", ".txt"))


def _own(name: str) -> Whole | None:
    """The Python Series that a name stands for; None where experiments have that name."""
    if os.path.isdir(name):
        found = _series.of_names([name], "")[0]
        if found.python is None:
            raise CommandError(f"{name}: it has no Python half, which --rung py needs", EXIT_CONFIG)
        return found
    if ":" not in name:
        try:
            experiment.of_series(name)
            return None
        except UnknownExperiment as e:
            modules.files.clear()
            if not modules.known(name):
                raise CommandError(f"{name}: no such file" if _like_a_file(name) else str(e), 2) from None
        except modules.ModuleProblem as e:
            raise CommandError(f"cannot import {e}", EXIT_CONFIG) from None
    return _series.of_names([name], "")[0]
