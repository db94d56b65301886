# SPDX-License-Identifier: GPL-2.0-only
"""What the halves of a stack make of functions, side by side: the C before and after, the Python before and after."""
from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

from kemu.machine.hunks import SeriesError, source
from kemu.machine.places import all_modules, holds
from kemu.machine.stack import stack_of
from kemu.report import ports
from kemu.report.csource import find_function
from kemu.rung.uml.patches import apply_patches
from kemu.rung.uml.tree import Tree
from kemu.series.whole import Whole


@dataclass
class Half:
    """One function in one language: "" where it is not there."""

    where: str = ""             # file:line, module
    before: str = ""
    after: str = ""

    @property
    def changed(self) -> bool:
        """Whether the series changes it."""
        return self.before != self.after

    def counted(self) -> tuple[int, int]:
        """Lines that come, and lines that go."""
        rows = list(self.lines())
        return sum(r.startswith("+") for r in rows), sum(r.startswith("-") for r in rows)

    def lines(self) -> Iterator[str]:
        """The whole function, with + and - before what comes and goes."""
        for row in difflib.ndiff(self.before.expandtabs(4).splitlines(), self.after.expandtabs(4).splitlines()):
            if not row.startswith("?"):
                yield row.rstrip()


@dataclass
class Pair:
    """A function by its C name."""

    name: str
    path: str = ""
    c: Half = field(default_factory=Half)
    python: Half = field(default_factory=Half)


class Beside:
    """The functions that a stack changes or brings."""

    def __init__(self, stack: Sequence[Whole], tree: Path):
        self._tree = tree
        self._pairs: dict[str, Pair] = {}
        self._ported = {(p.module, p.name): p for p in ports.ported()}
        self._of_python([w for w in stack if w.python is not None])
        self._of_c([w for w in stack if w.c is not None])
        self._as_it_is()

    def pairs(self) -> list[Pair]:
        """All of them, by C file and name."""
        return sorted(self._pairs.values(), key=lambda p: (p.path or "~", p.name))

    def find(self, name: str) -> Pair | None:
        """One of them, by its name in C or in Python."""
        return next((p for p in self.pairs() if name == p.name or name == p.python.where.rpartition(":")[2]), None)

    # ------------------------------------------------------------ the Python half

    def _of_python(self, stack: Sequence[Whole]) -> None:
        series = [w.python for w in stack if w.python is not None]
        if not series:
            return
        made = stack_of(series)
        chains = {id(c): c for c in made.chains.values()}
        for chain in chains.values():
            name = getattr(chain.root, "__name__", "")
            if name and chain.versions:
                before = _text(chain.root)
                after = chain.versions[-1].text or _text(chain.value)
                self._note(chain.root.__module__, name, before, after)
        changed = {id(v.value) for c in chains.values() for v in c.versions}
        for mod in all_modules():
            if any(holds(mod, s) for s in series):
                for name, value in vars(mod).items():
                    if isinstance(value, FunctionType) and value.__module__ == mod.__name__ and id(value) not in changed:
                        self._note(mod.__name__, name, "", _text(value))

    def _note(self, module: str, name: str, before: str, after: str) -> None:
        port = self._ported.get((module, name))
        p = self._pairs.setdefault(port.c_name if port else name, Pair(port.c_name if port else name, port.path if port else ""))
        p.python = Half(f"{module}:{name}", before, after)

    def _as_it_is(self) -> None:
        """The port of what only the C changes."""
        for port in self._ported.values():
            p = self._pairs.get(port.c_name)
            if p is not None and not p.python.where and port.path == p.path and not port.posted:
                text = _text(getattr(importlib.import_module(port.module), port.name, None))
                p.python = Half(f"{port.module}:{port.name}", text, text)

    # ------------------------------------------------------------ the C half

    def _of_c(self, stack: Sequence[Whole]) -> None:
        patches = [p for w in stack if w.c is not None for p in w.c.patches]
        files = apply_patches(Tree(self._tree), patches) if patches else {}
        texts = {rel: (_read(self._tree / rel), (data or b"").decode(errors="replace")) for rel, data in files.items()
                 if rel.endswith((".c", ".h"))}
        for rel, (before, after) in texts.items():
            for name in _functions(before) | _functions(after):
                half = _half(rel, name, before, after)
                if half.changed:
                    p = self._pairs.setdefault(name, Pair(name))
                    p.path, p.c = rel, half
        for p in self._pairs.values():
            if not p.c.where and p.path:
                text = _read(self._tree / p.path)
                p.c = _half(p.path, p.name, *texts.get(p.path, (text, text)))


def _functions(text: str) -> set[str]:
    """Names of what may be functions of a C file: words before a bracket in a line that is not indented."""
    return set(re.findall(r"^[A-Za-z_][^\n;={}#]*?\b(\w+)\s*\([^;]*?$", text, re.M))


def _half(rel: str, name: str, before: str, after: str) -> Half:
    a, b = find_function(before, name), find_function(after, name)
    line = (b or a).line if b or a else 0           # type: ignore[union-attr]
    return Half(f"{rel}:{line}" if line else "", a.text if a else "", b.text if b else "")


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _text(value: Any) -> str:
    try:
        return source(value)
    except (SeriesError, OSError, TypeError):
        return inspect.getdoc(value) or repr(value)
