# SPDX-License-Identifier: GPL-2.0-only
"""The functions that either half of a series changes or brings: the C of the patches, and the Python that stands for each."""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

from kemu.machine.series import Series
from kemu.machine.stack import stack_of
from kemu.report.csource import CFunction, find_function
from kemu.series.emit import source
from kemu.series.emit.finding import home
from kemu.series.emit.ports import modules
from kemu.series.emit.source import Ported

HERE = {"kemu"}                        # of a Series' packages: those that are no ports


@dataclass
class Function:
    """One function. ``c``, ``c_before``: with the patches and without them, None where it is not there; ``python``,
    ``python_before``: likewise; ``where``: the module of its Python.
    """

    name: str
    path: str = ""
    c: CFunction | None = None
    c_before: CFunction | None = None
    python: Ported | None = None
    python_before: Ported | None = None

    @property
    def in_c(self) -> bool:
        """Whether the patches change it."""
        return _text(self.c) != _text(self.c_before)

    @property
    def in_python(self) -> bool:
        """Whether the Series changes it."""
        return self.python is not self.python_before


def _text(f: CFunction | None) -> str:
    return f.text if f is not None else ""


def functions(series: Series, tree: Path, files: dict[str, str]) -> list[Function]:
    """All of them, by file and name. ``files``: what the patches make of the files that they touch."""
    out: dict[str, Function] = {}
    after = {p: text for p, text in files.items() if p.endswith((".c", ".h"))}
    before = {p: (tree / p).read_text(errors="replace") if (tree / p).is_file() else "" for p in after}
    for path, text in after.items():
        for name in sorted(_names(text) | _names(before[path])):
            f = Function(name, path, find_function(text, name), find_function(before[path], name))
            if f.in_c and not any(g is not None and g.text.startswith("#") for g in (f.c, f.c_before)):
                out.setdefault(name, f)
    ports = {p.name: p for package in series.packages if package not in HERE for m in modules(package) for p in m.ports}
    said = {w for c in series.changes for h in c.hunks for w in re.findall(r"\w+", h[1])}
    for name, now, was in _of_series(series):
        if was is None and name not in out and name not in said:
            continue                    # of the module itself, for itself
        f = out.setdefault(name, Function(name))
        f.python, f.python_before = now, was
        f.path = f.path or now.path
    for f in out.values():
        if f.python is None and f.name in ports:
            f.python = f.python_before = ports[f.name]
            f.path = f.path or ports[f.name].path
        if f.c is None and f.path:
            text = after.get(f.path) or ((tree / f.path).read_text(errors="replace") if (tree / f.path).is_file() else "")
            f.c = find_function(text, f.name)
            f.c_before = find_function(before.get(f.path, text), f.name)
    return sorted(out.values(), key=lambda f: (f.path, f.name))


def _names(text: str) -> set[str]:
    return set(re.findall(r"^[A-Za-z_][^\n;={}#]*?\b(\w+)\s*\([^;]*?$", text, re.M))


def _of_series(series: Series) -> Iterator[tuple[str, Ported, Ported | None]]:
    """(C name, its Python now, its Python before) of all that a Series changes, and of the functions of its own module."""
    mine = home(series)
    done: set[str] = set()
    for chain in {id(c): c for c in stack_of([series]).chains.values()}.values():
        root = chain.root
        if not isinstance(root, FunctionType) or not chain.versions:
            continue
        m = source.module(root.__module__)
        port = next((p for p in m.ports if p.node.name == root.__name__), None) if m is not None else None
        if m is None or port is None:
            continue
        last = chain.versions[-1]
        if last.text is not None:
            edited = source.edited(m, root.__name__, last.text, source.renamed(mine, series))
            now = next(p for p in edited.ports if p.name == port.name)
        else:
            node = mine.functions.get(last.value.__name__)
            if node is None:
                continue
            done.add(node.name)
            now = Ported(port.path, port.name, node, mine)
        yield port.name, now, port
    for name, node in mine.functions.items():
        if name not in done:
            yield name, Ported("", name, node, mine), None


def compared(all_: Sequence[Function]) -> list[Function]:
    """Those that both sides have: the others are looked into by whole mounts only."""
    return [f for f in all_ if f.c is not None and f.python is not None and "{" in f.c.text]
