# SPDX-License-Identifier: GPL-2.0-only
"""From the type that an expression has to the one that is wanted: an address, what an address points to, a cast."""
from __future__ import annotations

from dataclasses import replace

from kemu.series.emit.ctype import INT, VOID, CType, base, ptr
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expr import ADD, BITAND, SHIFT, UNARY, Ex
from kemu.series.emit.scope import Scope


class Converter:
    """Of one function."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.d: Declarations = scope.declarations

    # ---- numbers ----

    def narrow(self, t: CType) -> bool:
        """Whether it is a number of four bytes or fewer."""
        w = self.d.integer(t)
        return w is not None and w[0] <= 4

    def arithmetic(self, a: Ex, b: Ex, op: str) -> CType | None:
        """The type of ``a op b``."""
        for one, other in ((a, b), (b, a)):
            if one.type is not None and self.d.is_pointer(one.type):
                if op == "-" and other.type is not None and self.d.is_pointer(other.type):
                    return base("long")
                t = self.d.resolve(one.type)
                return ptr(t.to) if t.kind == "array" and t.to else one.type
        if op in ("<<", ">>"):
            return self.promoted(a.type)
        if a.weak and not b.weak and b.type is not None:
            return self.promoted(b.type)
        if b.weak and not a.weak and a.type is not None:
            return self.promoted(a.type)
        return self.common(a.type, b.type)

    def promoted(self, t: CType | None) -> CType | None:
        """What arithmetic makes of a number by itself."""
        w = self.d.integer(t) if t is not None else None
        return INT if w is not None and w[0] < 4 else t

    def common(self, a: CType | None, b: CType | None) -> CType | None:
        """The usual arithmetic conversions."""
        if a is None or b is None:
            return a if b is None else b
        wa, wb = self.d.integer(a), self.d.integer(b)
        if wa is None or wb is None:
            return a if wb is None else b
        if wa[0] < 4 and wb[0] < 4:
            return INT
        if wa[0] != wb[0]:
            return a if wa[0] > wb[0] else b
        return a if not wa[1] or wb[1] else b

    def cast(self, t: CType, e: Ex) -> Ex:
        """``(t)e``; a sum, product or shift that is widened is widened before it is computed."""
        w, have = self.d.integer(t), self.d.integer(e.type) if e.type else None
        if w and have and w[0] == 8 and have == w and not e.weak:
            return e.typed(t) if e.type != t else e
        if e.weak and e.text.isdigit() and w:
            return Ex(e.text + {8: "ULL", 4: "U"}.get(w[0], "") if not w[1] else e.text, type=t)
        return Ex(f"({t}){e.at(UNARY)}", UNARY, t)

    def widen(self, t: CType, e: Ex) -> Ex:
        """``u64(e)``: the first operand is cast if there are several."""
        w, have = self.d.integer(t), self.d.integer(e.type) if e.type else None
        if w is None or w[0] != 8 or (have and have[0] == 8 and not e.weak) or e.prec not in (ADD, ADD + 1, SHIFT, BITAND):
            return self.cast(t, e)
        depth, cut = 0, -1
        for i, c in enumerate(e.text):
            depth += (c in "([") - (c in ")]")
            if c == " " and not depth:
                cut = i
                break
        if cut < 0:
            return self.cast(t, e)
        first = e.text[:cut]
        if first.isdigit():
            return Ex(f"{first}{'U' if not w[1] else ''}LL{e.text[cut:]}", e.prec, t)
        return Ex(f"({t}){first}{e.text[cut:]}", e.prec, t)

    # ---- addresses ----

    def address(self, e: Ex) -> Ex:
        """The address of a structure; others as they are."""
        if e.type is not None and self.d.is_struct(e.type) and (e.lvalue or e.fresh):
            return Ex(f"&{e.at(UNARY)}", UNARY, ptr(self.d.resolve(e.type)))
        return e

    def embeds(self, outer: CType, inner: CType) -> str | None:
        """The member of ``outer`` that is an ``inner`` and makes it one (what the port derives a class for)."""
        inner = self.d.resolve(inner)
        for name, t in self.d.fields(outer).items():
            if self.d.is_struct(t) and self.d.resolve(t) == inner:
                return name
        return None

    def coerce(self, e: Ex, want: CType | None, argument: bool = False) -> Ex:
        """``e``, made a ``want``. ``argument``: of a call, where a ``void *`` to data may be the place of a number."""
        load = getattr(self, "load", None)
        if load is not None and not (want is not None and want.kind == "base" and want.name.startswith(("__le", "__be"))):
            e = load(e)
        if want is None or e.type is None or e.text == "NULL":
            return e
        wp, hp = self.d.is_pointer(want), self.d.is_pointer(e.type)
        if wp and not hp:
            return self._to_pointer(e, want, argument)
        if hp and not wp:
            return self._from_pointer(e, want)
        if wp and hp:
            return self._between(e, want)
        name = want.name if want.kind == "base" else ""
        if name.startswith(("__le", "__be")) and not (e.type.name == name):
            return Ex(f"cpu_to_{name[2:]}({e.text})", type=want)
        return e

    def _to_pointer(self, e: Ex, want: CType, argument: bool) -> Ex:
        to = self.d.resolve(want).to
        if self.d.is_struct(e.type):        # type: ignore[arg-type]
            a = self.address(e)
            return self._between(a, want) if a is not e else e
        if e.weak and e.text == "0":
            return Ex("NULL", type=want)
        if self.d.integer(e.type) is not None:      # type: ignore[arg-type]
            same = to is not None and self.d.integer(to) is not None
            plain = self.d.resolve(e.type) if e.type is not None else VOID
            address = plain.name == "unsigned long" and not same        # the kernel's type of addresses
            if argument and e.lvalue and not address and (same or (to is not None and self.d.resolve(to).name == "void")):
                return Ex(f"&{e.at(UNARY)}", UNARY, ptr(e.type))        # type: ignore[arg-type]
            inner = e.at(UNARY) if e.weak else f"(unsigned long){e.at(UNARY)}"
            return Ex(f"({want}){inner}" if not e.weak else f"(void *){inner}", UNARY, want)
        return e

    def _from_pointer(self, e: Ex, want: CType) -> Ex:
        have = self.d.resolve(e.type)       # type: ignore[arg-type]
        if self.d.is_struct(want):
            if have.to is not None and self.d.resolve(have.to).name == "void":
                return Ex(f"*({want} *){e.at(UNARY)}", UNARY, want, lvalue=True)
            return Ex(f"*{e.at(UNARY)}", UNARY, want, lvalue=True)
        w = self.d.integer(want)
        if w is not None and e.text in {self.scope.spell(n) for n in self.scope.numbers} and have.to is not None:
            t = want if not (want.kind == "base" and want.name in ("int",)) else want
            return Ex(f"*({t.declare()} *){e.at(UNARY)}", UNARY, t)
        if w is not None and self.d.resolve(want).name not in ("bool", "_Bool"):
            return Ex(f"({want if w[0] == 8 else 'unsigned long'}){e.at(UNARY)}", UNARY, want)
        return e

    def _between(self, e: Ex, want: CType) -> Ex:
        a, b = self.d.resolve(e.type), self.d.resolve(want)      # type: ignore[arg-type]
        if a.to is None or b.to is None:
            return e
        have, need = self.d.resolve(a.to), self.d.resolve(b.to)
        if have == need or "void" in (have.name, need.name):
            if need.name == "void" or have.name == "void" or have == need:
                return e
        if self.d.is_struct(need) and self.d.is_struct(have):
            if (have.name, need.name) == ("struct page", "struct folio"):
                return Ex(f"page_folio({e.text})", type=want)
            inside = self.embeds(have, need)
            if inside:
                return Ex(f"&{e.at(UNARY + 1)}->{inside}", UNARY, want)
            around = self.embeds(need, have)
            if around:
                return Ex(f"container_of({e.text}, {need.name}, {around})", type=want)
            if not need.name.startswith("typedef "):
                return Ex(f"({need.name} *){e.at(UNARY)}", UNARY, want)
        if need.kind == "ptr" and have.kind == "ptr" and need.to is not None and self.d.resolve(need.to).name == "void":
            return Ex(f"(void **){e.at(UNARY)}", UNARY, want)
        if need.kind == "ptr" and need.to is not None and e.lvalue and self.d.is_struct(have) \
                and self.d.resolve(need.to) == have:
            return Ex(f"&{e.at(UNARY)}", UNARY, want)
        if need.kind == "ptr" and need.to is not None and e.lvalue and self.d.resolve(need.to).name == "void":
            return Ex(f"&{e.at(UNARY)}", UNARY, want)
        return e

    def alike(self, a: Ex, b: Ex) -> tuple[Ex, Ex]:
        """Two that are compared, or chosen between."""
        if a.type is None or b.type is None:
            return a, b
        pa, pb = self.d.is_pointer(a.type), self.d.is_pointer(b.type)
        if pa and not pb:
            if b.weak and b.text == "0":
                return a, Ex("NULL", type=a.type)
            if a.text in {self.scope.spell(n) for n in self.scope.numbers}:
                return self._from_pointer(a, b.type), b
            return a, self.coerce(b, a.type)
        if pb and not pa:
            b2, a2 = self.alike(b, a)
            return a2, b2
        if pa and pb and not a.weak and not b.weak:
            ta, tb = self.d.resolve(a.type).to, self.d.resolve(b.type).to
            if ta is not None and tb is not None and self.d.is_struct(ta) and self.d.is_struct(tb):
                return a, self._between(b, a.type)
        if self.d.is_struct(a.type) and self.d.is_struct(b.type):
            return self.address(a), self.address(b)
        return a, b

    @staticmethod
    def plain(e: Ex) -> Ex:
        """As a value, that has no address."""
        return replace(e, lvalue=False)
