# SPDX-License-Identifier: GPL-2.0-only
"""``kemu replay``: run a token again."""
from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from contextlib import suppress

from kemu.cli import _assumed, _search, _series
from kemu.cli._rung import RUNGS, add_flavour_argument, flavour_of, on_rung, rung_of, with_series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError, errno_text
from kemu.explore import experiment, token
from kemu.explore.depends import depends_on
from kemu.explore.run import Outcome, replay
from kemu.machine.splat import is_ported
from kemu.report import splat_report
from kemu.report.store import findings, tokens
from kemu.report.takeaway.folder import Sources, files

HELP = "run a token again"
# what a review of C patches has found, and the module that registers it
_OF_REVIEWS = {"series.against-base": "kemu.series.review.replay", "series.boots": "kemu.series.review.boots"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu replay``."""
    parser.add_argument("token", metavar="TOKEN",
                        help="as printed with a finding, or a file that holds one (kemu findings export)")
    parser.add_argument("module", nargs="*", metavar="MODULE",
                        help="where the experiment is, if it is not installed: a module's path, or an installed module")
    _search.add_module_argument(parser)
    parser.add_argument("--rung", choices=RUNGS, default=None, help="another rung than the one that it was found on")
    add_flavour_argument(parser)
    _series.add_series_arguments(parser)
    _assumed.add_argument(parser)
    parser.add_argument("--save", metavar="DIR",
                        help="take it away: the input, what should come of it, the configuration, a KUnit case, and a README "
                             "with the commands that show it on a real kernel")
    parser.add_argument("--pdb", action="store_true", help="stop in the debugger at the place that was reported (on a terminal)")
    parser.add_argument("--trace", action="store_true", help="also print every choice, log line and task switch")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _from_file(text: str) -> str:
    """The token in a file that ``kemu findings export`` wrote, or that holds nothing else; a token as it is."""
    if not os.path.isfile(text):
        return text
    with open(text, encoding="utf-8", errors="replace") as f:
        lines = [line for line in f.read(1 << 22).splitlines() if line.strip()]
    if len(lines) != 1:
        raise CommandError(f"{text}: a file with one token is meant, this one has {len(lines)} lines", EXIT_USAGE)
    try:
        row = json.loads(lines[0])
    except ValueError:
        row = lines[0]
    word = row.get("choices") or row.get("token") if isinstance(row, dict) else row
    if not isinstance(word, str):
        raise CommandError(f"{text}: no token is in it", EXIT_USAGE)
    return word


def _found_with(word: str) -> str:
    """The flavour of the kernel with which a token that is kept was found."""
    return next((k.finding.flavour for k in findings.all_kept() if word in (k.finding.token, *k.finding.also)), "")


def _sources() -> Sources | None:
    """Of the kernel tree that ``kemu linux fetch`` keeps; None if there is none."""
    from kemu.rung.uml.errors import ConfigError  # start-up
    from kemu.rung.uml.tree import find_tree  # start-up

    try:
        tree = find_tree()
        return Sources(tree.version, {folder: (tree.path / folder / "Makefile").read_text() for folder in ("fs/erofs", "init")})
    except (ConfigError, OSError):
        return None


def _save(folder: str, out: Outcome, token: str) -> None:
    """Write what a run is taken away with; it may be there already."""
    name = folder
    try:
        made = files(out, _sources(), token, folder)
        if not made:
            raise CommandError(f"--save {folder}: the input of this experiment is no bytes", EXIT_USAGE)
        for name, data in ((os.path.join(folder, n), data) for n, data in made.items()):
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "wb") as f:
                f.write(data)
            complain(f"kemu: replay: wrote {name}")
    except OSError as e:
        raise CommandError(f"--save: {name}: {errno_text(e.errno or 0)}", EXIT_FAILED) from None


def _debugger(exc: Exception) -> None:
    """Python's debugger, in the ported code that the report is about, or as near as there is."""
    import pdb  # start-up
    import traceback  # start-up

    frames = [frame for frame, _ in traceback.walk_tb(exc.__traceback__)]
    tb = exc.__traceback__
    near = max((i for i, frame in enumerate(frames) if is_ported(frame)), default=len(frames) - 1)
    complain(f"kemu: {exc.args[0] if exc.args else exc}: up and down walk the frames, q goes on")
    shell = pdb.Pdb()
    shell.reset()
    shell.rcLines.extend(["up"] * (len(frames) - 1 - near))
    shell.interaction(None, tb)


def _register(wanted: str) -> None:
    """Import what a review has found with, if a token is of that."""
    for name, module in _OF_REVIEWS.items():
        if wanted == token.experiment_id(name):
            importlib.import_module(module)


def run(args: argparse.Namespace) -> int:
    """``kemu replay``; its exit code."""
    if args.pdb and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("--pdb is for a terminal", EXIT_USAGE)
    try:
        tok = token.decode(tokens.whole(_from_file(args.token)))
    except token.TokenError as e:
        raise CommandError(str(e), EXIT_USAGE) from None
    _search.load()
    _search.of_folder(args.modules)
    if args.module:
        _search.choose(experiment.select, args.module)
    _register(tok.experiment)
    hits = [e for e in experiment.registry.values() if token.experiment_id(e.name) == tok.experiment]
    if not hits:
        raise CommandError(f"no experiment belongs to {tok.experiment!r}; name the module that it is in: kemu replay "
                           f"{args.token} MODULE", EXIT_USAGE)
    rung = args.rung or rung_of(hits[0])
    exp = hits[0].on(rung)
    if exp is None:
        raise CommandError(f"{hits[0].name} does not run on the {rung} rung; it runs on: {', '.join(hits[0].rungs)}", EXIT_CONFIG)
    flavour = flavour_of(args.flavour, rung, _found_with(tokens.whole(_from_file(args.token))))
    stack = _series.stack_of(args)
    beside = exp.feed is not None and all(w.c is not None for w in stack)
    with with_series(rung, stack, beside) as more, on_rung(rung, args.json, flavour, beside) as how:
        how |= {**more, **_assumed.option(args, rung, stack)}
        out = replay(exp, tok, trace=args.trace or args.json, **how, **({"caught": _debugger} if args.pdb else {}))
        if out.finding is not None:
            out.finding.offsets = out.offsets
            with suppress(OSError):                 # a long one is shown by a short one, if that can be kept
                short = tokens.keep(out.finding.token)
                if short != out.finding.token:
                    out.finding.stored[out.finding.token] = short
            out.finding.config = depends_on(out.finding, exp, **how)
    if args.save:
        _save(args.save, out, out.finding.ref(out.finding.token) if out.finding is not None else args.token)
    if args.json:
        print(json.dumps({"experiment": exp.name, "finding": out.finding.as_json() if out.finding else None,
                          "diverged": out.diverged or None, "left_out": out.left_out or None,
                          "trace": out.trace.digest() if out.trace else None}))
    else:
        if args.trace and out.trace is not None:
            sys.stdout.write(out.trace.text())
        if out.finding is not None:
            print("\n".join(splat_report.lines(out.finding)))
        else:
            print(f"{exp.name}: nothing is wrong on this run")
        if out.left_out:
            print(f"{exp.name}: {out.left_out}")
        if out.diverged:
            print(f"the replay diverged at {out.diverged}")
    return EXIT_FAILED if out.finding is not None else EXIT_OK
