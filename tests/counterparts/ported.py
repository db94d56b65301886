# SPDX-License-Identifier: GPL-2.0-only
"""The ported functions, each with its C and its Python, and what of the Python has no counterpart."""
from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from kemu.linux.port import honesty
from kemu.machine.statics import Statics
from kemu.report import ports
from kemu.report.samecheck import ctext
from tests.counterparts import c_statements, py_statements
from tests.counterparts.align import without

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PACKAGES = ("kemu.linux", "erofs_memback", "initramfs", "cramfs")


@dataclass(frozen=True)
class Comparison:
    """One ported function: how many statements it has, and those that its C has not."""

    port: honesty.Port
    statements: int
    without: tuple[py_statements.Statement, ...]


def load() -> list[honesty.Port]:
    """Every ported function of the packages, examples/cramfs among them, sorted by C file and name."""
    sys.path.append(str(EXAMPLES / "cramfs"))
    try:
        ports.load_packages(PACKAGES)
    finally:
        sys.path.remove(str(EXAMPLES / "cramfs"))
    found = {p for p in honesty.ports if p.module.startswith(tuple(x + "." for x in PACKAGES))}
    return sorted(found, key=lambda p: (p.path, p.c_name, p.module, p.name))


@cache
def module_tree(module: str) -> ast.Module:
    """The syntax tree of a module's file."""
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def python_of(p: honesty.Port) -> ast.FunctionDef | None:
    """The definition that is tagged; None if it is a class or made by a call."""
    for node in ast.walk(module_tree(p.module)):
        if isinstance(node, ast.FunctionDef) and node.name == p.name and any(_tags(d, p) for d in node.decorator_list):
            return node
    return None


def _tags(decorator: ast.expr, p: honesty.Port) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "port_of" \
        and len(decorator.args) > 1 and isinstance(decorator.args[1], ast.Constant) and decorator.args[1].value == p.c_name


def compare_texts(c: str, python: str) -> list[py_statements.Statement]:
    """The statements of a Python function that a C function has not."""
    fn = ast.parse(textwrap.dedent(python)).body[0]
    assert isinstance(fn, ast.FunctionDef)
    return _compare(c, fn, "kemu.linux.port.goto")[1]


def _compare(c: str, fn: ast.FunctionDef, module: str) -> tuple[int, list[py_statements.Statement]]:
    beside = c_statements.statements(c)
    has = vars(importlib.import_module(module))

    def namespace(name: str) -> bool:
        return name == "g" or isinstance(has.get(name), (ModuleType, Statics))

    py = py_statements.statements(fn, frozenset().union(*beside), namespace)
    return len(py), [py[i] for i in without([s.words for s in py], beside)]


def compare(p: honesty.Port, tree: Path) -> Comparison | None:
    """One function; None if its C is not in the tree (it is of a posted mail) or the Python is no function."""
    c, fn = ctext.function(tree / p.path, p.c_name), python_of(p)
    if p.posted or not c or fn is None:
        return None
    n, missing = _compare(c, fn, p.module)
    return Comparison(p, n, tuple(missing))
