# SPDX-License-Identifier: GPL-2.0-only
"""Structures and tables of a Series: what its classes are in C, and its constants that are tables of functions."""
from __future__ import annotations

import ast
import re

from kemu.series.emit.cparse import parse_prototype
from kemu.series.emit.ctype import BOOL, VOID, VOIDP, CType, base, ptr
from kemu.series.emit.expr import Untranslated
from kemu.series.emit.scope import Scope

_SAID = re.compile(r"``([^`]+)``")


def said(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """What a docstring gives as C, in double backticks."""
    return _SAID.findall(ast.get_docstring(node) or "")


def prototype(node: ast.FunctionDef) -> CType | None:
    """The prototype that the docstring of a function has; None if it has none."""
    for text in said(node):
        found = parse_prototype(text)
        if found is not None and found[0] == node.name:
            return found[1]
    return None


def _declared(cls: ast.ClassDef) -> dict[str, str]:
    """name -> what the docstring of a class declares."""
    known: dict[str, str] = {}
    for text in said(cls):
        for part in " ".join(text.split()).split(";"):
            m = re.search(r"(\w+)(?:\)\([^)]*\)|\[\w*\])?$", part.strip())
            if m and " " in part.strip():
                known[m[1]] = part.strip()
    return known


def is_statics(cls: ast.ClassDef) -> bool:
    """Whether a class is the static variables of its module."""
    return any(isinstance(d, ast.Name) and d.id == "statics" for d in cls.decorator_list)


def variables(scope: Scope, cls: ast.ClassDef) -> list[tuple[str, str]]:
    """(name, declaration) of static variables, without ``static``."""
    known = _declared(cls)
    out = []
    for s in cls.body:
        target = s.target if isinstance(s, ast.AnnAssign) else s.targets[0] if isinstance(s, ast.Assign) else None
        if not isinstance(target, ast.Name):
            continue
        t = _typed(scope, s)
        if target.id not in known and t is None:
            raise Untranslated(f"{cls.name}.{target.id}: no type; its docstring may say it, as ``u64 {target.id}``")
        out.append((target.id, known.get(target.id) or (t.declare(target.id) if t is not None else "")))
    return out


def members(scope: Scope, cls: ast.ClassDef) -> list[str]:
    """The declarations of what a class has, in its order; of those that Python has no type for, as its docstring says them."""
    known = _declared(cls)
    init = next((s for s in cls.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"), None)
    out = []
    for s in init.body if init is not None else ():
        target = s.target if isinstance(s, ast.AnnAssign) else s.targets[0] if isinstance(s, ast.Assign) else None
        if not isinstance(target, ast.Attribute):
            continue
        t = _typed(scope, s)
        if target.attr in known:
            out.append(known[target.attr])
        elif t is not None:
            out.append(t.declare(target.attr))
        else:
            raise Untranslated(f"{cls.name}.{target.attr}: no type; its docstring may say it, as ``u64 {target.attr}``")
    return out


def _typed(scope: Scope, s: ast.stmt) -> CType | None:
    if isinstance(s, ast.AnnAssign):
        return annotated(scope, s.annotation)
    value = s.value if isinstance(s, ast.Assign) else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        name = value.func.id
        if name.endswith("_t") and scope.declarations.knows(name):
            return base(name)
        tag = scope.struct(name)
        return base(tag) if tag else None
    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        return BOOL
    return None


def annotated(scope: Scope, node: ast.expr | None, name: str = "") -> CType | None:
    """The type that an annotation says: a class is a pointer to its structure, ``Callable`` a pointer to a function."""
    if isinstance(node, ast.Constant):
        return VOID if node.value is None else None
    if isinstance(node, ast.Name):
        if node.id in ("bool", "Any"):
            return BOOL if node.id == "bool" else VOIDP
        if node.id == "Page" and "folio" in name:
            return ptr(base("struct folio"))
        tag = scope.struct(node.id)
        return ptr(base(tag)) if tag else None
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Callable" \
            and isinstance(node.slice, ast.Tuple) and isinstance(node.slice.elts[0], ast.List):
        params = tuple(("", annotated(scope, p) or base("u64")) for p in node.slice.elts[0].elts)
        to = annotated(scope, node.slice.elts[1]) or base("int")
        return ptr(CType("func", to=to, params=params))
    return None


def table(name: str, value: ast.expr | None, scope: Scope) -> tuple[str, dict[str, str]] | None:
    """(structure, members) of ``name = file_operations(open=f)``; None for another constant."""
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.keywords and not value.args):
        return None
    tag = scope.struct(value.func.id)
    if tag is None:
        return None
    out = {}
    for k in value.keywords:
        v = k.value
        named = v.id if isinstance(v, ast.Name) else v.attr if isinstance(v, ast.Attribute) else None
        if named is None or k.arg is None:
            return None
        out[k.arg] = named
    return tag, out
