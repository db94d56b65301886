# SPDX-License-Identifier: GPL-2.0-only
"""Python modules as they are written: ported functions and what C file and name each is of, constants, imports, comments."""
from __future__ import annotations

import ast
import importlib.util
import io
import re
import sys
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kemu.machine.series import Series


@dataclass
class Ported:
    """One ported function: where its C is, and its Python."""

    path: str
    name: str
    node: ast.FunctionDef
    module: Module


@dataclass
class Module:
    """One module. ``constants``: names that are given a value once, at its top; ``imports``: name -> (module, name there or
    empty); ``comments``: line -> what stands behind its ``#``, and whether it stands alone.
    """

    name: str
    path: Path
    tree: ast.Module
    text: str
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    ports: list[Ported] = field(default_factory=list)
    comments: dict[int, tuple[str, bool]] = field(default_factory=dict)


@cache
def module(name: str) -> Module | None:
    """The source of a module that can be imported; None for others."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return read(name, Path(spec.origin))


def read(name: str, path: Path) -> Module:
    """A module from its file."""
    return of_text(name, path, path.read_text())


def of_text(name: str, path: Path, text: str) -> Module:
    """A module from its text."""
    out = Module(name, path, ast.parse(text), text)
    for node in out.tree.body:
        _read_node(out, node)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[:token.start[1]].strip()
            out.comments[token.start[0]] = (token.string.lstrip("#").strip(), alone)
    return out


def _read_node(out: Module, node: ast.stmt) -> None:
    if isinstance(node, ast.FunctionDef):
        out.functions[node.name] = node
        for decorator in node.decorator_list:
            of = _port_of(out, decorator)
            if of:
                out.ports.append(Ported(*of, node, out))
    elif isinstance(node, ast.ClassDef):
        out.classes[node.name] = node
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            name = f"*{node.module}" if alias.name == "*" else alias.asname or alias.name
            out.imports[name] = (node.module, alias.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            out.imports[alias.asname or alias.name] = (alias.name, "")
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        out.constants[node.targets[0].id] = node.value
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        out.constants[node.target.id] = node.value


def edited(m: Module, name: str, text: str, names: Mapping[str, str] | None = None) -> Module:
    """A module with another text of one of its functions. ``names``: what that text calls otherwise than C does."""
    lines = m.text.split("\n")
    node = m.functions[name]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    new = re.sub(r"\w+", lambda w: names.get(w[0], w[0]), text) if names else text
    lines[first - 1:node.end_lineno] = new.rstrip("\n").split("\n")
    return of_text(m.name, m.path, "\n".join(lines))


def renamed(m: Module, series: Series) -> dict[str, str]:
    """What hunks of a Series call by another name than its module does: a name of ``names=`` -> that."""
    mod = sys.modules.get(m.name)
    there = {id(v): n for n, v in vars(mod).items()
             if n in m.functions or n in m.classes or n in m.constants} if mod else {}
    return {n: there[id(v)] for c in series.changes for n, v in c.names.items() if there.get(id(v), n) != n}


def posted_files(m: Module) -> dict[str, str]:
    """The C file of each function of a mail, where the module says so (``@port_of(..., posted=...)``)."""
    return {name: str(a.value) for name, f in m.functions.items() for d in f.decorator_list
            if isinstance(d, ast.Call) and any(k.arg == "posted" for k in d.keywords) and d.args
            for a in [m.constants.get(d.args[0].id) if isinstance(d.args[0], ast.Name) else d.args[0]]
            if isinstance(a, ast.Constant) and str(a.value).endswith(".c")}


def new_file(m: Module, tree: Path) -> str:
    """The C file that most of these are in and that the tree has not; empty if there is none."""
    paths = [p for p in posted_files(m).values() if not (tree / p).exists()]
    return max(set(paths), key=lambda p: (paths.count(p), p)) if paths else ""


def _port_of(out: Module, decorator: ast.expr) -> tuple[str, str] | None:
    """(path, C name); None for another decorator, and for a port of a mail."""
    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "port_of"):
        return None
    if decorator.keywords:
        return None
    words = [out.constants.get(a.id) if isinstance(a, ast.Name) else a for a in decorator.args]
    values = [w.value for w in words if isinstance(w, ast.Constant)]
    return (str(values[0]), str(values[1])) if len(values) == 2 else None

