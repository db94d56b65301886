# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series diff``: does the port's Series do what the C patches do?"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kemu.cli import _search, _series
from kemu.cli._rung import on_rung, with_series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NO_TESTS, EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.linux import say_of, tree_of
from kemu.cli.values import name_of_file, seconds, seed

if TYPE_CHECKING:                       # start-up
    from kemu.explore.finding import Finding
    from kemu.series.diff.run import Functions, Parted
    from kemu.series.whole import Whole

SAME = "the port does what the patch does"


def add_arguments(p: argparse.ArgumentParser) -> None:
    """Options of ``kemu series diff``."""
    p.add_argument("name", metavar="NAME",
                   help="a series that has both halves, or a Python Series; what has no C is compared with the C that "
                        "`kemu series emit` makes of it")
    p.add_argument("--c", metavar="PATCH",
                   help="the C half: a folder of patches, an mbox, a patch, or - (a mail); NAME is then the Python Series")
    p.add_argument("--seconds", type=seconds, default=20.0, metavar="S", help="how long to search for a difference, each (20)")
    p.add_argument("--seed", type=seed, default=0, metavar="N", help="where the generators begin (0)")
    p.add_argument("--flavour", choices=("plain", "asan", "ubsan"), default="plain",
                   help="of the C that whole mounts are asked of")
    p.add_argument("--mounts-only", action="store_true", help="whole mounts only, not function by function")
    p.add_argument("--functions-only", action="store_true", help="function by function only")
    p.add_argument("--images", type=name_of_file, metavar="DIR", action="append", default=[],
                   help="images to begin with; default: tests/data, where there is one")
    p.add_argument("--tree", type=name_of_file, metavar="TREE",
                   help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
    p.add_argument("--json", action="store_true", help="machine-readable")


def halves(args: argparse.Namespace) -> tuple[Whole, bool]:
    """Both halves, and whether the C is what the emitter makes of the Python."""
    from dataclasses import replace  # start-up

    from kemu.series.whole import in_c_named  # start-up

    if args.c and args.name == "-":
        raise CommandError("diff: -: the Python Series comes from a module or a file", EXIT_USAGE)
    (found,) = _series.of_names([args.name], "")
    if found.python is None:
        raise CommandError(f"diff: {args.name}: it has no Python Series: series.toml ties one to it (python = "
                           f"\"FILE.py:NAME\"), or give both: kemu series diff --c {args.name} PYTHON; kemu series port "
                           "writes one", EXIT_CONFIG)
    if args.c:
        return replace(found, c=in_c_named(args.c)), False
    if found.c is not None:
        if not found.c.patches:
            raise CommandError(f"diff: {args.name}: no patch in {found.c.path}", EXIT_CONFIG)
        return found, False
    return replace(found, c=emitted(args, found)), True


def emitted(args: argparse.Namespace, found: Whole) -> Any:
    """The C half that the emitter makes; exit code 1 if it is not whole."""
    from kemu.rung.uml.patches import Patch  # start-up
    from kemu.rung.uml.series import Series  # start-up
    from kemu.series.emit.expr import Untranslated  # start-up
    from kemu.series.emit.patchmail import name_of  # start-up
    from kemu.series.emit.report import of_series  # start-up

    try:
        made = of_series(args.name, tree_of(args), False, say_of(args))
    except Untranslated as e:
        raise CommandError(f"diff: {args.name}: it has no C half, and emit makes none: {e}", EXIT_FAILED) from None
    bad = [f"{f}: not translated: {s}" for f, s in made.outcome.missing] + made.outcome.errors
    if bad:
        raise CommandError(f"diff: {args.name}: it has no C half, and emit's is not whole: {bad[0]}", EXIT_FAILED)
    patch = Patch(name_of(made.subject), made.subject, made.text.encode())
    return Series(found.name, Path(f"{found.name}.emitted"), [patch])


def run(args: argparse.Namespace) -> int:
    """The command; its exit code."""
    if args.mounts_only and args.functions_only:
        raise CommandError("diff: --mounts-only goes without --functions-only", EXIT_USAGE)
    found, made = halves(args)
    try:
        report = compare(args, found, made)
    except KeyboardInterrupt:
        complain("kemu: series: diff: interrupted")
        return EXIT_INTERRUPTED
    asked = report.get("mounts", {}).get("examples", 0) + len(report.get("functions", {}).get("asked", ()))
    if not asked:
        report["same"] = None
    _print(args, found, report, made)
    return EXIT_NO_TESTS if not asked else EXIT_OK if report["same"] else EXIT_FAILED


def compare(args: argparse.Namespace, found: Whole, made: bool) -> dict[str, Any]:
    """What --json prints. ``made``: the C half is the emitter's, and each function of it as well: then by whole mounts only."""
    report: dict[str, Any] = {"name": found.name, "c": "emitted" if made else str(found.c.path if found.c else ""), "same": True,
                              "difference": None}
    by_function: Functions | None = None
    if not args.mounts_only and not made:
        by_function = _functions(args, found, report)
    if report["difference"] is None and not args.functions_only:
        _mounts(args, found, report, by_function)
    return report


def _functions(args: argparse.Namespace, found: Whole, report: dict[str, Any]) -> Functions:
    from kemu.series.diff.run import Sides  # start-up

    assert found.c is not None and found.python is not None
    sides = Sides(found.python, found.c.patches, found.c.config, tree_of(args), say_of(args))
    out = sides.compare(args.seconds, args.seed, _images(args), _teller(args))
    apart = [{"function": n, "why": w} for n, w in out.apart]
    report["functions"] = {"asked": out.asked, "unreached": out.unreached, "apart": apart, "trials": out.trials}
    if out.parted is not None:
        report["same"], report["difference"] = False, _parted(out.parted)
    return out


def _parted(p: Parted) -> dict[str, Any]:
    return {"functions": p.names, "what": p.what, "kind": p.kind, "input": p.input, "details": p.details, "how": "functions",
            "c": {"where": p.c.where, "line": p.c.text}, "python": {"where": p.python.where, "line": p.python.text}}


def _images(args: argparse.Namespace) -> list[Path]:
    for folder in args.images:
        if not Path(folder).exists():
            raise CommandError(f"diff: {folder}: no such file or folder", EXIT_USAGE)
    return [Path(d) for d in args.images] or [d for d in [Path.cwd() / "tests" / "data"] if d.is_dir()]


def _teller(args: argparse.Namespace) -> Any:
    from kemu.report.terminal import Wait  # start-up

    wait = Wait(args.quiet or args.json, args.no_color)

    def told(trials: int, at: float) -> None:
        wait(f"{at:.0f} s: {trials} trials function by function", at, args.seconds)
    return told


def _mounts(args: argparse.Namespace, found: Whole, report: dict[str, Any], by_function: Functions | None) -> None:
    """The experiments that ask the kernel's C beside the port, both with the series."""
    from kemu.explore.experiment import registry  # start-up
    from kemu.explore.progress import Listener, Progress  # start-up
    from kemu.explore.workers import search_on  # start-up
    from kemu.series.own import packages_of  # start-up
    from kemu.series.whole import installed  # start-up

    assert found.python is not None
    _search.load()
    packages = packages_of([found.python])
    chosen = [e for _, e in sorted(registry.items()) if "c" in e.rungs and e.name.endswith(".c")
              and e.fn.__module__.partition(".")[0] in packages
              and (e.series == found.python.name or installed(e.series) is None)]      # another series' back end is not its own
    if not chosen:
        raise CommandError(f"diff: no experiment asks the C beside {', '.join(sorted(packages))}", EXIT_CONFIG)
    p = Progress()
    listen = Listener()

    def hit(f: Finding) -> None:
        listen.stop.signal = "a difference"

    listen.found = hit
    try:
        with with_series("c", [found]) as more, on_rung("c", args.quiet or args.json, args.flavour) as how:
            search_on(1, chosen, seconds=args.seconds, seed=args.seed, listen=listen, progress=p, **{**how, **more})
    except KeyboardInterrupt:
        p.interrupted = not p.findings
    report["mounts"] = {"examples": p.examples, "experiments": len(p.per_experiment)}
    if p.interrupted and not p.findings:
        raise KeyboardInterrupt
    for f in p.sorted_findings()[:1]:
        report["same"] = False
        report["difference"] = _of_finding(f, by_function)


def _of_finding(f: Finding, by_function: Functions | None) -> dict[str, Any]:
    names = []
    if by_function is not None:
        names = [g.name for g in by_function.all if g.in_c or g.in_python]
    return {"functions": names, "what": f.title, "kind": f.detector, "input": list(f.input),
            "details": f.report[:12], "how": "mounts",
            "token": f.token, "c": {"where": f.c_location or "", "line": ""}, "python": {"where": "", "line": ""}}


def _print(args: argparse.Namespace, found: Whole, report: dict[str, Any], made: bool) -> None:
    if args.json:
        print(json.dumps(report))
        return
    d = report["difference"]
    if report["same"] is None:
        print(f"{found.name}: nothing could be compared")
    elif d is not None:
        who = ", ".join(f"{n}()" for n in d["functions"]) or "a whole mount"
        print(f"{found.name}: the port does not do what the patch does: {who}: {d['what']}")
        for side, at in (("C", d["c"]), ("Python", d["python"])):
            if at["where"]:
                print(f"  {side + ':':8}{at['where']}{': ' + at['line'] if at['line'] else ''}")
        for line in d["input"]:
            print(f"  input:  {line}")
        for line in d["details"]:
            print(f"    {line}")
        if d.get("token"):
            print(f"  kemu replay {d['token']} --rung c --series {found.given}")
    else:
        said = []
        f, m = report.get("functions"), report.get("mounts")
        if f is not None:
            said.append(f"{len(f['asked'])} function{'s' if len(f['asked']) != 1 else ''} in {f['trials']} trials")
        if m is not None:
            said.append(f"{m['examples']} mounts of {m['experiments']} experiments")
        print(f"{found.name}: {SAME} ({'; '.join(said)})")
    sys.stdout.flush()
    for row in report.get("functions", {}).get("apart", ()):
        complain(f"kemu: series: diff: {row['function']}(): by whole mounts only: {row['why']}")
    for name in report.get("functions", {}).get("unreached", ()):
        complain(f"kemu: series: diff: {name}(): no input came to it")
    if made:
        complain(f"kemu: series: diff: {found.name}: it has no C patches: compared with what kemu series emit makes of it, by "
                 f"whole mounts")
