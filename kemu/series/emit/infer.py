# SPDX-License-Identifier: GPL-2.0-only
"""The types of locals: from what is assigned to them, what they are compared with, and the parameters that they are given to."""
from __future__ import annotations

import ast

from kemu.series.emit import loops
from kemu.series.emit.ctype import BOOL, INT, VOID, CType, base, ptr
from kemu.series.emit.expr import Ex, Untranslated
from kemu.series.emit.expressions import Expressions
from kemu.series.emit.scope import Scope

ROUNDS = 5


def assigned(body: list[ast.stmt]) -> list[tuple[ast.expr, ast.expr | None, ast.AST]]:
    """(target, value or None, statement) of all assignments, in order; of a tuple by its parts."""
    out: list[tuple[ast.expr, ast.expr | None, ast.AST]] = []
    for top in body:
        for node in ast.walk(top):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        out += [(t, v, node) for t, v in zip(target.elts, node.value.elts)]
                    elif isinstance(target, ast.Tuple):
                        out += [(t, None, node) for t in target.elts]
                    else:
                        out.append((target, node.value, node))
            elif isinstance(node, ast.AnnAssign):
                out.append((node.target, node.value, node))
            elif isinstance(node, ast.AugAssign):
                out.append((node.target, node.value, node))
            elif isinstance(node, ast.For):
                targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
                out += [(t, None, node) for t in targets]
    return sorted(out, key=lambda o: (getattr(o[2], "lineno", 0), getattr(o[0], "col_offset", 0)))


def is_call_of(node: ast.expr | None, *names: str) -> bool:
    """Whether it is a call of one of these names."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def two_parts(node: ast.AST) -> tuple[ast.Name, ast.Name, ast.Call] | None:
    """(T, copied, the call of mem_read) of ``T.from_bytes(copied + mem_read(q, m))``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_bytes" \
            and isinstance(node.func.value, ast.Name) and isinstance(node.args[0], ast.BinOp) \
            and isinstance(node.args[0].left, ast.Name) and is_call_of(node.args[0].right, "mem_read"):
        assert isinstance(node.args[0].right, ast.Call)
        return node.func.value, node.args[0].left, node.args[0].right
    return None


