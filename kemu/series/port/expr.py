# SPDX-License-Identifier: GPL-2.0-only
"""Expressions: what C converts by itself is written where it does so, and nothing else is."""
from __future__ import annotations

import inspect
import keyword
import re
from dataclasses import replace
from types import FunctionType
from typing import TYPE_CHECKING

from kemu.series.emit.cparse import parse_type
from kemu.series.emit.ctype import BOOL, INT, TEXT, U64, VOIDP, CType, base, ptr
from kemu.series.port.core import (
    ADD,
    AND,
    BITAND,
    BITOR,
    COMPARE,
    MUL,
    NOT,
    OR,
    POST,
    SHIFT,
    TERNARY,
    UNARY,
    XOR,
    Core,
    Ex,
    NoPython,
)
from kemu.series.port.names import spelt
from kemu.series.port.parse import named, text_of

if TYPE_CHECKING:                       # start-up
    from tree_sitter import Node

_BINARY = {"|": BITOR, "^": XOR, "&": BITAND, "<<": SHIFT, ">>": SHIFT, "+": ADD, "-": ADD, "*": MUL, "/": MUL, "%": MUL}
_COMPARES = {"==", "!=", "<", ">", "<=", ">="}


class Expressing(Core):
    """Of one function."""

    def _parenthesized_expression(self, n: Node) -> Ex:
        return self.ex(named(n)[0])

    def _identifier(self, n: Node) -> Ex:
        name = text_of(n)
        if name in self.types:
            text = spelt(name)
            return Ex(f"{text}.v" if name in self.cells else text, POST, self.types[name])
        if name in ("true", "false"):
            return Ex(name.title(), POST, BOOL)
        if name == "NULL":
            self.use("NULL")
            return Ex("NULL", POST, VOIDP, weak=True)
        begun = self._initializer(name)
        if begun is not None:
            return self.initialised(begun, None)
        found = self.names.find(name)
        if found is None:
            raise NoPython(f"{name}: neither the port nor the emulated kernel has it")
        t = self.d.type_of(name) or (self.macros.macro_type(name) if self.macros and self.d.is_macro(name) else None)
        if isinstance(found[1], FunctionType) and (t is None or t.kind != "func"):
            if found[1].__code__.co_argcount:
                raise NoPython(f"{name}: a function in Python")
            return Ex(f"{found[0]}()", POST, t)     # ``current``
        weak = isinstance(found[1], int) and (t is None or t == INT) and self.d.type_of(name) is None
        if t is None and isinstance(found[1], int):
            t = INT if -(1 << 31) <= found[1] < 1 << 31 else U64
        return Ex(found[0], POST, t, weak=weak)

    _true = _false = _null = _identifier

    def _number_literal(self, n: Node) -> Ex:
        text = text_of(n)
        m = re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text)
        if m is None:
            raise NoPython(text)
        number, suffix = m[1], m[2].lower()
        value = int(number, 16 if number[:2].lower() == "0x" else 8 if len(number) > 1 and number[0] == "0" else 10)
        shown = f"0o{number[1:]}" if len(number) > 1 and number.isdigit() and number[0] == "0" else number
        t = U64 if "l" in suffix or value > 0xFFFFFFFF else base("unsigned int") if "u" in suffix or value > 0x7FFFFFFF else INT
        return Ex(f"-{shown}", UNARY, t, weak=not suffix) if text.startswith("-") else Ex(shown, POST, t, weak=not suffix)

    def _char_literal(self, n: Node) -> Ex:
        text = text_of(n)
        if text == "'\\0'":
            return Ex("0", POST, INT, weak=True)
        return Ex(f"ord({text})", POST, INT, weak=True)

    def _string_literal(self, n: Node) -> Ex:
        return Ex(text_of(n), POST, TEXT)

    def _concatenated_string(self, n: Node) -> Ex:
        parts = [text_of(c) for c in named(n)]
        if not all(p.startswith('"') for p in parts):
            raise NoPython(text_of(n))
        return Ex('"' + "".join(p[1:-1] for p in parts) + '"', POST, TEXT)

    def _field_expression(self, n: Node) -> Ex:
        of, field = n.child_by_field_name("argument"), n.child_by_field_name("field")
        assert of is not None and field is not None
        e = self.ex(of)
        name = text_of(field)
        t = self.d.member(e.type, name) if e.type is not None else None
        self._has(e, name)
        m = re.fullmatch(r"__(?:le|be)(16|32|64)", t.name) if t is not None and t.kind == "base" else None
        if m:
            t = base(f"u{m[1]}")
        return Ex(f"{e.at(POST)}.{f'{name}_' if keyword.iskeyword(name) else name}", POST, t)

    def _has(self, e: Ex, name: str) -> None:
        """The class of a structure has a member of that name: the port may keep it otherwise."""
        of = self.to(e.type) or e.type
        tag = self.d.resolve(of).name if of is not None else ""
        if not tag.startswith("struct ") or "{" in tag:
            return
        before = dict(self.names.needed)
        found = self.names.struct(tag)
        self.names.needed = before
        cls = found[1] if found is not None else None
        name = f"{name}_" if keyword.iskeyword(name) else name
        if not isinstance(cls, type) or "FIELDS" in vars(cls) or hasattr(cls, name) or hasattr(cls, "__getattr__"):
            return
        if any("__dict__" in vars(c) for c in cls.__mro__):
            try:
                if hasattr(cls(), name):
                    return
            except TypeError:
                return
        raise NoPython(f"{tag} has no {name} in Python")

    def _subscript_expression(self, n: Node) -> Ex:
        of, index = n.child_by_field_name("argument"), n.child_by_field_name("index")
        assert of is not None and index is not None
        e = self.ex(of)
        to = self.to(e.type)
        r = self.d.resolve(e.type) if e.type is not None else None
        if r is not None and r.kind == "ptr" and (self.is_void(e.type) or (to is not None and self.integer(to))):
            raise NoPython(f"{text_of(n)}: memory, by its address")
        return Ex(f"{e.at(POST)}[{self.value(index).text}]", POST, to)

    def _pointer_expression(self, n: Node) -> Ex:
        inner = n.child_by_field_name("argument")
        assert inner is not None
        while inner.type == "parenthesized_expression":
            inner = named(inner)[0]
        if text_of(n).startswith("*"):
            if inner.type == "identifier" and text_of(inner) in self.types and self._is_cell(self.types[text_of(inner)]):
                return Ex(f"{spelt(text_of(inner))}.v", POST, self.to(self.types[text_of(inner)]))
            e = self.ex(inner)
            to = self.to(e.type)
            if to is not None and self.is_struct(to):
                return Ex(e.text, e.prec, to)
            m = re.fullmatch(r"__(le|be)(16|32|64)", to.name) if to is not None and to.kind == "base" else None
            if m:
                self.use(f"get_unaligned_{m[1]}{m[2]}")
                return Ex(f"get_unaligned_{m[1]}{m[2]}({e.text})", POST, base(f"u{m[2]}"))
            raise NoPython(f"{text_of(n)}: memory, by its address")
        if inner.type == "identifier" and text_of(inner) in self.cells:
            return Ex(spelt(text_of(inner)), POST, ptr(self.types[text_of(inner)]))
        if inner.type == "identifier" and text_of(inner) not in self.types:
            e = self.ex(inner)
            return Ex(e.text, POST, ptr(e.type) if e.type is not None else None)
        e = self.ex(inner)
        if e.type is None or self.is_struct(e.type) or self.d.resolve(e.type).kind == "array":
            return Ex(e.text, e.prec, ptr(e.type) if e.type is not None else None)
        if inner.type == "field_expression" and not e.type.name.endswith("_t") and not self._made(e.type):
            of, _, member = e.text.rpartition(".")
            self.use("ptr_to")
            return Ex(f'ptr_to({of}, "{member}")', POST, ptr(e.type))
        if self._made(e.type):
            return Ex(e.text, e.prec, ptr(e.type))
        raise NoPython(f"{text_of(n)}: the address of a place")

    def _made(self, t: CType) -> bool:
        """Whether a type is an object in Python though C has a number in it (``atomic_t``, ``spinlock_t``)."""
        return t.kind == "base" and t.name.endswith("_t") and self.d.is_struct(t)

    def _is_cell(self, t: CType) -> bool:
        to = self.to(t)
        return to is not None and not self.is_void(t) and (self.d.resolve(to).kind == "ptr" or self.integer(to) is not None)

    def _cast_expression(self, n: Node) -> Ex:
        to, value = n.child_by_field_name("type"), n.child_by_field_name("value")
        assert to is not None and value is not None
        t = parse_type(text_of(to))
        if t is None:
            raise NoPython(text_of(n))
        if t.name == "void":
            return self.ex(value)
        if self.integer(t) is not None:
            e = self.ex(value)
            if self.integer(e.type) is None and e.type is not None and e.type != BOOL:
                if not self.is_void(e.type):
                    raise NoPython(f"{text_of(n)}: a pointer as a number")
                return Ex(e.text, e.prec, t, e.open, e.weak)
            return e if e.weak and not e.text.startswith("-") and (self.integer(t) or (0,))[0] >= 4 else self.cast(t, e)
        e = self.value(value)
        if self.view(t) or self.view(e.type):
            return replace(self._pointer_into(e, t), type=t)
        new, old = self.to(t), self.to(e.type)
        if new is not None and not self.is_void(t) and e.text != "NULL" and not e.weak and (
                self.integer(e.type) is not None or (old is not None and not self.is_void(e.type)
                                                     and self.d.resolve(old) != self.d.resolve(new))):
            raise NoPython(f"{text_of(n)}: one thing as another")
        return replace(e, type=t)

    def _compound_literal_expression(self, n: Node) -> Ex:
        to, value = n.child_by_field_name("type"), n.child_by_field_name("value")
        assert to is not None and value is not None
        t = parse_type(text_of(to))
        if t is None:
            raise NoPython(text_of(n))
        return self.initialised(t, value)

    def initialised(self, t: CType, value: Node | None) -> Ex:
        """A structure on the stack, with what its braces say."""
        r = self.d.resolve(t)
        if r.kind == "array":
            if value is not None and named(value) and text_of(value) not in ("{}", "{0}", "{ 0 }", "{ NULL }"):
                raise NoPython(text_of(value))
            if r.to is None or self.is_struct(r.to) or (self.integer(r.to) or (8,))[0] == 1:
                raise NoPython(f"an array of {r.to}")
            zero = "NULL" if self.d.is_pointer(r.to) else "0"
            length = r.length if r.length.isdigit() else self.length(r.length)
            return Ex(f"[{zero}] * {length}", MUL, t)
        found = self.names.struct(r.name)
        if found is None or self.names.is_view(r.name):
            raise NoPython(f"{r.name} on the stack")
        self.use(found[0])
        if isinstance(found[1], type):
            try:
                inspect.signature(found[1]).bind()
            except (TypeError, ValueError):
                raise NoPython(f"{r.name} on the stack: {found[0]}() is made otherwise") from None
        out = []
        for part in named(value) if value is not None else ():
            if part.type == "initializer_pair":
                designators = [c for c in named(part) if c.type == "field_designator"]
                given = part.child_by_field_name("value")
                if len(designators) != 1 or given is None:
                    raise NoPython(text_of(part))
                member = text_of(designators[0])[1:]
                mt = self.d.member(t, member)
                out.append(f"{spelt(member)}={self.into(self.ex(given), mt).text}")
            elif text_of(part) not in ("0", "NULL"):
                raise NoPython(text_of(part))
        return Ex(f"{found[0]}({', '.join(out)})", POST, t)

    def length(self, text: str) -> str:
        """The length of an array."""
        found = self.names.find(text)
        if found is None:
            raise NoPython(f"an array of {text}")
        return found[0]

    def _sizeof_expression(self, n: Node) -> Ex:
        t = n.child_by_field_name("type")
        tag = text_of(t) if t is not None else ""
        inner = n.child_by_field_name("value")
        bare = text_of(inner).strip("()") if inner is not None else ""
        if re.fullmatch(r"\w+", bare) and bare not in self.types and self.integer(parse_type(bare)) is not None:
            tag = bare
        elif inner is not None:
            try:
                it = self.ex(inner).type
            except NoPython:
                it = None
            tag = self.d.resolve(it).name if it is not None and it.kind == "base" else ""
            w = self.integer(it)
            if w is not None:
                return Ex(str(w[0]), POST, base("size_t"), weak=True)
        if tag.startswith("struct ") and self.names.is_view(tag):
            found = self.names.struct(tag)
            assert found is not None
            self.use(found[0])
            return Ex(f"{found[0]}.SIZE", POST, base("size_t"))
        known = parse_type(tag) if tag else None
        w = self.integer(known)
        if w is None:
            raise NoPython(text_of(n))
        return Ex(str(w[0]), POST, base("size_t"), weak=True)

    # ---- operators ----

    def _unary_expression(self, n: Node) -> Ex:
        inner = n.child_by_field_name("argument")
        op = text_of(n)[0]
        assert inner is not None
        if op == "!":
            if inner.type == "unary_expression" and text_of(inner).startswith("!"):
                return Ex(f"bool({self.cond(named(inner)[0]).text})", POST, BOOL)
            return Ex(f"not {self.cond(inner).at(NOT)}", NOT, BOOL)
        e = self.ex(inner)
        if op == "-" or op == "~":
            t = self.promoted(e.type)
            w = self.integer(t)
            unsigned = w is not None and not w[1] and not e.weak
            return Ex(f"{op}{e.at(UNARY)}", UNARY, t, open=unsigned or e.open, weak=e.weak)
        return e

    def _binary_expression(self, n: Node) -> Ex:
        left, right = n.child_by_field_name("left"), n.child_by_field_name("right")
        o = n.child_by_field_name("operator")
        assert left is not None and right is not None and o is not None
        op = text_of(o)
        if op in ("&&", "||"):
            prec = AND if op == "&&" else OR
            a = self.cond(left)
            mark = len(self.before)
            b = self.cond(right)
            if any(not s.startswith("overflow, ") for s in self.before[mark:]):
                raise NoPython(f"{text_of(n)}: what is only done sometimes")
            word = "and" if op == "&&" else "or"
            return Ex(f"{a.at(prec)} {word} {b.at(prec + 1 if b.prec != prec else prec)}", prec, None if a.type != BOOL or
                      b.type != BOOL else BOOL)
        if op in _COMPARES:
            return self._compare(left, op, right)
        return self.binary(self.ex(left), op, self.ex(right))

    def binary(self, a: Ex, op: str, b: Ex) -> Ex:
        """One operator."""
        prec = _BINARY[op]
        if self.view(a.type) and op in "+-" and self.integer(b.type) is not None:
            sign = "-" if op == "-" else ""
            return Ex(f"{a.at(POST)}[{sign}{self.closed(b).at(UNARY if sign else TERNARY)}]", POST, a.type)
        for e in (a, b):
            to = self.to(e.type)
            if to is not None and not self.is_void(e.type) and e.text != "NULL":
                raise NoPython(f"{e.text} {op} ...: a pointer to {to}")
        if self.is_void(a.type) or self.is_void(b.type):
            both = self.is_void(a.type) and self.is_void(b.type)
            t = base("long") if both else a.type if self.is_void(a.type) else b.type
            return Ex(f"{a.at(prec)} {op} {self.closed(b).at(prec + 1)}", prec, t)
        if a.type is None or b.type is None:
            raise NoPython(f"{a.text} {op} {b.text}: of what type is it")
        shift = op in ("<<", ">>")
        t = self.promoted(a.type) if shift else self.arithmetic(a, b)
        w = self.integer(t)
        if w is None:
            raise NoPython(f"{a.text} {op} {b.text}")
        wraps = op in ("+", "-", "*", "<<", "&", "|", "^")
        sides = []
        for e in (a, b) if not shift else (a,):
            have = self.integer(self.promoted(e.type))
            if e.open and (not wraps or have is None or have[0] != w[0]):
                e = self.closed(e)
            elif not e.weak and not e.open and have is not None and have[1] and not w[1] and op not in ("+", "-", "*", "&") and t:
                e = self.cast(t, e)
            sides.append(e)
        if shift:
            sides.append(self.closed(b))
        a, b = sides
        weak = a.weak and (b.weak or shift)
        if op in ("/", "%") and w[1] and not (a.weak and b.weak):
            if not self._positive(a, b):
                raise NoPython(f"{a.text} {op} {b.text}: a signed division")
        opens = op in ("+", "-", "*", "<<") and not weak and (not w[1] or w[0] == 8 or op in ("*", "<<"))
        if op == "&" and ((b.weak and not b.text.startswith(("-", "~"))) or not (a.open or b.open)):
            opens = False
        elif op in "&|^":
            opens = a.open or b.open
        text = f"{a.at(prec)} {'//' if op == '/' else op} {b.at(prec + 1)}"
        return Ex(text, prec, t, open=opens, weak=weak)

    def _positive(self, a: Ex, b: Ex) -> bool:
        """Whether neither can be below zero: what is narrower than int."""
        return all(e.weak or not (self.integer(e.type) or (0, True))[1] for e in (a, b))

    def _compare(self, left: Node, op: str, right: Node) -> Ex:
        a, b = self.value(left), self.value(right)
        if b.text == "NULL" or a.text == "NULL":
            other = a if b.text == "NULL" else b
            return Ex(f"not {other.at(NOT)}", NOT, BOOL) if op == "==" else Ex(f"bool({other.text})", POST, BOOL)
        va, vb = self.view(a.type), self.view(b.type)
        if va or vb:
            ta = f"{a.at(POST)}.p" if va else a.at(COMPARE + 1)
            tb = f"{b.at(POST)}.p" if vb else b.at(COMPARE + 1)
            return Ex(f"{ta} {op} {tb}", COMPARE, BOOL)
        objects = [e for e in (a, b) if self.to(e.type) is not None and not self.is_void(e.type)]
        if len(objects) == 2 and op in ("==", "!=") and not any("ERR_PTR" in e.text for e in (a, b)):
            return Ex(f"{a.at(COMPARE + 1)} {'is' if op == '==' else 'is not'} {b.at(COMPARE + 1)}", COMPARE, BOOL)
        wa, wb = self.integer(self.promoted(a.type)), self.integer(self.promoted(b.type))
        if wa is not None and wb is not None:
            t = self.arithmetic(a, b)
            w = self.integer(t)
            if w is not None and not w[1] and t is not None:
                a, b = (self.cast(t, e) if s[1] and not e.weak and e.type != BOOL and self._signed(e)
                        else e for e, s in ((a, wa), (b, wb)))
                if any(e.weak and e.text.startswith("-") for e in (a, b)):
                    raise NoPython(f"{a.text} {op} {b.text}: of other signs")
        return Ex(f"{a.at(COMPARE + 1)} {op} {b.at(COMPARE + 1)}", COMPARE, BOOL)

    def _signed(self, e: Ex) -> bool:
        w = self.integer(e.type)
        return w is not None and w[1]

    def _conditional_expression(self, n: Node) -> Ex:
        test, a, b = (n.child_by_field_name(f) for f in ("condition", "consequence", "alternative"))
        assert test is not None and b is not None
        if a is None:
            x, y = self.value(test), self.value(b)
            return Ex(f"{x.at(OR)} or {y.at(AND)}", OR, x.type)
        mark = len(self.before)
        x, y = self.ex(a), self.ex(b)
        if len(self.before) > mark:
            raise NoPython(f"{text_of(n)}: what is only done sometimes")
        t = self.arithmetic(x, y) if self.integer(x.type) and self.integer(y.type) else x.type if x.text != "NULL" else y.type
        x, y = (self.into(e, t) if self.integer(t) else self.closed(e) for e in (x, y))
        return Ex(f"{x.at(OR)} if {self.cond(test).at(OR)} else {y.at(TERNARY)}", TERNARY, t, weak=x.weak and y.weak)

    def _assignment_expression(self, n: Node) -> Ex:
        """Inside of an expression: it stands before it."""
        left, right = n.child_by_field_name("left"), n.child_by_field_name("right")
        assert left is not None and right is not None
        if text_of(n)[len(text_of(left)):].strip()[:1] != "=":
            raise NoPython(text_of(n))
        self.before += self.assigned(left, "=", self.ex(right))
        return self.ex(left)

    def _update_expression(self, n: Node) -> Ex:
        """Inside of an expression: it stands before it; of ``i++`` what it was, by another name."""
        place = n.child_by_field_name("argument")
        assert place is not None
        op = "+=" if "++" in text_of(n) else "-="
        after = not text_of(n).startswith(("++", "--"))
        if place.type == "unary_expression" and text_of(place).startswith("!") and after:       # the grammar binds !a++ so
            inner = place.child_by_field_name("argument")
            assert inner is not None
            e = self._updated(inner, op, after)
            return Ex(f"not {e.at(NOT)}", NOT, BOOL)
        return self._updated(place, op, after)

    def _updated(self, place: Node, op: str, after: bool) -> Ex:
        if place.type not in ("identifier", "field_expression", "subscript_expression"):
            raise NoPython(f"{text_of(place)} {op} 1")
        was = self.ex(place)
        if after:
            name = "was"
            while name in self.types:
                name += "_"
            self.types[name] = was.type or INT
            self.before.append(f"{name} = {was.text}")
            was = Ex(name, POST, was.type)
        self.before += self.assigned(place, op, Ex("1", type=INT, weak=True))
        return was if after else self.ex(place)

    def _offsetof_expression(self, n: Node) -> Ex:
        t, member = n.child_by_field_name("type"), n.child_by_field_name("member")
        assert t is not None and member is not None
        found = self.names.struct(text_of(t))
        if found is None or not self.names.is_view(text_of(t)):
            raise NoPython(text_of(n))
        self.use("offsetof")
        return Ex(f'offsetof({found[0]}, "{text_of(member)}")', POST, base("size_t"))

    def _initializer(self, name: str) -> CType | None:
        """The structure of which a macro is the beginning, if that is all zeros: ``__EROFS_BUF_INITIALIZER``."""
        if name in self.types or not self.d.is_macro(name):
            return None
        m = re.fullmatch(r"\(?\((struct \w+)\)\s*\{\s*(?:\.\w+ = (?:NULL|0))?\s*\}\)?", self.d.macros[name][1].strip())
        return base(m[1]) if m else None

    def _call_expression(self, n: Node) -> Ex:
        from kemu.series.port.calls import call  # noqa: PLC0415  (one module of two halves)

        return call(self, n)

    # ---- what changes something ----

    def assigned(self, left: Node, op: str, e: Ex) -> list[str]:
        """``left op e`` as statements."""
        place = self.ex(left)
        t = place.type
        if op != "=":
            made = self.binary(place, op[:-1], e)
            if made.open or (self.integer(t) and not self._fits(made, t)):
                return [f"{place.text} = {self.into(made, t).text}"]
            if "[" in made.text[len(place.text):][:1]:
                return [f"{place.text} = {made.text}"]
            return [f"{place.text} {'//=' if op == '/=' else op} {self.closed(e).text}"]
        if t is not None and self.is_struct(t):
            return [self.whole(left, place, e, self.d.resolve(t).name)]
        return [f"{place.text} = {self.into(e, t).text}"]

    def whole(self, left: Node, place: Ex, e: Ex, tag: str) -> str:
        """A structure by value: a new one takes the place, another one is copied."""
        found = self.names.struct(tag)
        cls = found[1] if found is not None else None
        through = left.type == "pointer_expression"
        fresh = e.text.endswith(")") and "(" in e.text and not e.text.endswith(".copy()")
        if through or (hasattr(cls, "assign") and left.type != "identifier"):
            if not hasattr(cls, "assign"):
                raise NoPython(f"{place.text} = {e.text}: a structure without assign()")
            return f"{place.text}.assign({e.text})"
        if fresh:
            return f"{place.text} = {e.text}"
        if not hasattr(cls, "copy"):
            raise NoPython(f"{place.text} = {e.text}: a structure without copy()")
        return f"{place.text} = {e.at(POST)}.copy()"

    def _fits(self, e: Ex, t: CType | None) -> bool:
        return self.into(e, t).text == e.text
