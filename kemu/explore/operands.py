# SPDX-License-Identifier: GPL-2.0-only
"""What an expression that Python refused was about: the values of its operands, where it failed.

A NULL pointer is None here, and an error pointer an int: a member of them, a subscript, a call or a sum raises AttributeError or
TypeError. Which of the values it was is read from the frame that failed, at the place that its code object gives; nothing is
called to find it.
"""
from __future__ import annotations

import ast
import inspect
import itertools
import linecache
from functools import lru_cache
from types import MemberDescriptorType, TracebackType
from typing import Any

UNKNOWN = object()          # a value that is gone: what a call had returned


def operands(exc: BaseException) -> list[Any]:
    """The values that the failing expression used; the first is the one that it was done to. Empty if its place is not known."""
    if isinstance(exc, AttributeError) and exc.name is not None:
        return [exc.obj]
    tb = exc.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    node = _node(tb) if tb is not None else None
    if tb is None or node is None:
        return []
    names = {**tb.tb_frame.f_builtins, **tb.tb_frame.f_globals, **tb.tb_frame.f_locals}
    if isinstance(node, ast.Attribute) and not isinstance(exc, AttributeError):
        return [_value(node, names)]                            # what is iterated over, or unpacked
    return [_value(x, names) for x in _parts(node)]


def is_null(exc: BaseException) -> bool:
    """Whether NULL was used as an object: of what a call returned it is taken to be so."""
    values = operands(exc)
    return any(v is None for v in values) or (bool(values) and values[0] is UNKNOWN)


def is_error_pointer(exc: BaseException) -> bool:
    """Whether a member of a number was asked for."""
    return isinstance(exc, AttributeError) and any(isinstance(v, int) for v in operands(exc)[:1])


def _node(tb: TracebackType) -> ast.AST | None:
    """The expression that the failing instruction is of."""
    code = tb.tb_frame.f_code
    place = next(itertools.islice(code.co_positions(), tb.tb_lasti // 2, None), None)
    source = "".join(linecache.getlines(code.co_filename, tb.tb_frame.f_globals))
    return _nodes(source).get(place) if place is not None else None


@lru_cache(maxsize=64)
def _nodes(source: str) -> dict[tuple[int | None, ...], ast.AST]:
    """The expressions and assignments of a file by their place; of two at one place the outer one."""
    out: dict[tuple[int | None, ...], ast.AST] = {}
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return out
    for n in ast.walk(tree):
        places: list[ast.expr | ast.AugAssign | ast.For] = [n] if isinstance(n, (ast.expr, ast.AugAssign, ast.For)) else []
        if isinstance(n, ast.Assign):
            places += [t for t in n.targets if isinstance(t, (ast.Tuple, ast.List))]
        for x in places:
            out.setdefault((x.lineno, x.end_lineno, x.col_offset, x.end_col_offset), n)
    return out


def _parts(node: ast.AST) -> list[ast.expr]:
    """The operands of an expression."""
    if isinstance(node, ast.Attribute):
        return [node.value]
    if isinstance(node, ast.Subscript):
        return [node.value, node]
    if isinstance(node, ast.Call):
        return [node.func, *node.args]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.For):
        return [node.iter]
    if isinstance(node, ast.Assign):
        return [node.value]                                     # what is unpacked
    return [node] if isinstance(node, ast.expr) else []


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """What an operand was, if it can be said without running anything."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id, UNKNOWN)
    if isinstance(node, ast.Attribute):
        base = _value(node.value, names)
        found = inspect.getattr_static(base, node.attr, UNKNOWN) if base is not UNKNOWN else UNKNOWN
        if isinstance(found, MemberDescriptorType):
            try:
                return found.__get__(base)
            except AttributeError:
                return UNKNOWN
        return UNKNOWN if isinstance(found, property) or (inspect.isroutine(found) and node.attr in dir(type(base))) else found
    if isinstance(node, ast.Subscript):
        base, index = _value(node.value, names), _value(node.slice, names)
        if type(base) in (list, tuple, dict) and index is not UNKNOWN:
            try:
                return base[index]
            except (LookupError, TypeError):
                return UNKNOWN
    if isinstance(node, (ast.BinOp, ast.Compare, ast.BoolOp, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict)):
        return node                                             # a value, and none that can be NULL
    return UNKNOWN
