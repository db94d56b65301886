# SPDX-License-Identifier: GPL-2.0-only
"""``kemu port rebase``: what a newer tree has changed under the ports, and where in the port that stands."""
from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from kemu.report.rebase.compared import CHANGED, GONE, MOVED, NEW, Change, Ports, compared, stale
from kemu.report.terminal import fitted, width_of


def run(args: argparse.Namespace, old: Path) -> int:
    """The command; its exit code: 1 with --check if there is anything to be done."""
    if not args.tree:
        raise CommandError("rebase needs the newer tree: --tree", EXIT_USAGE)
    new = Path(args.tree)
    for tree in (new, old):
        if not (tree / "Makefile").is_file():
            raise CommandError(f"{tree} is no kernel tree" + ("" if tree == new else "; run: kemu linux fetch"), EXIT_CONFIG)
    other = stale(old)
    if other:
        raise CommandError(f"{old} is not what the ports were written from: {other} functions are pinned to other C", EXIT_CONFIG)
    changes = compared(old, new, Ports())
    if args.function:
        changes = [c for c in changes if c.name == args.function]
        if not changes:
            raise CommandError(f"{args.function}: nothing that a port has, and that is not the same in {new}")
    if args.json:
        print(json.dumps({"old": str(old), "new": str(new), "changes": [asdict(c) | {"by_rule": c.by_rule} for c in changes]}))
    else:
        _print(changes, bool(args.function), old, new)
    return EXIT_FAILED if args.check and changes else EXIT_OK


def _print(changes: list[Change], whole: bool, old: Path, new: Path) -> None:
    last, width = "", width_of(sys.stdout)
    for c in changes:
        if c.path != last:
            print(("\n" if last else "") + c.path)
            last = c.path
        name = c.name if c.kind == "function" else f"{c.kind} {c.name}"
        for row in fitted([f"  {c.state:<8} {name}: {'; '.join(_words(c))}"], width):
            print(row)
        for line in c.lines if whole else ():
            print(f"    {line.sign} {line.number:>5}  {line.text.expandtabs(4)}")
            if line.place:
                print(f"{'':<13}{line.place}")
    for row in fitted([_summary(changes, old, new)], width):
        print(row)


def _words(c: Change) -> list[str]:
    callers = f"called by {', '.join(c.callers[:3])}{', ...' if len(c.callers) > 3 else ''}" if c.callers else ""
    return [w for w in (f"{c.how}: {c.what}" if c.how and c.what else c.how or c.what, c.port or "no port", callers) if w]


def _summary(changes: list[Change], old: Path, new: Path) -> str:
    functions = [c for c in changes if c.kind == "function" and c.state == CHANGED and c.port]
    states = Counter(c.state for c in changes)
    others = sum(c.kind != "function" and c.state == CHANGED for c in changes)
    loose = sum(c.state == CHANGED and not c.port and bool(c.callers) for c in changes)
    return (f"{new.name} against {old.name}: {len(functions)} functions with a port changed, {sum(c.by_rule for c in functions)} "
            f"of them mechanically; {others} structures, macros and tables changed; {states[NEW]} new, "
            f"{states[GONE]} gone, {states[MOVED]} moved; {loose} without a port that a ported one calls")
