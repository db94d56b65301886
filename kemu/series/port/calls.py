# SPDX-License-Identifier: GPL-2.0-only
"""Calls: what the ports leave out, what they write in another way, and everything else as C has it."""
from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from types import FunctionType
from typing import TYPE_CHECKING

from kemu.series.emit.cparse import parse_type
from kemu.series.emit.ctype import BOOL, INT, CType, base, ptr
from kemu.series.emit.macros import LIKE_FIRST, PLACES
from kemu.series.port.core import POST, Ex, NoPython
from kemu.series.port.expr import Expressing
from kemu.series.port.parse import named, text_of

if TYPE_CHECKING:                       # start-up
    from tree_sitter import Node

NOTHING = {"BUILD_BUG_ON", "might_sleep", "lockdep_assert_held", "fs_reclaim_acquire", "smp_mb", "smp_rmb", "smp_wmb",
           "__acquire", "__release"}
_SAME = re.compile(r"(?:likely|unlikely|READ_ONCE|data_race|(?:le|be)(?:16|32|64)_to_cpu|cpu_to_(?:le|be)(?:16|32|64)|ERR_CAST)$")


def call(x: Expressing, n: Node) -> Ex:
    """A call."""
    f, arguments = n.child_by_field_name("function"), n.child_by_field_name("arguments")
    assert f is not None and arguments is not None
    args = named(arguments)
    if f.type != "identifier":
        e = x.ex(f)
        t = x.d.resolve(e.type) if e.type is not None else None
        t = x.d.resolve(t.to) if t is not None and t.kind == "ptr" and t.to is not None else t
        return _plain(x, e.text, t if t is not None and t.kind == "func" else None, args)
    name = text_of(f)
    if name in x.types:
        e = x.ex(f)
        to = x.to(e.type)
        return _plain(x, e.text, to, args)
    m = _SAME.match(name)
    if m:
        e = x.ex(args[0])
        bits = re.search(r"(16|32|64)", name)
        return Ex(e.text, e.prec, base(f"u{bits[1]}") if bits else e.type, e.open, e.weak)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(x, args)
    if name.startswith("trace_"):
        return _trace(x, name, args)
    found = x.names.find(name)
    if found is None:
        raise NoPython(f"{name}(): neither the port nor the emulated kernel has it")
    _takes(name, found[1], len(args))
    t = x.d.type_of(name)
    if t is not None and t.kind == "func":
        made = _plain(x, found[0], t, args)
    else:
        made = _macro(x, found[0], name, args)
    if name in PLACES and len(args) > PLACES[name]:
        made = replace(made, text=re.sub(r'ptr_to\(([\w.\[\]]+), "(\w+)"\)', r"\1.\2", made.text))     # a Bits cell is the place
    _cells(x, name, found[1], args)
    return made


def _cells(x: Expressing, name: str, f: object, args: list[Node]) -> None:
    """What is given as a cell is taken as one."""
    if not isinstance(f, FunctionType):
        return
    said = [str(f.__annotations__.get(p, "")) for p in f.__code__.co_varnames[:f.__code__.co_argcount]]
    for how, a in zip(said, args):
        inner = named(a)[0] if a.type == "pointer_expression" and text_of(a).startswith("&") else None
        if inner is not None and inner.type == "identifier" and text_of(inner) in x.cells and how == "int":
            raise NoPython(f"{name}() takes &{text_of(inner)} as a number in Python")


def _takes(name: str, f: object, count: int) -> None:
    """The port's function has the parameters of C's, and gives one thing."""
    if not isinstance(f, FunctionType):
        return
    try:
        inspect.signature(f).bind(*([None] * count))
    except TypeError:
        raise NoPython(f"{name}() has other parameters in Python") from None
    if str(f.__annotations__.get("return", "")).startswith("tuple"):
        raise NoPython(f"{name}() gives more than one thing in Python")


def _plain(x: Expressing, text: str, t: CType | None, args: list[Node]) -> Ex:
    params = [p for p in t.params if p[0] != "..."] if t is not None else []
    variadic = t is not None and len(params) != len(t.params)
    if t is not None and not variadic and len(args) != len(params):
        raise NoPython(f"{text}(): {len(args)} arguments")
    out = [x.into(x.ex(a), params[i][1] if i < len(params) else None).text for i, a in enumerate(args)]
    return Ex(f"{text}({', '.join(out)})", POST, t.to if t is not None else None)


def _macro(x: Expressing, text: str, name: str, args: list[Node]) -> Ex:
    if name not in x.d.macros:
        return Ex(f"{text}({', '.join(x.value(a).text for a in args)})", POST, None)
    params, body = x.d.macros[name]
    out: list[Ex] = []
    for i, a in enumerate(args):
        p = params[i] if params and i < len(params) else "..."
        pasted = re.search(rf"(\w+)\s*##\s*{re.escape(p)}\b", body)
        if pasted and a.type == "identifier":
            found = x.names.find(pasted[1] + text_of(a))
            if found is None:
                raise NoPython(f"{pasted[1]}{text_of(a)}")
            out.append(Ex(found[0]))
        else:
            out.append(x.value(a))
    if params is None and re.fullmatch(r"\w+", body):
        t = x.d.type_of(body)
        if t is not None and t.kind == "func":
            return _plain(x, text, t, args)
    t = None
    if re.search(r", ?-E\w+\)$", body):
        t = INT
    elif name in LIKE_FIRST and out:
        t = out[0].type
    elif x.macros is not None:
        t = x.macros.macro_type(name)
    return Ex(f"{text}({', '.join(e.text for e in out)})", POST, t)


