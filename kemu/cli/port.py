# SPDX-License-Identifier: GPL-2.0-only
"""``kemu port``: the ported functions, beside their C, and what has drifted."""
from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kemu import base
from kemu.cli import _series
from kemu.cli.common import EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from kemu.cli.values import name_of_file
from kemu.report import ports
from kemu.report.beside import beside
from kemu.report.csource import pin

HELP = "list the ported functions, show one beside its C, or what has changed in a newer tree"
PIN_WORDS = {"": "not pinned", ports.NO_FUNCTION: "no function"}


def default_tree() -> Path:
    """The tree that ``kemu linux fetch`` puts into the cache."""
    return base.tree()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu port``."""
    parser.add_argument("action", choices=["list", "diff", "drift", "rebase", "pin", "check"])
    parser.add_argument("function", nargs="?", help="diff, rebase, check: the C function")
    parser.add_argument("--all", action="store_true", help="list: what says @dup too; check: what is explained too")
    parser.add_argument("--check", action="store_true", help="rebase: exit code 1 if anything is to be done")
    parser.add_argument("--tree", type=name_of_file, metavar="TREE", help="kernel tree (default: the one in the cache)")
    _series.add_series_arguments(parser, tree=False)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _tree(args: argparse.Namespace) -> Path:
    tree = Path(args.tree) if args.tree else default_tree()
    if not (tree / "Makefile").is_file():
        raise CommandError(f"{tree} is no kernel tree; give one with --tree, or run: kemu linux fetch", EXIT_CONFIG)
    return tree


def _state(p: ports.Ported | ports.Cited, tree: Path) -> str:
    """What has become of the C in a tree; empty if it is what the port was written from."""
    fn = ports.c_function(tree, p)
    if p.hash == ports.NO_FUNCTION:
        return "" if fn is None else "a function"
    return "gone" if fn is None else "not pinned" if not p.hash else "changed" if pin(fn.text) != p.hash else ""


def _list(args: argparse.Namespace) -> int:
    rows = ports.ported()
    tree = _tree(args) if args.tree else None           # then: what it has of each
    states = {p: _state(p, tree) for p in rows if not p.posted} if tree else {}
    if args.json:
        print(json.dumps([{"path": p.path, "c_name": p.c_name, "module": p.module, "name": p.name, "hash": p.hash,
                           "posted": p.posted,
                           **({"state": states.get(p, "")} if tree else {})} for p in rows]))
        return EXIT_OK
    last = ""
    for p in rows:
        if p.path != last:
            print(("\n" if last else "") + p.path)
            last = p.path
        print(f"  {p.c_name:<44} {p.hash or ('posted ' + p.posted if p.posted else 'not pinned'):<18} {p.module}"
              + (f"  ({states[p]})" if states.get(p) else ""))
    print(f"\n{len(rows)} functions, {len({p.path for p in rows})} files"
          + (f"; {sum(map(bool, states.values()))} are not so in {tree}" if tree else ""))
    dups = ports.cited()
    if args.all:
        for d in dups:
            print(f"  @dup {d.path + ': ' + d.c_name:<70} {PIN_WORDS.get(d.hash, d.hash):<14} {d.module}")
    n = sum(d.hash not in ("", ports.NO_FUNCTION) for d in dups)
    loose = sum(not d.hash for d in dups)
    print(f"{len(dups)} more symbols say @dup: {n} pinned, {len(dups) - n - loose} whose C is a type, a constant or a table, "
          f"{loose} not pinned")
    return EXIT_OK


def _find(name: str) -> ports.Ported | ports.Cited:
    rows: list[ports.Ported | ports.Cited] = [*ports.ported(), *ports.cited()]
    hits = [p for p in rows if name in (p.c_name, p.name)]
    if not hits:
        near = sorted({p.c_name for p in rows if name.lower() in p.c_name.lower()})[:5]
        raise CommandError(f"no port of {name!r}" + (f"; near: {', '.join(near)}" if near else "; kemu port list shows all"))
    return hits[0]


def _diff_of_series(args: argparse.Namespace) -> int:
    """Functions of a stack beside the C of its C half; without a function a line for each that is changed."""
    from kemu.rung.uml.errors import RungError  # start-up
    from kemu.series.beside import Beside, Pair  # start-up

    stack = _series.stack_of(args)
    if args.base:
        args.tree = None                        # it has the branch already
    try:
        beside_ = Beside(stack, _tree(args))
    except RungError as e:
        raise CommandError(f"--series: {e}", EXIT_CONFIG) from None

    def row(p: Pair) -> dict[str, Any]:
        return {"function": p.name, "path": p.path, "c": asdict(p.c), "python": asdict(p.python)}

    if not args.function:
        if args.json:
            print(json.dumps([row(p) for p in beside_.pairs()]))
            return EXIT_OK
        for p in beside_.pairs():
            told = [f"+{h.counted()[0]} -{h.counted()[1]}" if h.changed else "as it is" if h.where else "none"
                    for h in (p.c, p.python)]
            print(f"{p.name:<40} C {told[0]:<10} Python {told[1]:<10} {p.c.where or p.path or '-':<34} {p.python.where}".rstrip())
        return EXIT_OK
    found = beside_.find(args.function)
    if found is None:
        names = ", ".join(p.name for p in beside_.pairs()[:12])
        raise CommandError(f"{' and '.join(w.name for w in stack)} leaves {args.function!r} as it is; what it changes or brings: "
                           f"{names or 'nothing'}")
    if args.json:
        print(json.dumps(row(found)))
        return EXIT_OK
    width = max(40, (shutil.get_terminal_size((160, 40)).columns - 3) // 2)
    no_c = "no C half" if all(w.c is None for w in stack) else "not in the C half"
    no_python = "no Python half" if all(w.python is None for w in stack) else "not in the Python half"
    print(f"{found.c.where or no_c:<{width}} | {found.python.where or no_python}")
    for line in beside(list(found.c.lines()), list(found.python.lines()), width):
        print(line)
    return EXIT_OK


def _diff(args: argparse.Namespace) -> int:
    if args.series or args.base:
        return _diff_of_series(args)
    if not args.function:
        raise CommandError("diff needs the name of a C function", EXIT_USAGE)
    tree, p = _tree(args), _find(args.function)
    fn = ports.c_function(tree, p)
    if fn is None:
        raise CommandError(f"{p.c_name} is not in {p.path} of {tree}")
    text, line = ports.python_source(p)
    if args.json:
        print(json.dumps({"c": fn.text, "c_line": fn.line, "path": p.path, "python": text, "python_line": line,
                          "module": p.module,
                          "drifted": bool(p.hash) and pin(fn.text) != p.hash}))
        return EXIT_OK
    left = [ln.expandtabs(4) for ln in fn.text.splitlines()]
    right = text.splitlines()
    width = max(40, (shutil.get_terminal_size((160, 40)).columns - 3) // 2)
    print(f"{p.path + ':' + str(fn.line):<{width}} | {p.module}:{line}")
    for row in beside(left, right, width):
        print(row)
    return EXIT_OK


def _drift(args: argparse.Namespace) -> int:
    tree = _tree(args)
    changed: list[dict[str, Any]] = []
    checked = 0
    rows: list[ports.Ported | ports.Cited] = [*ports.ported(), *ports.cited()]
    for p in rows:
        if p.posted:
            continue
        checked += 1
        state = _state(p, tree)
        if state:
            changed.append({"path": p.path, "function": p.c_name, "state": state, "module": p.module})
    if args.json:
        print(json.dumps({"checked": checked, "drift": changed}))
    else:
        for c in changed:
            print(f"{c['state']:<11} {c['path']}: {c['function']}")
        print(f"{checked} functions checked against {tree}, {len(changed)} drifted")
    return EXIT_FAILED if changed else EXIT_OK


def _pin(args: argparse.Namespace) -> int:
    n, missing = ports.write_pins(_tree(args))
    for p in missing:
        print(f"not found  {p.path}: {p.c_name} ({p.module})")
    print(f"{n} functions pinned")
    return EXIT_FAILED if missing else EXIT_OK


def _check(args: argparse.Namespace) -> int:
    from kemu.report.samecheck import compare, known  # start-up

    tree = _tree(args)
    checker = compare.Checker(tree)
    subjects = compare.subjects()
    if args.function:
        _find(args.function)                    # one that is not ported is an error, with the names that are near
    found = [d for s in subjects for d in checker.compare(s)]
    v = known.judge(found)
    if args.function:
        names = (args.function,)
        v.explained = [(d, why) for d, why in v.explained if d.c_name in names or d.name in names]
        v.open = [d for d in v.open if d.c_name in names or d.name in names]
        v.new = [d for d in v.new if d.c_name in names or d.name in names]
    if args.json:
        rows = [{**asdict(d), "kind": d.kind, "state": "explained", "reason": why} for d, why in v.explained]
        rows += ([{**asdict(d), "kind": d.kind, "state": "open"} for d in v.open]
                 + [{**asdict(d), "kind": d.kind, "state": "new"} for d in v.new])
        print(json.dumps({"checked": len(subjects), "differences": rows, "stale": v.stale}))
        return EXIT_FAILED if v.new or v.stale else EXIT_OK
    if args.all or args.function:
        for d, why in v.explained:
            print(f"explained   {d.path}: {d.c_name}: {d.what}: {why}")
        for d in v.open:
            print(f"open        {d.path}: {d.c_name}: {d.what} ({d.module}.{d.name})")
    for d in v.new:
        print(f"unexplained {d.path}: {d.c_name}: {d.what} ({d.module}.{d.name}{', by ' + d.via if d.via else ''})")
    for line in v.stale:
        print(f"stale       {line}")
    kinds = Counter(d.kind for d in v.open)
    words = ", ".join(f"{kinds[k]} {k}" for k in sorted(kinds)) or "none"
    print(f"{len(subjects)} functions compared with {tree}: {len(v.new)} unexplained differences, {len(v.explained)} explained, "
          f"{len(v.open)} open ({words}), {len(v.stale)} stale lines")
    return EXIT_FAILED if v.new or v.stale else EXIT_OK


def run(args: argparse.Namespace) -> int:
    """``kemu port``; its exit code."""
    if (args.series or args.base) and args.action != "diff":
        raise CommandError(f"--series: {args.action} takes none; diff does", EXIT_USAGE)
    if args.check and args.action != "rebase":
        raise CommandError(f"--check: {args.action} takes none; rebase does", EXIT_USAGE)
    if args.function is not None and args.action not in ("diff", "rebase", "check"):
        raise CommandError(f"{args.action} takes no function: {args.function!r}", EXIT_USAGE)
    if args.action == "rebase":
        from kemu.cli import _rebase  # start-up

        return _rebase.run(args, default_tree())
    return {"list": _list, "diff": _diff, "drift": _drift, "pin": _pin, "check": _check}[args.action](args)
