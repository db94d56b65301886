# SPDX-License-Identifier: GPL-2.0-only
"""Expressions: Python's operators, names, members and calls as C's, with their types."""
from __future__ import annotations

import ast
import re
from dataclasses import replace

from kemu.series.emit import idioms
from kemu.series.emit.convert import Converter
from kemu.series.emit.ctype import BOOL, INT, TEXT, VOIDP, CType, base, ptr
from kemu.series.emit.expr import ADD, AND, ATOM, BITAND, BITOR, COND, EQ, MUL, OR, POST, REL, SHIFT, UNARY, XOR, Ex, Untranslated
from kemu.series.emit.macros import MACRO_TYPES

_BINARY = {ast.Add: ("+", ADD), ast.Sub: ("-", ADD), ast.Mult: ("*", MUL), ast.FloorDiv: ("/", MUL), ast.Mod: ("%", MUL),
           ast.BitAnd: ("&", BITAND), ast.BitOr: ("|", BITOR), ast.BitXor: ("^", XOR), ast.LShift: ("<<", SHIFT),
           ast.RShift: (">>", SHIFT)}
_COMPARE = {ast.Eq: ("==", EQ), ast.NotEq: ("!=", EQ), ast.Is: ("==", EQ), ast.IsNot: ("!=", EQ), ast.Lt: ("<", REL),
            ast.LtE: ("<=", REL), ast.Gt: (">", REL), ast.GtE: (">=", REL)}
# what the compiler warns of without brackets
_CLEARER = {BITOR, XOR, BITAND}


