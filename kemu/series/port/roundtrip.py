# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series port --ports``: every ported function written again from its C by rule, and run in the port's place."""
from __future__ import annotations

import ast
import importlib
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from kemu.explore.experiment import Experiment, load_entry_points
from kemu.explore.run import Outcome, execute
from kemu.explore.source import SeedSource
from kemu.machine.hunks import SeriesError
from kemu.machine.hunks import source as text_of
from kemu.machine.series import Series
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.tree import Tree
from kemu.series.emit.expressions import Expressions
from kemu.series.emit.ports import Bench, modules
from kemu.series.emit.report import objects_of
from kemu.series.emit.scope import Scope
from kemu.series.own import experiments_of
from kemu.series.port.function import NoPython, Ported, translate
from kemu.series.port.names import Names

EACH = 6                                # examples that a function is asked with
SEEDS = 3                               # of each experiment


@dataclass
class Row:
    """One function. ``why``: what keeps it from being whole; ``verdict``: equal, different, unreached, or "" if not asked."""

    path: str
    name: str
    module: str
    python: str = ""
    text: str = ""
    needed: dict[str, tuple[str, str]] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    verdict: str = ""
    said: str = ""

    @property
    def whole(self) -> bool:
        """Whether rules translate all of it."""
        return bool(self.text) and not self.why


def of_package(package: str, tree: Tree, names: Collection[str] = (), say: Say = nothing) -> list[Row]:
    """Every ported function whose C the configuration has."""
    objects = objects_of(tree, say)
    out = []
    with tempfile.TemporaryDirectory(prefix="kemu-port-") as folder:
        bench = Bench(tree.path, objects, Path(folder))
        for m in modules(package):
            for p in m.ports:
                if names and p.name not in names:
                    continue
                c = bench.original(p.path, p.name)
                d = bench.declarations(p.path)
                if c is None or "{" not in c.text or c.text.startswith("#") or d.type_of(p.name) is None:
                    continue
                row = Row(p.path, p.name, m.name, p.node.name)
                mine = Names((package,), m.name)
                try:
                    made = translate(c.text, p.name, d, mine, Expressions(Scope(d, m, near=p.path)), c.line)
                    row.text, row.needed = made.text, mine.needed
                    _alike(made, p.node)
                    row.why = [f"{p.path}:{w.line}: {w.c[:70]} ({w.why})" for w in made.missing]
                    compile(made.text, p.name, "exec")
                except (NoPython, SyntaxError) as e:
                    row.why = [str(e)]
                out.append(row)
    return out


def _alike(made: Ported, node: ast.FunctionDef) -> None:
    """A port that has other parameters than its C, or gives more, is called otherwise, too."""
    head = ast.parse(made.text).body[0]
    assert isinstance(head, ast.FunctionDef)
    if len(head.args.args) != len(node.args.args):
        raise NoPython(f"{made.name}() has other parameters in Python")
    if node.returns is not None and ast.unparse(node.returns).startswith("tuple"):
        raise NoPython(f"{made.name}() gives more than one thing in Python")


def ask(rows: list[Row], package: str, say: Say = nothing) -> None:
    """Which of the whole ones do as the port does: experiments that reach them, with each in its place."""
    load_entry_points()
    some = [e for e in experiments_of([Series("port", (package,))]) if "." in e.name]
    by_code = {getattr(importlib.import_module(r.module), r.python).__code__: r for r in rows if r.whole}
    base: dict[tuple[str, int], tuple[Outcome, set[str]]] = {}
    runs: list[tuple[Experiment, int]] = [(e, seed) for seed in range(SEEDS) for e in some]
    for e, seed in runs:
        with _reached(by_code) as seen:
            outcome = execute(e, SeedSource(seed), detect=False)
        base[e.name, seed] = outcome, {r.name for r in seen}
    say(f"{len(runs)} examples")
    for row in rows:
        if row.whole:
            row.verdict, row.said = _judged(row, package, [(e, s) for e, s in runs if row.name in base[e.name, s][1]], base)


def _judged(row: Row, package: str, runs: list[tuple[Experiment, int]],
            base: dict[tuple[str, int], tuple[Outcome, set[str]]]) -> tuple[str, str]:
    if not runs:
        return "unreached", ""
    original = getattr(importlib.import_module(row.module), row.python)
    given = {n: _value(mod, there) for n, (mod, there) in row.needed.items()}
    try:
        series = Series(f"again-{row.name}", (package,))
        series.edits(original, (text_of(original), _named(row)), names=given)
        for e, seed in runs[::max(1, len(runs) // EACH)][:EACH]:
            was = base[e.name, seed][0]
            now = execute(e, SeedSource(seed), detect=False, series=(series,))
            if _told(was) != _told(now):
                return "different", f"{e.name}, seed {seed}: {now.finding.title if now.finding else 'another behaviour'}"
    except SeriesError as e:
        return "different", str(e)
    return "equal", ""


def _named(row: Row) -> str:
    return row.text.replace(f"def {row.name}(", f"def {row.python}(", 1) + "\n"


def _value(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _told(o: Outcome) -> tuple[str, frozenset[str]]:
    return (o.finding.title if o.finding else ""), frozenset(o.behaviour)


@contextmanager
def _reached(by_code: dict[CodeType, Row]) -> Iterator[list[Row]]:
    """The functions that are called meanwhile, in any task."""
    seen: dict[int, Row] = {}

    def note(frame: FrameType, event: str, arg: object) -> None:
        row = by_code.get(frame.f_code) if event == "call" else None
        if row is not None:
            seen[id(row)] = row

    out: list[Row] = []
    old = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield out
    finally:
        sys.setprofile(old)
        threading.setprofile(None)      # type: ignore[arg-type]
        out += seen.values()


Told = Callable[[str], None]
