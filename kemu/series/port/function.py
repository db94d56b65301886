# SPDX-License-Identifier: GPL-2.0-only
"""One function: from its C to its Python."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kemu.series.emit.cparse import parse, parse_prototype, strip_attributes
from kemu.series.emit.ctype import VOID, CType
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expressions import Expressions
from kemu.series.emit.ports import _body
from kemu.series.port.core import NoPython
from kemu.series.port.expr import Expressing
from kemu.series.port.names import Names, spelt
from kemu.series.port.parse import function, named, text_of
from kemu.series.port.stmt import STEP, Frame, Marked, Stating

if TYPE_CHECKING:                       # start-up
    from tree_sitter import Node


@dataclass
class Ported:
    """A function in Python. ``missing``: what is only marked; ``prototype``: its C."""

    name: str
    text: str
    prototype: str = ""
    missing: list[Marked] = field(default_factory=list)


def translate(c: str, name: str, declarations: Declarations, names: Names, macros: Expressions | None = None,
              first: int = 0) -> Ported:
    """The Python of a function's text. ``first``: the line of its first. ``NoPython``: not even a head can be written."""
    head = c[:_body(c)].strip()
    made = parse_prototype(strip_attributes(" ".join(head.split())))
    tree = function(c)
    if made is None or tree is None or made[1].to is None:
        raise NoPython(f"{name}: no definition of a function")
    t = made[1]
    if any(p[0] == "..." for p in t.params):
        raise NoPython(f"{name}: a variable number of arguments")
    x = Expressing(declarations, names, macros)
    for p, pt in t.params:
        x.types[p] = pt
    body = tree.child_by_field_name("body")
    assert body is not None
    _cells(body, x, {p for p, _ in t.params})
    w = Stating(x, t.to or VOID)
    for p, pt in t.params:
        if p in x.cells:
            x.use("Ref")
            w.say(1, f"{spelt(p)} = Ref({spelt(p)})")
    _write(w, list(body.named_children), t.to or VOID)
    args = ", ".join(f"{spelt(p)}: {_annotation(x, pt)}" for p, pt in t.params)
    back = "None" if t.to == VOID else _annotation(x, t.to or VOID)
    for m in w.missing:
        m.line += first
    text = "\n".join([f"def {name}({args}) -> {back}:", *w.out])
    return Ported(name, text, " ".join(head.split()), w.missing)


def _annotation(x: Expressing, t: CType) -> str:
    if x.integer(t) is not None:
        return "bool" if x.d.resolve(t).name in ("bool", "_Bool") else "int"
    to = x.to(t)
    if to is None:
        return "Any"
    r = x.d.resolve(to)
    if r.name.startswith("struct "):
        before = dict(x.names.needed)
        found = x.names.struct(r.name)
        x.names.needed = before
        return found[0] if found is not None and found[0] in x.names.space else "Any"
    return "int" if x.is_void(t) else "Any"


def _cells(body: Node, x: Expressing, params: set[str]) -> None:
    """The locals whose address is taken, and that are no structure."""
    declared: dict[str, CType] = {}

    def walk(n: Node) -> None:
        if n.type == "declaration":
            for d in n.children_by_field_name("declarator"):
                m: Node | None = d
                while m is not None and m.type != "identifier":
                    m = m.child_by_field_name("declarator") or next(iter(named(m)), None)
                if m is not None:
                    t = parse(text_of(n), text_of(m))
                    if t is not None:
                        declared[text_of(m)] = t
        if n.type == "pointer_expression" and text_of(n).startswith("&"):
            inner = n.child_by_field_name("argument")
            if inner is not None and inner.type == "identifier" and not _assigned_by_value(n):
                taken.add(text_of(inner))
        for c in n.children:
            walk(c)

    taken: set[str] = set()
    walk(body)
    for name, t in declared.items():
        x.types.setdefault(name, t)
    for name in taken & (set(declared) | params):
        t = declared.get(name) or x.types[name]
        if not x.is_struct(t) and t.kind != "array":
            x.cells.add(name)


def _assigned_by_value(n: Node) -> bool:
    """``check_add_overflow(a, b, &d)``: both results come at once."""
    call = n.parent.parent if n.parent is not None else None
    f = call.child_by_field_name("function") if call is not None and call.type == "call_expression" else None
    return f is not None and text_of(f) == "check_add_overflow"