def _trace(x: Expressing, name: str, args: list[Node]) -> Ex:
    t = x.d.type_of(name)
    if t is None or t.kind != "func" or len(t.params) != len(args):
        raise NoPython(f"{name}()")
    x.use("trace")
    given = ", ".join(f"{p[0]}={x.value(a).text}" for p, a in zip(t.params, args))
    return Ex(f'trace("{name.removeprefix("trace_")}", {given})', POST)


# ---- those that the ports write in another way ----

def _is_enabled(x: Expressing, args: list[Node]) -> Ex:
    x.use("IS_ENABLED")
    return Ex(f'IS_ENABLED("{text_of(args[0])}")', POST, BOOL)


def _array_size(x: Expressing, args: list[Node]) -> Ex:
    return Ex(f"len({x.ex(args[0]).text})", POST, base("size_t"))


def _container_of(x: Expressing, args: list[Node]) -> Ex:
    x.use("container_of")
    t = parse_type(text_of(args[1]))
    return Ex(f'container_of({x.ex(args[0]).text}, "{text_of(args[2])}")', POST, ptr(t) if t is not None else None)


def _typed_min(x: Expressing, args: list[Node], word: str) -> Ex:
    t = parse_type(text_of(args[0]))
    if t is None or x.integer(t) is None:
        raise NoPython(f"{word}()")
    return Ex(f"{word}({', '.join(x.cast(t, x.ex(a)).text if not x.ex(a).weak else x.ex(a).text for a in args[1:])})", POST, t)


def _min(x: Expressing, args: list[Node], word: str) -> Ex:
    values = [x.value(a) for a in args]
    return Ex(f"{word}({', '.join(v.text for v in values)})", POST, x.arithmetic(values[0], values[1]))


def _alloc(x: Expressing, args: list[Node], word: str) -> Ex:
    """``kzalloc_obj(*p, flags)``, ``kzalloc_obj(struct t, flags)``"""
    what = text_of(args[0])
    t = None
    if what.startswith("*"):
        t = x.to(x.ex(named(args[0])[0]).type)
    else:
        t = parse_type(what)
    found = x.names.struct(x.d.resolve(t).name) if t is not None else None
    if found is None or t is None:
        raise NoPython(f"{word}({what})")
    x.use(found[0])
    x.use(word)
    flags = [x.value(a).text for a in args[1:]] or ["GFP_KERNEL"]
    x.use("GFP_KERNEL")
    return Ex(f"{word}({found[0]}, {', '.join(flags)})", POST, ptr(t))


def _write_once(x: Expressing, args: list[Node]) -> Ex:
    x.before += x.assigned(args[0], "=", x.ex(args[1]))
    return Ex("")


def _swap(x: Expressing, args: list[Node]) -> Ex:
    a, b = x.ex(args[0]).text, x.ex(args[1]).text
    x.before.append(f"{a}, {b} = {b}, {a}")
    return Ex("")


def _overflow(x: Expressing, args: list[Node]) -> Ex:
    """``check_add_overflow(a, b, &d)``: both results at once, before the statement."""
    if len(args) != 3 or args[2].type != "pointer_expression":
        raise NoPython("check_add_overflow()")
    place = named(args[2])[0]
    while place.type == "parenthesized_expression":
        place = named(place)[0]
    d = x.ex(place)
    w = x.integer(d.type)
    a, b = x.value(args[0]), x.value(args[1])
    if w is None:
        raise NoPython("check_add_overflow()")
    if w == (8, True):
        x.use("check_add_overflow_s64")
        text = f"check_add_overflow_s64({a.text}, {b.text})"
    elif not w[1]:
        x.use("check_add_overflow")
        text = f"check_add_overflow({a.text}, {b.text}{f', {8 * w[0]}' if w[0] != 8 else ''})"
    else:
        raise NoPython("check_add_overflow()")
    x.before.append(f"overflow, {d.text} = {text}")
    return Ex("overflow", POST, BOOL)


def _nothing(x: Expressing, args: list[Node]) -> Ex:
    return Ex("")


def _bit(x: Expressing, args: list[Node]) -> Ex:
    x.use("BIT")
    return Ex(f"BIT({x.value(args[0]).text})", POST, base("unsigned long"))


_SPECIAL: dict[str, Callable[[Expressing, list[Node]], Ex]] = {
    "IS_ENABLED": _is_enabled, "ARRAY_SIZE": _array_size, "container_of": _container_of, "WRITE_ONCE": _write_once,
    "min_t": lambda x, a: _typed_min(x, a, "min"), "max_t": lambda x, a: _typed_min(x, a, "max"),
    "min": lambda x, a: _min(x, a, "min"), "max": lambda x, a: _min(x, a, "max"),
    "umin": lambda x, a: _min(x, a, "min"), "umax": lambda x, a: _min(x, a, "max"),
    "kzalloc_obj": lambda x, a: _alloc(x, a, "kzalloc_obj"), "kmalloc_obj": lambda x, a: _alloc(x, a, "kmalloc_obj"),
    "swap": _swap, "check_add_overflow": _overflow, "BIT": _bit,
    **{name: _nothing for name in NOTHING},
}
__all__ = ["INT", "call"]
