# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's macros for loops, which the emulation has as generators."""
from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from kemu.series.emit.ctype import INT, VOIDP, CType, base, ptr
from kemu.series.emit.expr import COND, UNARY, Ex, Untranslated
from kemu.series.emit.expressions import Expressions


@dataclass
class Loop:
    """``head``: what stands before the body. ``types``: of its variables; ``more``: variables that only C has."""

    head: str
    types: dict[str, CType]
    more: dict[str, CType]
    before: tuple[str, ...] = ()            # what is computed once, as Python does it


# macro -> (its arguments: numbers are Python's targets, "head" what is gone through, other words variables of C; types)
_FORMS: dict[str, tuple[tuple[object, ...], tuple[CType | None, ...], dict[str, CType]]] = {
    "idr_for_each_entry": (("head", 1, 0), (INT, None), {}),
    "xa_for_each": (("head", 0, 1), (base("unsigned long"), None), {}),
    "bio_for_each_segment": ((0, "head", "iter"), (base("struct bio_vec"),), {"iter": base("struct bvec_iter")}),
    "bio_for_each_folio_all": ((0, "head"), (base("struct folio_iter"),), {}),
    "list_for_each": ((0, "head"), (ptr(base("struct list_head")),), {}),
    "for_each_set_bit": ((0, "head", "size"), (base("unsigned long"),), {}),
}


def variables(target: ast.expr) -> list[str]:
    """The names that a loop gives values."""
    nodes = target.elts if isinstance(target, ast.Tuple) else [target]
    return [n.id for n in nodes if isinstance(n, ast.Name)]


def loop(x: Expressions, node: ast.For) -> Loop:
    """A for loop's head."""
    names = variables(node.target)
    it = node.iter
    if isinstance(it, ast.Call) and isinstance(it.func, ast.Name):
        name = it.func.id
        if name == "range":
            return _range(x, it, names[0])
        if name in _FORMS:
            deleted = any(isinstance(n, ast.Name) and n.id in ("list_del", "list_move", "list_del_init")
                          for s in node.body for n in ast.walk(s))
            return _macro(x, it, name, names, deleted)
        if name == "list_for_each_entry" and isinstance(it.args[0], ast.Attribute):
            head = x.ex(it.args[0])
            owner = x.ex(it.args[0].value)
            if owner.type is None:
                raise Untranslated(ast.unparse(it))
            text = f"list_for_each_entry({x.scope.spell(names[0])}, {x.address(head).text}, {it.args[0].attr})"
            return Loop(text, {names[0]: owner.type}, {})
    if isinstance(it, ast.Subscript) and isinstance(it.slice, ast.Slice) and it.slice.lower is None and it.slice.upper:
        of = x.ex(it.value)
        return _elements(x, of, x.ex(it.slice.upper).at(UNARY), names[0])
    of = x.ex(it)
    if of.type is not None and x.d.resolve(of.type).kind == "array":
        return _elements(x, of, f"ARRAY_SIZE({of.text})", names[0])
    raise Untranslated(ast.unparse(it))


def _elements(x: Expressions, of: Ex, count: str, name: str) -> Loop:
    t = x.d.resolve(of.type) if of.type else None
    if t is None or t.to is None:
        raise Untranslated(of.text)
    v = x.scope.spell(name)
    if _calls(count):
        end = f"{v}_end"
        return Loop(f"for ({v} = {of.text}; {v} < {end}; ++{v})", {name: ptr(t.to)}, {end: ptr(t.to)},
                    (f"{end} = {of.text} + {count}",))
    return Loop(f"for ({v} = {of.text}; {v} < {of.text} + {count}; ++{v})", {name: ptr(t.to)}, {})


def _calls(text: str) -> bool:
    """Whether it calls something that should be called once."""
    return any(name not in ("sizeof", "ARRAY_SIZE") for name in re.findall(r"(\w+)\(", text))


def _range(x: Expressions, it: ast.Call, name: str) -> Loop:
    v = "i" if name == "_" else x.scope.spell(name)
    ends = [x.load(x.ex(a)) for a in it.args]
    first = ends[0].text if len(ends) > 1 else "0"
    last = ends[1] if len(ends) > 1 else ends[0]
    t = INT if last.weak or last.type is None else x.promoted(last.type) or INT
    if len(ends) > 2:
        raise Untranslated(ast.unparse(it))
    more = {"i": t} if name == "_" else {}
    if _calls(last.text):
        more[f"{v}_end"] = t
        return Loop(f"for ({v} = {first}; {v} < {v}_end; ++{v})", {name: t}, more, (f"{v}_end = {last.text}",))
    return Loop(f"for ({v} = {first}; {v} < {last.at(COND)}; ++{v})", {name: t}, more)


def _macro(x: Expressions, it: ast.Call, name: str, names: list[str], deleted: bool) -> Loop:
    """``deleted``: the body takes entries off the list, which the emulation's loop does not mind."""
    form, types, more = _FORMS[name]
    if name == "list_for_each" and deleted:
        text = f"list_for_each_safe({x.scope.spell(names[0])}, n, {x.address(x.ex(it.args[0])).text})"
        return Loop(text, {names[0]: ptr(base("struct list_head"))}, {"n": ptr(base("struct list_head"))})
    head = x.ex(it.args[0])
    if name == "for_each_set_bit" and head.lvalue:
        head = Ex(f"&{head.at(UNARY)}", UNARY)
    args = []
    for word in form:
        if isinstance(word, int):
            args.append(x.scope.spell(names[word]))
        elif word == "head":
            args.append(x.address(head).text)
        elif word == "size":
            args.append(x.ex(it.args[1]).text)
        else:
            args.append(str(word))
    found = {n: t if t is not None else VOIDP for n, t in zip(names, types)}
    return Loop(f"{name}({', '.join(args)})", found, more)
