# SPDX-License-Identifier: GPL-2.0-only
"""An expression of Python while it is put together: its type in C, and what C converts by itself."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kemu.series.emit.cparse import parse_type
from kemu.series.emit.ctype import BOOL, INT, CType
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expressions import Expressions
from kemu.series.port.names import Names
from kemu.series.port.parse import named, text_of

if TYPE_CHECKING:                       # start-up
    from tree_sitter import Node

TERNARY, OR, AND, NOT, COMPARE, BITOR, XOR, BITAND, SHIFT, ADD, MUL, UNARY, POST = range(13)
_BYTES = {(1, False): "u8", (2, False): "u16", (4, False): "u32", (8, False): "u64", (1, True): "s8", (2, True): "s16",
          (4, True): "s32", (8, True): "s64"}
_CASTS = {"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "loff_t", "size_t", "pgoff_t", "ino_t", "sector_t"}


class NoPython(Exception):
    """What no rule translates: it is marked, and the Series refuses to run."""


@dataclass(frozen=True)
class Ex:
    """``open``: a number that may be outside of its type, as Python's do not wrap. ``weak``: a constant without a width."""

    text: str
    prec: int = POST
    type: CType | None = None
    open: bool = False
    weak: bool = False

    def at(self, prec: int) -> str:
        """Its text where something that binds at least so tightly is wanted."""
        return self.text if self.prec >= prec else f"({self.text})"


class Core:
    """Types, of one function. ``types``: its parameters and locals; ``cells``: those that are ``Ref`` cells."""

    def __init__(self, declarations: Declarations, names: Names, macros: Expressions | None = None):
        self.d = declarations
        self.names = names
        self.macros = macros
        self.types: dict[str, CType] = {}
        self.cells: set[str] = set()
        self.before: list[str] = []     # statements that have to stand before the one that is written

    # ---- types ----

    def integer(self, t: CType | None) -> tuple[int, bool] | None:
        """(bytes, signed) of a number's type."""
        if t is not None and t.kind == "base" and t.name in self.d.macros:
            t = parse_type(self.d.macros[t.name][1]) or t       # #define pgoff_t unsigned long
        return self.d.integer(t) if t is not None else None

    def to(self, t: CType | None) -> CType | None:
        """What a pointer points to."""
        r = self.d.resolve(t) if t is not None else None
        return r.to if r is not None and r.kind in ("ptr", "array") else None

    def view(self, t: CType | None) -> str:
        """``struct x`` of a pointer to a structure on disk, else ""."""
        to = self.to(t)
        name = self.d.resolve(to).name if to is not None else ""
        return name if name.startswith("struct ") and self.names.is_view(name) else ""

    def is_void(self, t: CType | None) -> bool:
        """Whether it points to memory: an address, in Python."""
        to = self.to(t)
        name = self.d.resolve(to).name if to is not None else ""
        return to is not None and (name == "void" or (self.integer(to) or (0,))[0] == 1) and name not in ("bool", "_Bool")

    def is_struct(self, t: CType | None) -> bool:
        """Whether it is a structure by value."""
        return t is not None and self.d.is_struct(t)

    def cast(self, t: CType, e: Ex) -> Ex:
        """A number as C has it in that type."""
        w = self.integer(t)
        if w is None:
            return e
        if self.d.resolve(t).name in ("bool", "_Bool"):
            return Ex(f"bool({e.text})", POST, BOOL)
        name = t.name if t.name in _CASTS else "ulong" if t.name == "unsigned long" else _BYTES[w]
        name = name if self.names.find(name) is not None else _BYTES[w]
        self.use(name)
        return Ex(f"{name}({e.text})", POST, t)

    def closed(self, e: Ex) -> Ex:
        """A value that is within its type."""
        return self.cast(e.type, e) if e.open and e.type is not None else e

    def into(self, e: Ex, t: CType | None) -> Ex:
        """A value where one of type ``t`` is stored, given or returned."""
        want = self.integer(t)
        if t is None or want is None:
            return self._pointer_into(self.closed(e), t)
        if self.d.resolve(t).name in ("bool", "_Bool"):
            if e.type == BOOL or e.text in ("True", "False"):
                return e
            return Ex(f"bool({self.closed(e).text})", POST, BOOL)
        have = self.integer(e.type)
        if e.type == BOOL and not e.open:
            return e
        if e.weak and not e.text.startswith(("-", "~")):
            return e
        if e.weak and want[1]:
            return e
        if have is not None and not e.open and self._within(have, want):
            return e
        if have is not None and e.open and want[0] > have[0]:
            return self.into(self.closed(e), t)
        if have is None and e.type is not None:
            raise NoPython(f"{e.text}: a pointer as a number")
        return self.cast(t, e)

    def _within(self, have: tuple[int, bool], want: tuple[int, bool]) -> bool:
        return have == want or (have[0] < want[0] and (want[1] or not have[1])) or (have == want)

    def _pointer_into(self, e: Ex, t: CType | None) -> Ex:
        tag, has = self.view(t), self.view(e.type)
        if tag and tag != has and e.text != "NULL":
            found = self.names.struct(tag)
            assert found is not None
            self.use(found[0])
            text = f"{found[0]}({e.text if not has else e.at(POST) + '.p'})"
            return Ex(f"{text} if {e.text} else NULL", TERNARY, t) if e.text.isidentifier() and not has else Ex(text, POST, t)
        if has and t is not None and not tag and self.is_void(t):
            return Ex(f"{e.at(POST)}.p", POST, t)
        return e

    def use(self, name: str) -> None:
        """Something of Python's own that is written: it has to be there."""
        if self.names.find(name) is None:
            raise NoPython(f"{name}: there is no such name")

    def ex(self, n: Node) -> Ex:
        """An expression."""
        method: Callable[[Node], Ex] | None = getattr(self, f"_{n.type}", None)
        if method is None or n.has_error:
            raise NoPython(text_of(n))
        return method(n)

    def value(self, n: Node) -> Ex:
        """One that is within its type."""
        return self.closed(self.ex(n))

    def cond(self, n: Node) -> Ex:
        """What is asked whether it is true."""
        if n.type == "parenthesized_expression":
            return self.cond(named(n)[0])
        return self.value(n)

    def promoted(self, t: CType | None) -> CType | None:
        """What C makes of a type in an operation."""
        w = self.integer(t)
        return INT if w is not None and w[0] < 4 else t

    def arithmetic(self, a: Ex, b: Ex) -> CType | None:
        """The type of an operator's result."""
        ta, tb = self.promoted(a.type), self.promoted(b.type)
        wa, wb = self.integer(ta), self.integer(tb)
        if wa is None or wb is None:
            return ta if wa is None and a.type is not None else tb
        if wa[0] != wb[0]:
            return ta if wa[0] > wb[0] else tb
        return ta if not wa[1] else tb
