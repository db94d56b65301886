# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series evidence``: the block for a cover letter."""
from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kemu.cli import _search, _series, _series_diff
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, CommandError
from kemu.cli.linux import say_of, tree_of
from kemu.cli.values import count, name_of_file, seconds, seed
from kemu.plugins import installed_version

if TYPE_CHECKING:                       # start-up
    from kemu.series.evidence.claims import Claim
    from kemu.series.whole import Whole


def add_arguments(p: argparse.ArgumentParser) -> None:
    """Options of ``kemu series evidence``."""
    p.add_argument("name", metavar="NAME",
                   help="a folder of patches/, a path of patches, a Python Series as MODULE[:NAME] or ./FILE.py[:NAME], or - (a "
                        "mail on standard input)")
    p.add_argument("--tree", type=name_of_file, metavar="TREE",
                   help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
    p.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="of search, for each half (60)")
    p.add_argument("--seed", type=seed, default=0, metavar="N", help="where the searches begin (0)")
    p.add_argument("--workers", type=count(1, 512), default=0, metavar="N", help="of the port's search (default: one a core)")
    p.add_argument("--build", action="store_true", help="what W=1, sparse, kernel-doc and modpost say, and other "
                                                              "configurations, and 32 bits")
    p.add_argument("--boot", action="store_true", help="boot the kernel with the series: its KUnit suites, the same "
                                                             "answers as without")
    p.add_argument("--jobs", type=count(1, 4096), default=0, metavar="N")
    p.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    """The command; its exit code: 1 if something speaks against the series."""
    from kemu.series.evidence import c, port  # start-up
    from kemu.series.evidence.claims import Evidence  # start-up

    whole = _series.of_names([args.name], "")[0]
    if whole.c is None and whole.python is None:
        raise CommandError(f"evidence: {args.name}: it has neither patches nor a Python Series", EXIT_CONFIG)
    tree = tree_of(args) if whole.c is not None else None
    out = Evidence(whole.name, installed_version("kemu"),
                   f"Linux {tree.version}" if tree is not None else "the ports of Linux 7.2")

    def say(text: str) -> None:
        if not args.quiet and not args.json:
            complain(f"kemu: series: evidence: {text}")

    if whole.python is not None:
        say(f"the port: {args.seconds:g} s")
        _search.load()
        workers = args.workers or min(4, os.cpu_count() or 1)
        out.add(port.reviewed(whole.python, _python_of(whole), args.seconds, args.seed, workers))
    else:
        out.untested.append("a port of it: it has no Python half")
    if whole.c is not None and tree is not None:
        images = [d for d in [Path.cwd() / "tests" / "data"] if d.is_dir()]
        out.add(applies := c.applies(whole.c, tree, args.name))
        if applies.holds is not False or "checkpatch" in applies.said:
            if args.build:
                say("the kernel's own checks")
                out.add(c.builds(whole.c, tree, args.name, say_of(args), args.jobs))
            say(f"the C in this process: {args.seconds:g} s of search, after its build")
            claims, untested = c.reviewed(whole.c, tree, args.name, args.seconds, args.seed, say_of(args), images)
            out.add(*claims)
            out.untested += untested
            if whole.python is not None:
                say(f"the port against the C: {args.seconds:g} s, twice")
                out.add(_same(args, whole))
            if args.boot:
                say("the booted kernel")
                from kemu.cli._images import images_of  # start-up

                out.add(c.booted(whole.c, tree, args.name, say_of(args), args.jobs, images_of([])))
    else:
        out.untested.append(f"C: it has no patches (kemu series emit {args.name} -o DIR)")
    out.untested += [text for on, text in ((args.build, "W=1, sparse, kernel-doc, other configurations, 32 bits (--build)"),
                                           (args.boot, "the booted kernel (--boot)")) if whole.c is not None and not on]
    out.untested += ["races (kemu fuzz --rung sched)", "mutants of it", "real hardware"]
    print(json.dumps(out.as_json(), indent=1) if args.json else "\n".join(out.text()))
    return EXIT_OK if out.holds else EXIT_FAILED


def _python_of(whole: Whole) -> str:
    """How the Python half alone is asked for."""
    if whole.c is None or not whole.c.python:
        return whole.given
    name, colon, which = whole.c.python.partition(":")
    if name.endswith(".py") or "/" in name:
        name = os.path.normpath(whole.c.path / name)
        name = name if name.startswith(("/", ".")) else f"./{name}"
    return name + colon + which


def _same(args: argparse.Namespace, whole: Whole) -> Claim:
    """Whether both halves do the same."""
    from kemu.series.evidence.claims import Claim, counted  # start-up

    how = argparse.Namespace(**{**vars(args), "c": None, "mounts_only": False, "functions_only": False, "images": [],
                                "flavour": "plain"})
    report = _series_diff.compare(how, whole, False)
    functions, mounts = report.get("functions") or {}, report.get("mounts") or {}
    counts = {"functions": len(functions.get("asked", ())), "trials": functions.get("trials", 0),
              "mounts": mounts.get("examples", 0)}
    said = (f"{_series_diff.SAME}: {counted(counts['functions'], 'function')} in {counted(counts['trials'], 'trial')}, "
            f"{counted(counts['mounts'], 'whole mount')}" if report["same"] else
            f"the port does not do what the patch does: {report['difference']['what']}")
    return Claim("same", said, f"kemu series diff {args.name} --seconds {args.seconds:g}", bool(report["same"]), counts)