def _write(w: Stating, body: list[Node], returns: CType) -> None:
    """The body: its labels first looked for, then by the idiom that fits."""
    at = [i for i, n in enumerate(body) if n.type == "labeled_statement"]
    used = set(re.findall(r"\bgoto (\w+)\s*;", "\n".join(text_of(n) for n in body)))
    if not at or not used:
        w.block(body, 1)
        return
    labels: list[tuple[str, list[Node]]] = []
    main, rest = body[:at[0]], body[at[0]:]
    for n in rest:
        if n.type == "labeled_statement":
            parts = n.named_children
            labels.append((text_of(parts[0]), list(parts[1:])))
        else:
            labels[-1][1].append(n)
    ends = bool(main) and main[-1].type in ("return_statement", "goto_statement")
    behind = [n for _, some in labels for n in some]
    if any("goto " in text_of(n) for n in behind):
        w.block(body, 1)
        return
    last = behind[-1] if behind and behind[-1].type == "return_statement" else None
    value = text_of(named(last)[0]) if last is not None and named(last) else ""
    if len(labels) == 1 and len(behind) <= 1:
        _only_return(w, main, labels[0][0], last, ends)
    elif len(labels) == 1 and not ends and (not value or (value.isidentifier() and not _changes(behind[:-1], value))):
        _finally(w, main, labels[0], last, value)
    elif not value or (value.isidentifier() and not _changes(behind, value)) or not set(re.findall(r"[A-Za-z_]\w*", value)) & set(
            w.x.types):
        _ladder(w, main, labels, last, ends, returns)
    else:
        w.block(body, 1)


def _changes(some: list[Node], name: str) -> bool:
    return any(re.search(rf"\b{name}\s*(?:[-+|&]?=(?!=)|\+\+)|&{name}\b", text_of(n)) for n in some)


def _only_return(w: Stating, main: list[Node], label: str, last: Node | None, ends: bool) -> None:
    """``out: return err;``: a goto is that return."""
    value = named(last)[0] if last is not None and named(last) else None
    text = f"return {w.x.into(w.x.ex(value), w.returns).text}" if value is not None else "return"
    w.gotos[label] = text
    w.block(main, 1)
    if not ends and value is not None:
        w.say(1, text)


def _finally(w: Stating, main: list[Node], label: tuple[str, list[Node]], last: Node | None, value: str) -> None:
    """One label at the end that every path takes."""
    text = f"return {spelt(value)}{'.v' if value in w.x.cells else ''}" if value else "return"
    w.gotos[label[0]] = text
    if any(re.search(r"\breturn\b", text_of(n)) for n in main):
        lead = next((i for i, n in enumerate(main) if "goto " in text_of(n)), 0)
        if any(re.search(r"\breturn\b", text_of(n)) for n in main[lead:]):
            raise NoPython(f"{label[0]}: not every path takes it")
    else:
        lead = 0
    decls = lead
    if not decls:
        while decls < len(main) and main[decls].type in ("declaration", "comment"):
            decls += 1
    for n in main[:decls]:
        w.one(n, 1)
    w.say(1, "try:")
    w.block(main[decls:], 2)
    if value:
        w.say(2, text)
    w.say(1, "finally:")
    w.frames.append(Frame("end"))
    w.block([n for n in label[1] if n != last], 2)
    w.frames.pop()


def _ladder(w: Stating, main: list[Node], labels: list[tuple[str, list[Node]]], last: Node | None, ends: bool,
            returns: CType) -> None:
    """Several labels that undo: ``Labels``."""
    w.x.use("Labels")
    decls = 0
    while decls < len(main) and main[decls].type in ("declaration", "comment"):
        decls += 1
    for n in main[:decls]:
        w.one(n, 1)
    w.say(1, "out_ = Labels()")
    inner = named(last)[0] if last is not None and named(last) else None
    value = w.x.into(w.x.ex(inner), returns).text if inner is not None else "None"
    for name, some in labels:
        w.say(1, "")
        w.say(1, "@out_.label")
        w.say(1, f"def {name}() -> None:")
        start = len(w.out)
        w.frames.append(Frame("end"))
        w.block([n for n in some if n != last], 2)
        w.frames.pop()
        stored = {m[1] for line in w.out[start:] if (m := re.match(r"\s*(\w+)(?:, \w+)? [-+|&]?=(?!=)", line))}
        if stored:
            w.out.insert(start, f"{STEP * 2}nonlocal {', '.join(sorted(stored))}")
        w.gotos[name] = f"return out_.goto({name}, {value})"
    w.say(1, "")
    w.block(main[decls:], 1)
    if not ends:
        w.say(1, f"return out_.goto({labels[0][0]}, {value})")


__all__ = ["NoPython", "Ported", "translate"]