def named(node: ast.AST) -> ast.Attribute | None:
    """``q`` of ``q.name + b"\\0"``: a name with its NUL, which C has as where it begins and ends."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.right, ast.Constant) \
            and node.right.value == b"\0" and isinstance(node.left, ast.Attribute) and node.left.attr == "name":
        return node.left
    return None


def stored_through(scope: Scope, name: str, given: int) -> tuple[int, CType] | None:
    """(number of the parameter, structure) of a function that returns nothing in C, and has a parameter more than the port, for
    what that returns.
    """
    t = scope.global_type(name)
    d = scope.declarations
    if t is None or t.kind != "func" or t.to != VOID or len(t.params) != given + 1:
        return None
    node = scope.port_function(name)
    said = node.returns if node is not None else None
    tag = scope.struct(said.id) if isinstance(said, ast.Name) else None
    for i, (_, pt) in enumerate(t.params):
        r = d.resolve(pt)
        if tag and r.kind == "ptr" and r.to is not None and d.resolve(r.to) == base(tag):
            return i, base(tag)
    return None


class Inference:
    """Of one function's locals, in a few rounds: a type may depend on another local's."""

    def __init__(self, x: Expressions, node: ast.FunctionDef, returns: CType | None = None):
        self.x = x
        self.returns = returns
        self.scope: Scope = x.scope
        self.node = node
        self.all = assigned(node.body)

    def run(self) -> None:
        """Fill in the scope's types."""
        s = self.scope
        for target, value, _ in self.all:
            if isinstance(target, ast.Name) and not s.is_local(target.id) and not is_call_of(value, "Labels"):
                s.types[target.id] = None
                s.locals.append(target.id)
                if is_call_of(value, "Ref"):
                    s.refs.add(target.id)
                if is_call_of(value, "mem_read") and isinstance(value, ast.Call) and len(value.args) == 2:
                    s.reads[target.id] = value.args[1]
        for _ in range(ROUNDS):
            before = dict(s.types)
            for name in s.locals:
                s.types[name] = self._one(name) or s.types[name]
            if s.types == before:
                break
        for name in s.locals:
            if s.types[name] is None:
                s.types[name] = INT

    def _one(self, name: str) -> CType | None:
        for node in ast.walk(self.node):
            parts = two_parts(node)
            if parts is not None and parts[1].id == name:
                tag = self.scope.struct(parts[0].id)
                return base(tag) if tag else None
        found: list[Ex] = []
        for target, value, node in self.all:
            if isinstance(target, ast.Name) and target.id == name:
                e = self._of(name, value, node)
                if e is not None:
                    found.append(e)
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == name \
                    and value is not None and name in self.scope.lengths:
                e = self._try(value)
                if e is not None and e.type is not None and e.text != "NULL":
                    return CType("array", to=self._kept(e), length=self.scope.lengths[name])
        if name in self.scope.refs:
            passed = self._passed(name)
            if passed is not None:
                return passed
        return self._merged(name, found)

    def _of(self, name: str, value: ast.expr | None, node: ast.AST) -> Ex | None:
        if isinstance(node, ast.AnnAssign) and not isinstance(value, ast.ListComp | ast.BinOp):
            t = self.annotated(node.annotation)
            if t == ptr(base("struct page")):
                t = None                    # or a folio: what is assigned says it
            if t is not None:
                return Ex("", type=t)
        if isinstance(node, ast.For):
            return self._of_loop(name, node)
        if value is None:
            return self._of_tuple(name, node)
        if named(value) is not None:
            to = self._used_as(name)
            return Ex("", type=to.to) if to is not None and to.to is not None else None
        through = self._through(value)
        if through is not None:
            return Ex("", type=through)
        if isinstance(value, ast.ListComp) or (isinstance(value, ast.BinOp) and isinstance(value.left, ast.List)):
            return self._array(name, value)
        found_parts = two_parts(value)
        if found_parts is not None:
            tag = self.scope.struct(found_parts[0].id)
            return Ex("", type=ptr(base(tag))) if tag else None
        return self._of_value(value, node)

    def _of_loop(self, name: str, node: ast.For) -> Ex | None:
        try:
            found = loops.loop(self.x, node)
        except Untranslated:
            return None
        for more, t in found.more.items():
            if more not in self.scope.types:
                self.scope.types[more] = t
                self.scope.locals.append(more)
        t2 = found.types.get(name)
        return Ex("loop", type=t2) if t2 is not None else None

    def _of_value(self, value: ast.expr, node: ast.AST) -> Ex | None:
        if isinstance(node, ast.AugAssign) and not isinstance(node.op, ast.Add | ast.BitOr):
            return None
        e = self._try(value)
        if e is None or e.type is None or e.text == "NULL":
            return None
        if isinstance(node, ast.AugAssign) and (e.type == BOOL or self.scope.declarations.is_pointer(e.type)):
            return None
        return e

    def _through(self, value: ast.expr) -> CType | None:
        """What a function of C stores through a pointer, where the port returns it."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            found = stored_through(self.scope, value.func.id, len(value.args))
            return found[1] if found is not None else None
        return None

    def _of_tuple(self, name: str, node: ast.AST) -> Ex | None:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call) or not isinstance(node.value.func, ast.Name):
            return None
        assert isinstance(node.targets[0], ast.Tuple)
        names = [t.id if isinstance(t, ast.Name) else "" for t in node.targets[0].elts]
        call = node.value
        assert isinstance(call.func, ast.Name)
        if call.func.id.startswith("check_"):
            if names.index(name) == 0:
                return Ex("", type=BOOL)
            if call.func.id.endswith("_s64"):
                return Ex("", type=base("s64"))
            if len(call.args) > 2:
                return Ex("", type=base("unsigned int"))
            return self._try(call.args[0])
        t = self.scope.global_type(call.func.id)
        if t is None or t.kind != "func":
            return None
        if names.index(name) == 0:
            return Ex("", type=t.to)
        last = self.scope.declarations.resolve(t.params[-1][1]) if t.params else None
        return Ex("", type=last.to) if last is not None and last.kind == "ptr" else None

    def _array(self, name: str, value: ast.expr) -> Ex | None:
        x = self.x
        if isinstance(value, ast.ListComp):
            count = value.generators[0].iter
            if not is_call_of(count, "range"):
                return None
            assert isinstance(count, ast.Call)
            length = self._try(count.args[0])
            element = self._try(value.elt)
        else:
            assert isinstance(value, ast.BinOp)
            length = self._try(value.right)
            assert isinstance(value.left, ast.List)
            element = self._try(value.left.elts[0])
        if length is None:
            return None
        self.scope.lengths[name] = length.text
        if element is None or element.type is None or element.text == "NULL":
            return None
        return Ex("", type=CType("array", to=x.d.resolve(element.type) if element.fresh else element.type, length=length.text))

    def _try(self, node: ast.expr) -> Ex | None:
        try:
            return self.x.load(self.x.ex(node))
        except Untranslated:
            return None

    def _kept(self, e: Ex) -> CType:
        """What a local is that keeps the value: of a structure in memory its address."""
        assert e.type is not None
        d = self.scope.declarations
        t = e.type
        if d.is_struct(t) and e.lvalue and not e.fresh:
            return ptr(t)
        r = d.resolve(t)
        if r.kind == "array" and r.to is not None and e.text:
            return ptr(r.to)
        if r.kind == "func":
            return ptr(r)
        if t.kind == "base" and t.const:
            return base(t.name)
        return t

    def _merged(self, name: str, found: list[Ex]) -> CType | None:
        d = self.scope.declarations
        strong = [self._kept(e) for e in found if not e.weak and e.type is not None]
        best: CType | None = None
        for t in strong:
            if best is None:
                best = t
            elif d.is_pointer(best) or d.is_pointer(t) or d.is_struct(best) or d.is_struct(t):
                best = self._pointer(best, t)
            else:
                best = self.x.common(best, t)
        weak = [e for e in found if e.weak and e.type is not None]
        if any(is_call_of(n, "for_each_set_bit") and isinstance(n.args[0], ast.Name) and n.args[0].id == name
               for n in ast.walk(self.node) if isinstance(n, ast.Call)):
            return base("unsigned long")
        if best is None and not weak:
            return self._used_as(name)
        if best is None:
            alone = self._partner(name) or (weak[0].type if all(e.type == weak[0].type for e in weak) else INT) or INT
            for e in weak:
                if e.type is not None and e.type != INT and d.integer(e.type) and d.integer(e.type) != d.integer(alone):
                    alone = self.x.common(alone, e.type) or alone
            best = alone
        returns = self.returns
        if d.integer(best) and best != BOOL and returns is not None and (d.integer(returns) or (0, False))[0] == 4 \
                and self._returned(name):
            return returns
        w = d.integer(best)
        if w is None:
            r = d.resolve(best)
            if r.kind == "ptr" and r.to is not None and d.resolve(r.to).name == "void":
                return self._used_as(name) or best
            return best
        if any(e.type != BOOL for e in found) and best == BOOL:
            best = INT
        elif w[0] < 4 and best != BOOL and not all(e.text.startswith("loop") for e in found):
            best = base("unsigned int") if not w[1] else INT
        if any(e.negative for e in found) and w[0] >= 4 and not w[1]:
            best = INT if w[0] == 4 else base("s64")
        return best

    def _returned(self, name: str) -> bool:
        """Whether it is what the function returns somewhere."""
        for node in ast.walk(self.node):
            value = node.value if isinstance(node, ast.Return) else None
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "goto":
                value = value.args[1]
            if isinstance(value, ast.Name) and value.id == name:
                return True
        return False

    def _pointer(self, a: CType, b: CType) -> CType:
        d = self.scope.declarations
        ta, tb = d.resolve(a), d.resolve(b)
        if d.integer(a):
            return b
        if ta.kind == "ptr" and ta.to is not None and d.resolve(ta.to).name == "void" and tb.kind == "ptr":
            return b
        if d.is_struct(a) and tb.kind == "ptr":
            return a
        return a

    def _partner(self, name: str) -> CType | None:
        """Of a number without a width: what it is compared with."""
        best: CType | None = None
        for node in ast.walk(self.node):
            if isinstance(node, ast.Compare) and len(node.ops) == 1:
                for one, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
                    if isinstance(one, ast.Name) and one.id == name:
                        e = self._try(other)
                        if e is not None and not e.weak and e.type is not None and self.scope.declarations.integer(e.type) \
                                and e.type != BOOL:
                            best = self.x.common(best, self.x.promoted(e.type)) if best else self.x.promoted(e.type)
        return best

    def _used_as(self, name: str) -> CType | None:
        """Of a ``void *``: what its members say that it points to, or the function that it is given to; a number if it is used as
        one.
        """
        d = self.scope.declarations
        members: set[str] = set()
        number = any(isinstance(t, ast.Name) and t.id == name and isinstance(v, ast.Name) and v.id in self.scope.numbers
                     for t, v, _ in self.all)
        for node in ast.walk(self.node):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
                members.add(node.attr)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub) \
                    and isinstance(node.left, ast.Name) and node.left.id == name and isinstance(node.right, ast.Constant):
                return base("unsigned long")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                t = self.scope.global_type(node.func.id)
                for arg, (_, pt) in zip(node.args, t.params if t is not None and t.kind == "func" else ()):
                    r = d.resolve(pt)
                    if number and isinstance(arg, ast.Name) and arg.id == name and d.integer(pt) is not None:
                        return pt
                    if isinstance(arg, ast.Name) and arg.id == name and r.kind == "ptr" and r.to is not None \
                            and d.is_struct(r.to) and d.resolve(r.to).name.startswith("struct "):
                        return ptr(d.resolve(r.to))
        members -= {"v", "p", "copy"}
        if members:
            near = "/".join(self.scope.near.split("/")[:-1]) or "fs/"
            tag = d.having(members, self.scope.near) or d.having(members, near)
            return ptr(base(tag)) if tag else None
        return None

    def _passed(self, name: str) -> CType | None:
        """Of a Ref: what the functions that are given it write there."""
        d = self.scope.declarations
        for node in ast.walk(self.node):
            if not isinstance(node, ast.Call):
                continue
            func = node.func
            called = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
            t = self.scope.global_type(called)
            if t is None or t.kind != "func":
                continue
            for arg, (_, pt) in zip(node.args, t.params):
                if isinstance(arg, ast.Name) and arg.id == name:
                    r = d.resolve(pt)
                    if r.kind == "ptr" and r.to is not None and d.resolve(r.to).name != "void":
                        return r.to if not r.to.const else base(r.to.name)
        return None

    def annotated(self, node: ast.expr) -> CType | None:
        """The C type of an annotation; None for one that says nothing (``int``, ``Any``)."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        if isinstance(node, ast.Attribute):
            node = ast.Name(node.attr)
        if isinstance(node, ast.Name):
            if node.id == "bool":
                return BOOL
            if node.id in ("int", "Any", "str", "bytes", "Ref", "View"):
                return None
            tag = self.scope.struct(node.id)
            return ptr(base(tag)) if tag else None
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "list":
            inner = self.annotated(node.slice)
            return ptr(inner) if inner is not None and inner.to == base("struct page") else inner
        return None