class Expressions(Converter):
    """What each kind of expression becomes."""

    def ex(self, node: ast.expr, want: CType | None = None) -> Ex:
        """The expression in C; ``want`` is what type is needed, where one is."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise Untranslated(ast.unparse(node))
        out: Ex = method(node, want)
        return out

    def value(self, node: ast.expr, want: CType | None, argument: bool = False) -> Ex:
        """As :meth:`ex`, made what is wanted."""
        return self.coerce(self.ex(node, want), want, argument)

    def cond(self, node: ast.expr) -> Ex:
        """As something that is tested."""
        return self._boolop(node, BOOL) if isinstance(node, ast.BoolOp) else self.ex(node)

    # ---- names and numbers ----

    def _constant(self, node: ast.Constant, want: CType | None) -> Ex:
        v = node.value
        if v is None:
            return Ex("NULL", type=VOIDP, weak=True)
        if isinstance(v, bool):
            return Ex("true" if v else "false", type=BOOL)
        if isinstance(v, int):
            if v == 0 and want is not None and self.d.is_pointer(want):
                return Ex("NULL", type=VOIDP, weak=True)
            text = (ast.get_source_segment(self.scope.module.text, node) or str(v)).replace("_", "")
            if not re.fullmatch(r"0[xX][0-9a-fA-F]+|\d+|0o[0-7]+", text) or int(text, 0) != v:
                text = hex(v) if v > 4096 else str(v)
            text = "0" + text[2:] if text.startswith("0o") else text
            return Ex(text + ("ULL" if v >= 1 << 63 else "LL" if v >= 1 << 32 else ""), type=base("u64") if v >= 1 << 32 else INT,
                      weak=True)
        if isinstance(v, str):
            return Ex(_quoted(v), type=TEXT)
        if isinstance(v, bytes):
            return Ex(_quoted(v.removesuffix(b"\0").decode("latin-1")), type=TEXT)
        raise Untranslated(repr(v))

    def _name(self, node: ast.Name, want: CType | None) -> Ex:
        name = node.id
        s = self.scope
        if s.is_local(name):
            t = s.types[name]
            if name in s.refs:
                return Ex(f"&{s.spell(name)}", UNARY, ptr(t) if t else None)
            return Ex(s.spell(name), type=t, lvalue=True)
        if name == "NULL":
            return Ex("NULL", type=VOIDP, weak=True)
        name = self.real(name)
        t = s.global_type(name)
        if t is not None:
            return Ex(name, type=t, lvalue=t.kind != "func", weak=t is INT)
        if self.d.is_macro(name):
            params, body = self.d.macros[name]
            if params is None and re.fullmatch(r"\w+", body) and not body[0].isdigit() and s.global_type(body):
                return Ex(name, type=s.global_type(body), lvalue=True)
            return Ex(name, type=self.macro_type(name), weak=True)
        known = s.constant(name)
        if known is not None:
            if isinstance(known, ast.Constant | ast.BinOp | ast.Attribute | ast.Call | ast.UnaryOp | ast.Name):
                inner = self.ex(known, want)
                return replace(inner, text=f"({inner.text})", prec=ATOM) if inner.prec < UNARY else inner
        tag = s.struct(name)
        if tag:
            return Ex(tag, type=base(tag))
        if name in s.module.functions or name in s.module.imports:
            return Ex(name)
        raise Untranslated(name)

    def real(self, name: str) -> str:
        """``FS_READ`` is what linux/fs.h calls ``READ``."""
        found = self.scope.module.imports.get(name)
        return found[1] if found and found[1] and not self.d.knows(name) and self.d.knows(found[1]) else name

    def macro_type(self, name: str) -> CType | None:
        """The type of what a macro gives, as far as its text says it."""
        if name in MACRO_TYPES:
            return MACRO_TYPES[name]
        _, body = self.d.macros[name]
        m = re.match(r"\(*\(((?:struct |unsigned |const )?\w+)\s*(\**)\)\s*[(\w]", body)
        if m and (m[1].startswith(("struct ", "unsigned ")) or m[1] in ("void", "u64", "u32", "s64", "__u64", "gfp_t", "int",
                                                                         "fmode_t", "size_t")):
            t = base(m[1].removeprefix("const "))
            for _ in m[2]:
                t = ptr(t)
            return t
        if re.fullmatch(r"\(?-?(0x[0-9a-fA-F]+|\d+)\)?", body):
            return INT
        if re.fullmatch(r"\(?~?-?(0x[0-9a-fA-F]+|\d+)[uU]?[lL]+\)?(.*)", body):
            return base("unsigned long")
        of = re.match(r"container_of(?:_const)?\(\w+, ?(struct \w+), ?\w+\)$", body)
        if of:
            return ptr(base(of[1]))
        call = re.match(r"\(*(?:alloc_hooks\()?(\w+)\(", body)
        if call and call[1] != name and body.count("(") == body.count(")"):
            t2 = self.scope.global_type(call[1])
            if t2 is not None and t2.kind == "func" and t2.to is not None:
                return t2.to
            if self.d.is_macro(call[1]):
                return self.macro_type(call[1])
        return None

    # ---- members ----

    def _attribute(self, node: ast.Attribute, want: CType | None) -> Ex:
        if isinstance(node.value, ast.Name) and self.scope.is_module(node.value.id):
            if node.value.id == "arch" or self.scope.module.imports.get(node.value.id, ("", ""))[1] == "arch":
                return Ex(node.attr, type=MACRO_TYPES.get(node.attr, base("unsigned long")), weak=node.attr != "PAGE_SIZE")
            return self._name(ast.Name(node.attr), want)
        if node.attr == "SIZE" and isinstance(node.value, ast.Name):
            tag = self.scope.struct(node.value.id)
            if tag:
                return Ex(f"sizeof({tag})", type=base("size_t"))
        if node.attr == "v":
            return self._cell(node)
        of = self.ex(node.value)
        if node.attr == "p":
            of = self.address(of)
            return Ex(f"(void *){of.at(UNARY)}", UNARY, VOIDP)
        return self.member(of, node.attr)

    def _cell(self, node: ast.Attribute) -> Ex:
        """``x.v``: what a Ref holds, what ``ptr_to()`` points to."""
        inner = node.value
        if isinstance(inner, ast.Name) and inner.id in self.scope.refs:
            return Ex(self.scope.spell(inner.id), type=self.scope.types[inner.id], lvalue=True)
        of = self.ex(inner)
        to = self.d.resolve(of.type) if of.type else None
        if to is not None and to.kind == "ptr" and to.to is not None:
            cell = self.d.is_pointer(to.to) or self.d.integer(to.to) is not None
            if cell or (isinstance(inner, ast.Name) and inner.id in self.scope.cells):
                return Ex(f"*{of.at(UNARY)}", UNARY, to.to, lvalue=True)
        return of

    def member(self, of: Ex, name: str) -> Ex:
        """``of.name`` or ``of->name``, through the structures that are inside if need be."""
        t = self.d.resolve(of.type) if of.type else None
        arrow = "->" if t is None or t.kind in ("ptr", "array") else "."
        if t is None:
            return Ex(f"{of.at(POST)}->{name}", POST, None, lvalue=True)
        path = self.path_to(t, name) or (self.path_to(t, name[:-1]) if name.endswith("_") else None)
        if path is None:
            raise Untranslated(f"{t} has no member {name}")
        at: CType | None = t
        for part in path:
            at = self.d.member(at, part) if at is not None else None
        return Ex(f"{of.at(POST)}{arrow}{'.'.join(path)}", POST, at, lvalue=True)

    def path_to(self, t: CType, name: str) -> list[str] | None:
        """The members that lead to ``name``: the class of the port may have flattened a union, or derive from what C embeds."""
        if self.d.member(t, name) is not None:
            return [name]
        inner = t.to if t.kind in ("ptr", "array") and t.to is not None else t
        for m, mt in self.d.fields(inner).items():
            if self.d.is_struct(mt) and ("{" in mt.name or m in ("vfs_inode", "bw_bio", "u", "kobj")):
                if self.d.member(mt, name) is not None:
                    return [m, name]
        return None

    def load(self, e: Ex) -> Ex:
        """Its value: what is on disk is turned to the processor's order."""
        if e.lvalue and e.type is not None and e.type.kind == "base":
            m = re.fullmatch(r"__(le|be)(16|32|64)", e.type.name)
            if m:
                return Ex(f"{m[1]}{m[2]}_to_cpu({e.text})", type=base(f"u{m[2]}"))
        return e

    def _subscript(self, node: ast.Subscript, want: CType | None) -> Ex:
        if isinstance(node.slice, ast.Slice):
            raise Untranslated(ast.unparse(node))
        of = self.ex(node.value)
        t = self.d.resolve(of.type) if of.type else None
        index = self.load(self.ex(node.slice))
        element = t.to if t is not None and t.kind in ("ptr", "array") else None
        return Ex(f"{of.at(POST)}[{index.text}]", POST, element, lvalue=True)

    # ---- operators ----

    def _unaryop(self, node: ast.UnaryOp, want: CType | None) -> Ex:
        if isinstance(node.op, ast.Not):
            if isinstance(node.operand, ast.UnaryOp) and isinstance(node.operand.op, ast.Not):
                inner = self.load(self.ex(node.operand.operand))
                return Ex(f"!!{inner.at(UNARY)}", UNARY, BOOL)
            inner = self.load(self.cond(node.operand))
            return Ex(f"!{inner.at(UNARY)}", UNARY, BOOL)
        inner = self.load(self.ex(node.operand))
        if isinstance(node.op, ast.USub):
            return Ex(f"-{inner.at(UNARY)}", UNARY, inner.type if inner.type and not inner.weak else INT, weak=inner.weak,
                      negative=inner.weak)
        if isinstance(node.op, ast.Invert):
            return Ex(f"~{inner.at(UNARY)}", UNARY, inner.type, weak=inner.weak)
        raise Untranslated(ast.unparse(node))

    def _binop(self, node: ast.BinOp, want: CType | None) -> Ex:
        a, b = self.load(self.ex(node.left)), self.load(self.ex(node.right))
        op, prec = _BINARY.get(type(node.op), ("", 0))
        if not op or any(isinstance(n, ast.Constant) and isinstance(n.value, str | bytes) for n in (node.left, node.right)):
            raise Untranslated(ast.unparse(node))
        return self.binary(a, op, prec, b)

    def binary(self, a: Ex, op: str, prec: int, b: Ex) -> Ex:
        """One operator of C; numbers of Python do not wrap, so that what may grow is widened."""
        t = self.arithmetic(a, b, op)
        if op == "<<" and a.text == "1" and b.text.isdigit() and int(b.text) >= 31:
            a = Ex("1ULL", type=base("u64"))
            t = a.type
        elif op == "<<" and not a.weak and a.type and self.narrow(a.type):
            if not (b.weak and b.text.isdigit() and int(b.text) < 16):
                a = self.cast(base("u64"), a)
                t = a.type
        elif op == "*" and not a.weak and not b.weak and a.type and b.type and self.narrow(a.type) and self.narrow(b.type) \
                and not (self._small(a) or self._small(b)):
            a = self.cast(base("u64"), a)
            t = a.type
        if op in "+-" and a.type and self.d.is_pointer(a.type) and not (b.type and self.d.is_pointer(b.type)):
            to = self.d.resolve(a.type).to
            if to is not None and self.d.resolve(to).name != "void" and (self.d.integer(to) or (0,))[0] != 1:
                a = Ex(f"(void *){a.at(UNARY)}", UNARY, VOIDP)      # addresses are numbers in Python: bytes
                t = VOIDP
        if op == "-" and a.type and b.type and self.d.is_pointer(a.type) and self.d.is_pointer(b.type) \
                and self.d.resolve(a.type).to != self.d.resolve(b.type).to:
            a, b = (Ex(f"(void *){e.at(UNARY)}", UNARY, VOIDP) for e in (a, b))
        left, right = a.at(prec), b.at(prec + 1)
        if prec in _CLEARER or op in ("<<", ">>"):
            left = f"({a.text})" if (SHIFT <= a.prec < UNARY and a.prec != prec and a.prec != MUL) or (a.prec in _CLEARER \
                and a.prec != prec) else left
            right = f"({b.text})" if b.prec in (ADD, SHIFT, *_CLEARER) else right
        return Ex(f"{left} {op} {right}", prec, t, weak=a.weak and b.weak)

    def _small(self, e: Ex) -> bool:
        w = self.d.integer(e.type) if e.type else None
        return w is not None and w[0] < 4

    def _boolop(self, node: ast.BoolOp, want: CType | None) -> Ex:
        tested = want is not None and self.d.resolve(want).name in ("bool", "_Bool")
        parts = [self.load(self.cond(v) if tested else self.ex(v)) for v in node.values]
        if isinstance(node.op, ast.Or) and not tested and len(parts) == 2 and parts[0].type not in (None, BOOL):
            parts = list(self.alike(*parts))
            return Ex(f"{parts[0].at(OR)} ?: {parts[1].at(COND)}", COND, parts[0].type or parts[1].type)
        op, prec = ("||", OR) if isinstance(node.op, ast.Or) else ("&&", AND)
        if any(p.text.startswith("{") for p in parts):
            raise Untranslated(ast.unparse(node))
        texts = [f"({p.text})" if p.prec < prec or (p.prec == AND and prec == OR) else p.text for p in parts]
        return Ex(f" {op} ".join(texts), prec, BOOL)

    def _compare(self, node: ast.Compare, want: CType | None) -> Ex:
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(node.comparators[0], ast.Tuple):
            left = self.load(self.ex(node.left))
            tests = [f"{left.at(EQ + 1)} == {self.ex(e).at(EQ + 1)}" for e in node.comparators[0].elts]
            text = " || ".join(tests)
            return Ex(text, OR, BOOL) if isinstance(node.ops[0], ast.In) else Ex(f"!({text})", UNARY, BOOL)
        special = idioms.compare(self, node)
        if special is not None:
            return special
        left_node = node.left
        parts = []
        for op, right_node in zip(node.ops, node.comparators):
            if type(op) not in _COMPARE:
                raise Untranslated(ast.unparse(node))
            parts.append(self._one_compare(left_node, op, right_node))
            left_node = right_node
        return parts[0] if len(parts) == 1 else Ex(" && ".join(p.text for p in parts), AND, BOOL)

    def _one_compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Ex:
        a, b = self.load(self.ex(left)), self.load(self.ex(right))
        a, b = self.alike(a, b)
        if b.text == "NULL" and isinstance(op, ast.Is | ast.Eq):
            return Ex(f"!{a.at(UNARY)}", UNARY, BOOL)
        if b.text == "NULL" and isinstance(op, ast.IsNot | ast.NotEq):
            return Ex(f"!!{a.at(UNARY)}", UNARY, BOOL)
        text, prec = _COMPARE[type(op)]
        left_text, right_text = a.at(prec + 1), b.at(prec + 1)
        return Ex(f"{left_text} {text} {right_text}", prec, BOOL)

    def _ifexp(self, node: ast.IfExp, want: CType | None) -> Ex:
        test = self.cond(node.test)
        if test.type is not None and test.lvalue and self.d.is_struct(test.type):
            return self.ex(node.body, want)     # what is part of another structure is always there
        a, b = self.load(self.ex(node.body, want)), self.load(self.ex(node.orelse, want))
        if want is not None:
            a, b = self.coerce(a, want), self.coerce(b, want)
        else:
            a, b = self.alike(a, b)
        t = self.arithmetic(a, b, "+") if not (a.type and self.d.is_pointer(a.type)) else a.type
        if a.weak and a.text == "NULL":
            t = b.type
        return Ex(f"{test.at(OR)} ? {a.at(COND)} : {b.at(COND)}", COND, t, weak=a.weak and b.weak)

    def _call(self, node: ast.Call, want: CType | None) -> Ex:
        return idioms.call(self, node, want)

    def _tuple(self, node: ast.Tuple, want: CType | None) -> Ex:
        raise Untranslated(ast.unparse(node))


def _quoted(text: str) -> str:
    out = []
    for c in text:
        if c in '"\\':
            out.append("\\" + c)
        elif c == "\n":
            out.append("\\n")
        elif c == "\t":
            out.append("\\t")
        elif ord(c) < 32:
            out.append(f"\\{ord(c):03o}")
        else:
            out.append(c)
    return f'"{"".join(out)}"'
