# SPDX-License-Identifier: GPL-2.0-only
"""``kemu findings``: what searches have found, kept on disk until it is forgotten."""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from kemu.cli import _search, _series
from kemu.cli._assumed import causes_of
from kemu.cli._rung import flavour_of, on_rung, with_series
from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.values import name_of_file, write_new
from kemu.explore import experiment, token
from kemu.explore.run import Outcome, replay
from kemu.report import splat_report
from kemu.report.store import findings, inputs, tokens, version
from kemu.report.store.findings import Kept
from kemu.report.terminal import print_table

HELP = "what was found, kept on disk: list it, show it, confirm it, export it, forget it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu findings``."""
    parser.set_defaults(verb="list", name=[], series=None, json=False, inputs=False)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    p = verbs.add_parser("list", help="a line for each (the default)")
    p.add_argument("--series", metavar="NAME", help="only those of a series")
    p.add_argument("--inputs", action="store_true",
                   help="instead, the runs that reached something new, which the next search begins with")
    p.add_argument("--json", action="store_true", help="one JSON array")
    p = verbs.add_parser("show", help="the whole report")
    p.add_argument("name", metavar="ID", help="ID, its beginning, or a token")
    p.add_argument("--json", action="store_true", help="one JSON object")
    p = verbs.add_parser("export", help="as JSON lines, with the choices that kemu replay needs elsewhere")
    p.add_argument("name", nargs="*", metavar="ID", help="(default: all)")
    p.add_argument("-o", dest="output", metavar="FILE", type=name_of_file, help="(default, and -: stdout)")
    p.add_argument("--force", action="store_true", help="replace FILE if it is there")
    p = verbs.add_parser("confirm", help="run each again; exit code 1 if one is still there")
    p.add_argument("name", nargs="*", metavar="ID", help="(default: all)")
    _search.add_module_argument(p)
    p.add_argument("--json", action="store_true", help="one JSON array")
    p = verbs.add_parser("forget", help="remove from the list")
    p.add_argument("name", nargs="*", metavar="ID")
    p.add_argument("--all", action="store_true", help="all of them")


def run(args: argparse.Namespace) -> int:
    """``kemu findings``; its exit code."""
    verbs: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list, "show": _show, "export": _export, "confirm": _confirm, "forget": _forget}
    return verbs[args.verb or "list"](args)


def _named(names: list[str]) -> list[Kept]:
    try:
        return [findings.find(name) for name in names] if names else findings.all_kept()
    except findings.UnknownFinding as e:
        raise CommandError(str(e), EXIT_USAGE) from None


def _state(k: Kept) -> str:
    return f"gone {k.gone[:10]}" if k.gone else f"seen {k.confirmed[:10]}"


def _list(args: argparse.Namespace) -> int:
    if args.inputs:
        return _list_inputs(args)
    kept = [k for k in findings.all_kept() if not args.series or k.series == args.series]
    if args.json:
        print(json.dumps([k.as_json() for k in kept], indent=1))
    elif kept:
        rows = [[k.id, k.finding.severity, k.series, _state(k), k.token, k.finding.title] for k in kept]
        print_table(["id", "severity", "series", "last", "token", "what"], rows, args.no_color)
    elif not args.quiet:
        print(f"nothing is kept in {findings.folder()}")
    return EXIT_OK


def _list_inputs(args: argparse.Namespace) -> int:
    rows = [{"experiment": name, **row} for name in inputs.experiments() for row in inputs.of_experiment(name)]
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            print(f"{row['experiment']:<36} {str(row.get('seen', ''))[:10]}  {row['token']}  {', '.join(map(str, row['new']))}")
    return EXIT_OK


def _show(args: argparse.Namespace) -> int:
    k = _named([args.name])[0]
    if args.json:
        print(json.dumps(k.as_json(), indent=1))
        return EXIT_OK
    print("\n".join(splat_report.lines(k.finding)))
    print()
    for t in k.finding.also:
        print(f"seen otherwise: {k.finding.ref(t)}")
    print(f"{k.id}: {k.finding.severity}, series {k.series}, experiment {k.finding.experiment}, {k.rung} rung; first seen "
          f"{k.first_seen}, last shown {k.confirmed} by {k.version}"
          + (f"; not shown by a replay at {k.gone}" if k.gone else ""))
    return EXIT_OK


def _export(args: argparse.Namespace) -> int:
    lines = [json.dumps({**k.as_json(), "choices": k.finding.token}) for k in _named(args.name)]
    text = "".join(line + "\n" for line in lines)
    if args.output in (None, "-"):
        sys.stdout.write(text)
        return EXIT_OK
    write_new(args.output, text.encode(errors="surrogateescape"), args.force)
    if not args.quiet:
        print(f"{args.output}: {len(lines)} findings")
    return EXIT_OK


def _confirm(args: argparse.Namespace) -> int:
    kept = _named(args.name)
    _search.load()
    _search.of_folder(args.modules)
    still, rows = 0, []
    for k in kept:
        e = experiment.registry.get(k.finding.experiment)
        if e is None:
            said = (f"not tried: the experiment {k.finding.experiment} is not here"
                    + (f" (-m {k.finding.module})" if k.finding.module else ""))
            shown = None
        else:
            out = _again(k, e)
            shown = out.finding is not None and out.finding.cause == k.finding.cause
            other = out.finding.title if out.finding is not None and not shown else ""
            findings.confirm(k, shown, version.of([e.fn.__module__]))
            said = "still there" if shown else f"gone: another report instead: {other}" if other else "gone"
            still += shown or bool(other)
        rows.append({"id": k.id, "title": k.finding.title, "token": k.token, "confirmed": shown})
        if not args.json:
            print(f"{k.id}  {said}: {k.finding.title}" if shown is not None else f"{k.id}  {said}")
    if args.json:
        print(json.dumps(rows, indent=1))
    return EXIT_FAILED if still else EXIT_OK


def _again(k: findings.Kept, e: experiment.Experiment) -> Outcome:
    tok = token.decode(tokens.whole(k.finding.token))
    flavour = flavour_of(None, k.rung, k.finding.flavour)
    with with_series(k.rung, _series.of_names(k.finding.series)) as more, on_rung(
            k.rung, True, flavour, e.feed is not None and not k.finding.series) as how:
        if k.finding.assumed:
            more["assumed"] = causes_of(k.finding.assumed, more.get("series", ()))
        return replay(e, tok, **how, **more)


def _forget(args: argparse.Namespace) -> int:
    if not args.name and not args.all:
        raise CommandError("forget: name what is to be forgotten, or --all", EXIT_USAGE)
    kept = findings.all_kept() if args.all else _named(args.name)
    for k in kept:
        findings.forget(k)
    if not args.quiet:
        print(f"{len(kept)} forgotten")
    return EXIT_OK
