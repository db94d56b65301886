# SPDX-License-Identifier: GPL-2.0-only
"""What a Python function does, in the words of the C."""
from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from functools import cache
from types import FunctionType
from typing import Any

from kemu.report.samecheck import tables
from kemu.report.samecheck.ctext import ERRNOS
from kemu.report.samecheck.events import Events


def _last(node: ast.expr) -> str:
    """The last name of an expression: ``sb.s_umount`` is s_umount, ``ptr_to(x, "lock")`` is lock."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    if isinstance(node, ast.Call):
        if node.args and isinstance(node.args[-1], ast.Constant) and isinstance(node.args[-1].value, str):
            return node.args[-1].value
        return _last(node.args[0]) if node.args else _last(node.func)
    if isinstance(node, ast.Constant):
        return str(node.value)
    return ""


@cache
def tree(fn: FunctionType) -> ast.AST | None:
    """The syntax tree of a function, without its decorators."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    return node


@cache
def function_events(fn: FunctionType) -> Events:
    """What a function does by itself."""
    ev = Events()
    node = tree(fn)
    if node is None:
        return ev
    for n in ast.walk(node):
        if isinstance(n, ast.Call):
            name = n.func.id if isinstance(n.func, ast.Name) else n.func.attr if isinstance(n.func, ast.Attribute) else ""
            lock = tables.lock_word(name)
            warn = tables.warn_word(name)
            if lock is not None:
                how, kind, what = lock
                ev.locks[how, kind, what or (_last(n.args[0]) if n.args else "")] += 1
            elif warn:
                ev.warns[warn] += 1
            elif name:
                ev.calls.add(name)
        elif (isinstance(n, ast.Name) and isinstance(resolve(fn, n.id), FunctionType) and not tables.lock_word(n.id)
              and not tables.warn_word(n.id)):
            ev.calls.add(n.id)                          # passed on, to be called
        elif isinstance(n, ast.Raise):
            ev.warns["RAISE"] += 1                      # a report of the bench itself, where the C may have BUG_ON()
        elif (isinstance(n, ast.UnaryOp) and isinstance(n.op, ast.USub) and isinstance(n.operand, ast.Name)
              and n.operand.id in ERRNOS):
            ev.errors.add(n.operand.id)
    return ev


@cache
def imported(fn: FunctionType) -> dict[str, Any]:
    """What a function imports in its body: names and what they are."""
    node = tree(fn)
    found = [n for n in ast.walk(node) if isinstance(n, ast.ImportFrom) and n.module and not n.level] if node is not None else []
    return {a.asname or a.name: getattr(importlib.import_module(str(n.module)), a.name, None) for n in found for a in n.names}


def resolve(fn: FunctionType, name: str) -> Any:
    """What a name that a function calls is."""
    own = imported(fn)
    return own[name] if name in own else fn.__globals__.get(name)
