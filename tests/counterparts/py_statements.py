# SPDX-License-Identifier: GPL-2.0-only
"""The statements of a ported function, each as the set of its words; labels that undo stand where C has them, at the end."""
from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from tests.counterparts.words import BUILTINS, of_names


@dataclass(frozen=True)
class Statement:
    """One statement without its block: the line in the function's source, its first line of text, its words."""

    line: int
    text: str
    words: frozenset[str]


NAMED = ("ptr_to", "cmpxchg", "xchg", "container_of", "IS_ENABLED", "offsetof")


class _Names(ast.NodeVisitor):
    """The names of an expression. ``ptr_to(x, "field")``: what the string names is one; ``trace("x", inode=y)`` is trace_x(y);
    ``labels.goto(out, err)``
    is goto out; a namespace (``g``, a module) is none."""

    def __init__(self, namespace: Callable[[str], bool]):
        self.namespace = namespace
        self.found: list[str] = []

    def visit_Name(self, node: ast.Name) -> None:
        self.found.append(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.found.append(node.attr)
        if not (isinstance(node.value, ast.Name) and self.namespace(node.value.id)):
            self.visit(node.value)

    def visit_keyword(self, node: ast.keyword) -> None:
        self.found.append(node.arg or "")
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "goto":
            for x in node.args[:1] + [x for x in node.args[1:] if not isinstance(x, ast.Name)]:
                self.visit(x)
            return
        if name == "trace" and isinstance(node.args[0], ast.Constant):
            self.found.append(f"trace_{node.args[0].value}")
            for k in node.keywords:
                self.visit(k.value)
            return
        if name in NAMED:
            self.found += [x.value for x in node.args if isinstance(x, ast.Constant) and isinstance(x.value, str)]
        for x in (*(() if name in BUILTINS else (node.func,)), *node.args, *node.keywords):
            self.visit(x)


def _heads(s: ast.stmt) -> list[ast.AST]:
    """What of a statement is its own, and not of its block."""
    if isinstance(s, (ast.If, ast.While)):
        return [s.test]
    if isinstance(s, ast.For):
        return [s.target, s.iter]
    if isinstance(s, ast.With):
        return [x for item in s.items for x in (item.context_expr, item.optional_vars) if x is not None]
    if isinstance(s, ast.AnnAssign):
        return [s.target, s.value] if s.value is not None else []
    if isinstance(s, ast.Try):
        return [h.type for h in s.handlers if h.type is not None]
    if isinstance(s, (ast.FunctionDef, ast.ClassDef)):
        return [ast.Name(s.name)]
    if isinstance(s, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass, ast.Break, ast.Continue)):
        return []
    if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant):
        return []                                       # a docstring
    return [s]


def _target(s: ast.stmt) -> str:
    """The local that a statement assigns."""
    target = s.targets[0] if isinstance(s, ast.Assign) else s.target if isinstance(s, ast.AnnAssign) else None
    return target.id if isinstance(target, ast.Name) else ""


def _is_idiom(s: ast.stmt) -> bool:
    """``out = Labels()``; ``h = z_erofs_map_header(h)``: an address becomes a view; ``return err``: a jump, of the statement that
    it stands under.
    """
    if isinstance(s, ast.Return):
        v = s.value
        if isinstance(v, ast.Call) and isinstance(v.func, ast.Name) and v.func.id == "ERR_PTR":
            v = v.args[0]
        return isinstance(v, ast.Name)
    if (not isinstance(s, (ast.Assign, ast.AnnAssign)) or not isinstance(s.value, ast.Call)
        or not isinstance(s.value.func, ast.Name)):
        return False
    args = s.value.args
    return s.value.func.id == "Labels" or (len(args) == 1 and isinstance(args[0], ast.Name) and args[0].id == _target(s) != "")


def _is_label(s: ast.stmt) -> bool:
    return isinstance(s, ast.FunctionDef) and any(isinstance(d, ast.Attribute) and d.attr == "label" for d in s.decorator_list)


def _values(fn: ast.FunctionDef, names_of: Callable[[list[ast.AST]], list[str]]) -> dict[str, frozenset[str]]:
    """The locals that are assigned once, and the words of what they are: a switch has its value in one."""
    out: dict[str, list[frozenset[str]]] = {}
    for n in ast.walk(fn):
        if isinstance(n, ast.Assign) and len(n.targets) == 1 and isinstance(n.targets[0], ast.Name):
            out.setdefault(n.targets[0].id, []).append(of_names(names_of([n.value])))
    return {k: v[0] for k, v in out.items() if len(v) == 1 and v[0]}


def statements(fn: ast.FunctionDef, known: frozenset[str] = frozenset(),
               namespace: Callable[[str], bool] = lambda name: name == "g") -> list[Statement]:
    """The statements of a function, in C's order; those without words (``return 0``, ``break``) are of the one that they stand
    under.

    ``known``: the words of the C. A local that is not among them stands for what it was assigned.
    """
    out: list[Statement] = []
    late: list[ast.stmt] = []

    def names_of(nodes: list[ast.AST]) -> list[str]:
        visitor = _Names(namespace)
        for n in nodes:
            visitor.visit(n)
        return visitor.found

    values = {k: v for k, v in _values(fn, names_of).items() if k.rstrip("_") not in known}

    def put(s: ast.stmt) -> None:
        if _is_idiom(s):
            return
        words = of_names(names_of(_heads(s)))
        own = _target(s)
        words = frozenset().union(*(values.get(w, frozenset((w,))) if w != own else (w,) for w in words))
        if words:
            out.append(Statement(s.lineno, ast.unparse(s).split("\n")[0], words))
        for name in ("body", "handlers", "orelse", "finalbody"):
            for x in getattr(s, name, ()):
                for y in x.body if isinstance(x, ast.ExceptHandler) else (x,):
                    put(y)

    for s in fn.body:
        if _is_label(s):
            late.append(s)
        else:
            put(s)
    for s in late:
        put(s)
    return out
