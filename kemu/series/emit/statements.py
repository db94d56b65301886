# SPDX-License-Identifier: GPL-2.0-only
"""Statements: blocks, branches, loops, and the few idioms that stand for goto."""
from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from kemu.series.emit import loops
from kemu.series.emit.ctype import VOID, CType, base
from kemu.series.emit.expr import COND, UNARY, Ex, Untranslated
from kemu.series.emit.expressions import Expressions
from kemu.series.emit.infer import is_call_of, named, stored_through, two_parts


@dataclass
class Lines:
    """The C of a block: (depth, text) of each line; a label has depth -1."""

    out: list[tuple[int, str]] = field(default_factory=list)

    def add(self, depth: int, text: str) -> None:
        """One line."""
        self.out.append((depth, text))


@dataclass
class Goto:
    """``try: ... finally:``, which a return leaves by a label. ``ret``: what is returned at the end."""

    label: str
    ret: str
    used: bool = False


_MADE = ("list_head", "spinlock_t", "mutex", "completion", "rw_semaphore", "kobject", "work_struct", "rcu_head",
         "wait_queue_head_t")
_LABEL = re.compile(r"^\w+:( .*)?$|^goto |^C: |^noqa|^type: ")


class Statements:
    """Writes a function's statements."""

    def __init__(self, x: Expressions, node: ast.FunctionDef, returns: CType):
        self.x = x
        self.node = node
        self.returns = returns
        self.lines = Lines()
        self.missing: list[str] = []
        self.tries: list[Goto] = []
        self.loops: list[str] = []              # labels behind loops that have an else; "" for others
        self.labels: dict[str, list[tuple[str, ast.FunctionDef]]] = {}
        self.ret = ""
        self.names = set(x.scope.types)
        self.extra: dict[str, CType] = {}       # variables that only C has
        self.begin: list[str] = []              # what structures on the stack begin with
        self.last_line = node.lineno
        self.source = x.scope.module.text.split("\n")

    # ---- blocks ----

    def block(self, body: list[ast.stmt], depth: int) -> None:
        """Statements, one after the other; one that cannot be translated is marked."""
        for i, stmt in enumerate(body):
            if i and self.lines.out and self._spaced(stmt):
                self.lines.add(0, "")
            self.comment(stmt, depth)
            mark = len(self.lines.out)
            try:
                self.statement(stmt, depth)
            except (Untranslated, AssertionError, IndexError, KeyError, AttributeError) as e:
                del self.lines.out[mark:]
                text = ast.unparse(stmt).split("\n")[0]
                self.missing.append(f"{text}    ({e})" if isinstance(e, Untranslated) and str(e) != text else text)
                self.lines.add(depth, f"/* kemu: not translated: {text.replace('*/', '* /')} */;")
            self.last_line = max(self.last_line, stmt.end_lineno or 0)

    def _spaced(self, stmt: ast.stmt) -> bool:
        """Whether an empty line stands before a statement and its comments."""
        line = self._above(stmt) - 1
        return 0 < line <= len(self.source) and not self.source[line - 1].strip() and self.lines.out[-1][1] != ""

    def comment(self, stmt: ast.stmt, depth: int) -> None:
        """The comments that stand before a statement."""
        found = self.x.scope.module.comments
        texts: list[str] = []
        line = stmt.lineno - 1
        while line > self.last_line and line in found and found[line][1]:
            texts.insert(0, found[line][0])
            line -= 1
        texts = [t.replace("*/", "* /") for t in texts if not _LABEL.match(t)]
        if not texts:
            return
        if len(texts) == 1 and len(texts[0]) + 8 * depth < 74:
            self.lines.add(depth, f"/* {texts[0]} */")
            return
        self.lines.add(depth, "/*")
        width = max(30, 76 - 8 * depth)
        for text in texts:
            row = ""
            for word in text.split():
                if row and len(row) + 1 + len(word) > width:
                    self.lines.add(depth, f" * {row}")
                    row = word
                else:
                    row = f"{row} {word}".strip()
            self.lines.add(depth, f" * {row}".rstrip())
        self.lines.add(depth, " */")

    def statement(self, stmt: ast.stmt, depth: int) -> None:
        """One statement."""
        method = getattr(self, f"_{type(stmt).__name__.lower()}", None)
        if method is None:
            raise Untranslated(ast.unparse(stmt).split("\n")[0])
        method(stmt, depth)

    def say(self, depth: int, text: str) -> None:
        """A statement of C."""
        self.lines.add(depth, text + ";")

    # ---- simple ones ----

    def _pass(self, stmt: ast.Pass, depth: int) -> None:
        self.say(depth, "")

    def _break(self, stmt: ast.Break, depth: int) -> None:
        label = self.loops[-1] if self.loops else ""
        self.say(depth, f"goto {label}" if label else "break")

    def _continue(self, stmt: ast.Continue, depth: int) -> None:
        self.say(depth, "continue")

    def _nonlocal(self, stmt: ast.Nonlocal, depth: int) -> None:
        pass

    def _importfrom(self, stmt: ast.ImportFrom, depth: int) -> None:
        for alias in stmt.names:
            self.x.scope.module.imports.setdefault(alias.asname or alias.name, (stmt.module or "", alias.name))

    def _expr(self, stmt: ast.Expr, depth: int) -> None:
        if isinstance(stmt.value, ast.Constant):
            return
        jump = self._jump(stmt.value)
        if jump is not None:
            self.say(depth, f"goto {jump[0]}")
            return
        if is_call_of(stmt.value, "kfree", "kvfree") and isinstance(stmt.value, ast.Call):
            of = self.x.ex(stmt.value.args[0])
            if of.type is not None and of.lvalue and (self.x.d.is_struct(of.type) or self.x.d.resolve(of.type).kind == "array"):
                self.lines.add(depth, f"/* {of.text} is part of what holds it */;")
                return
        self.say(depth, self.x.ex(stmt.value).text)

    def _assert(self, stmt: ast.Assert, depth: int) -> None:
        pass

    def _augassign(self, stmt: ast.AugAssign, depth: int) -> None:
        from kemu.series.emit.expressions import _BINARY  # noqa: PLC0415  (its table)

        target = self.x.ex(stmt.target)
        value = self.x.load(self.x.ex(stmt.value))
        op, _ = _BINARY[type(stmt.op)]
        if value.text == "1" and op in "+-":
            self.say(depth, f"{target.at(UNARY) if target.prec < UNARY + 1 and '*' in target.text[:1] else target.text}{op * 2}"
                     if not target.text.startswith("*") else f"({target.text}){op * 2}")
            return
        if target.type is not None and value.type is not None and self.x.d.integer(target.type) == (8, False) and op == "<<":
            value = self.x.cast(base("u64"), value)
        self.say(depth, f"{target.text} {op}= {value.text}")

    def _annassign(self, stmt: ast.AnnAssign, depth: int) -> None:
        if stmt.value is not None:
            self.assign([stmt.target], stmt.value, depth)

    def _assign(self, stmt: ast.Assign, depth: int) -> None:
        if is_call_of(stmt.value, "Labels"):
            assert isinstance(stmt.targets[0], ast.Name)
            self.labels.setdefault(stmt.targets[0].id, [])
            return
        if len(stmt.targets) == 1 and isinstance(stmt.targets[0], ast.Tuple):
            self._tuple(stmt.targets[0], stmt.value, depth)
            return
        self.assign(stmt.targets, stmt.value, depth)

    def _tuple(self, target: ast.Tuple, value: ast.expr, depth: int) -> None:
        if isinstance(value, ast.Tuple):
            written = {n.id for t in target.elts for n in ast.walk(t) if isinstance(n, ast.Name)}
            read = {n.id for v in value.elts[1:] for n in ast.walk(v) if isinstance(n, ast.Name)}
            plain = {t.id for t in target.elts if isinstance(t, ast.Name)}
            if plain & read or not written:
                raise Untranslated(ast.unparse(value))
            for t, v in zip(target.elts, value.elts):
                self.assign([t], v, depth)
            return
        self.say(depth, self.out_parameter(target, value))

    def out_parameter(self, target: ast.Tuple, value: ast.expr) -> str:
        """``overflow, end = check_add_overflow(a, b)``, ``lo, type = decode(...)``: what C gives through its last argument."""
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name)) or len(target.elts) != 2:
            raise Untranslated(ast.unparse(value))
        x = self.x
        first, second = x.ex(target.elts[0]), x.ex(target.elts[1])
        name = value.func.id
        if name.startswith("check_"):
            args = [x.load(x.ex(a)).at(COND) for a in value.args[:2]]
            name = re.sub(r"_[su](32|64)$", "", name)
            return f"{first.text} = {name}({', '.join(args)}, &{second.at(UNARY)})"
        t = x.scope.global_type(name)
        if t is None or t.kind != "func" or len(t.params) != len(value.args) + 1:
            raise Untranslated(ast.unparse(value))
        args = [x.value(a, pt, argument=True).at(COND) for a, (_, pt) in zip(value.args, t.params)]
        return f"{first.text} = {name}({', '.join(args)}, &{second.at(UNARY)})"

    def assign(self, targets: list[ast.expr], value: ast.expr, depth: int) -> None:
        """``a = b = value``"""
        if isinstance(targets[0], ast.Name) and targets[0].id in self.x.scope.lengths:
            return                      # an array is declared with its zeros
        if is_call_of(value, *_MADE) and len(targets) == 1 and isinstance(targets[0], ast.Attribute):
            return                      # a part of a structure, which C has in it
        if self._pieces(targets, value, depth) or self._through(targets, value, depth):
            return
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and not value.args \
                and self._is_array(targets[0]):
            return                      # a table of C, which Python makes for each machine
        places = [self.x.ex(ast.Attribute(t, "v") if isinstance(t, ast.Name) and t.id in self.x.scope.refs else t)
                  for t in targets]
        if any(not p.text for p in places):
            raise Untranslated(ast.unparse(value))
        t = places[0].type
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod) and isinstance(value.left, ast.Constant) \
                and isinstance(value.left.value, str):
            self.say(depth, self._formatted(places[0], value))
            return
        e = self.stored(value, t)
        if e.text.startswith(places[0].text + " = "):
            e = Ex(e.text.partition(" = ")[2])
        self.say(depth, f"{' = '.join(p.text for p in places)} = {e.text}")

    def _is_array(self, target: ast.expr) -> bool:
        t = self.x.ex(target).type
        return t is not None and self.x.d.resolve(t).kind == "array"

    def _through(self, targets: list[ast.expr], value: ast.expr, depth: int) -> bool:
        """``x = f(a)`` where C has ``f(a, &x)``."""
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or len(targets) != 1:
            return False
        found = stored_through(self.x.scope, value.func.id, len(value.args))
        if found is None:
            return False
        t = self.x.scope.global_type(value.func.id)
        assert t is not None
        params = [p for i, p in enumerate(t.params) if i != found[0]]
        args = [self.x.value(a, pt, argument=True).at(COND) for a, (_, pt) in zip(value.args, params)]
        args.insert(found[0], f"&{self.x.ex(targets[0]).at(UNARY)}")
        self.say(depth, f"{value.func.id}({', '.join(args)})")
        return True

    def _pieces(self, targets: list[ast.expr], value: ast.expr, depth: int) -> bool:
        """``copied = mem_read(p, n)`` and ``x = T.from_bytes(copied + mem_read(q, m))``: a structure that is copied in two parts.
        """
        if len(targets) != 1 or not isinstance(targets[0], ast.Name):
            return False
        for node in ast.walk(self.node):
            found = two_parts(node)
            if found is None:
                continue
            whole, first, second = found
            length = next((s.value.args[1] for s in ast.walk(self.node) if isinstance(s, ast.Assign)
                           and isinstance(s.targets[0], ast.Name) and s.targets[0].id == first.id
                           and isinstance(s.value, ast.Call)), None)
            tag = self.x.scope.struct(whole.id)
            if length is None or tag is None:
                continue
            place = self.x.scope.spell(first.id)
            if targets[0].id == first.id and isinstance(value, ast.Call):
                of, n = self.x.ex(value.args[0]).text, self.x.load(self.x.ex(value.args[1])).text
                self.say(depth, f"memcpy(&{place}, {of}, {n})")
                return True
            if value is node:
                self.say(depth, f"memcpy((void *)&{place} + {self.x.load(self.x.ex(length)).text}, "
                                f"{self.x.ex(second.args[0]).text}, {self.x.load(self.x.ex(second.args[1])).text})")
                self.say(depth, f"{self.x.scope.spell(targets[0].id)} = &{place}")
                return True
        return False

    def stored(self, value: ast.expr, t: CType | None) -> Ex:
        """A value that is put in a place of type ``t``."""
        x = self.x
        if isinstance(value, ast.ListComp) or (isinstance(value, ast.BinOp) and isinstance(value.left, ast.List)):
            return Ex("{}")
        if t is not None and x.d.resolve(t).name == "struct qstr":
            e = x.ex(value)
            if e.type is not None and x.d.resolve(e.type).kind == "ptr":
                return Ex(f"(struct qstr)QSTR_INIT({e.text}, strlen({e.text}))")
        whole = named(value)
        if whole is not None and t is not None and x.d.is_struct(t):
            first, last = list(x.d.fields(t))[:2]
            begin, length = x.ex(whole).text, x.member(x.ex(whole.value), "len").text
            return Ex(f"({x.d.resolve(t).name}) {{ .{first} = {begin}, .{last} = {begin} + {length} }}", fresh=True)
        e = x.value(value, t)
        if t is not None and x.d.resolve(t).kind == "array" and e.text == "NULL":
            return Ex("{}")
        return e

    def _formatted(self, place: Ex, value: ast.BinOp) -> str:
        if place.type is None or self.x.d.resolve(place.type).kind not in ("array", "ptr"):
            raise Untranslated(ast.unparse(value))
        args = value.right.elts if isinstance(value.right, ast.Tuple) else [value.right]
        texts = [self.x.ex(value.left).text, *(self.x.load(self.x.ex(a)).at(COND) for a in args)]
        if self.x.d.resolve(place.type).kind == "array":
            return f"snprintf({place.text}, sizeof({place.text}), {', '.join(texts)})"
        raise Untranslated(ast.unparse(value))

    # ---- leaving ----

    def _jump(self, node: ast.expr | None) -> tuple[str, ast.expr] | None:
        """(label, value) of ``out.goto(label, value)``."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "goto" \
                and isinstance(node.func.value, ast.Name) and isinstance(node.args[0], ast.Name):
            return node.args[0].id, node.args[1]
        return None

    def _return(self, stmt: ast.Return, depth: int) -> None:
        jump = self._jump(stmt.value)
        void = self.returns == VOID
        through = self.x.scope.names.get("*through")
        if through is not None and stmt.value is not None:
            t = self.x.d.resolve(self.x.scope.types["*through"] or VOID)
            self.say(depth, f"*{through} = {self.x.value(stmt.value, t.to).text}")
            if stmt is not self.node.body[-1]:
                self.say(depth, "return")
            return
        if jump is not None:
            label, value = jump
            if not void:
                self._put(value, self.result(), depth)
            self.say(depth, f"goto {label}")
            return
        if self.tries:
            goto = self.tries[-1]
            goto.used = True
            if stmt.value is not None and not void:
                self._put(stmt.value, goto.ret, depth)
            self.say(depth, f"goto {goto.label}")
            return
        if stmt.value is None or void:
            if stmt.value is not None and not isinstance(stmt.value, ast.Constant):
                self.say(depth, self.x.ex(stmt.value).text)
            self.say(depth, "return")
            return
        if isinstance(stmt.value, ast.Tuple) and self.x.scope.params:
            self._return_two(stmt.value, depth)
            return
        self.say(depth, f"return {self.x.value(stmt.value, self.returns).text}")

    def _return_two(self, value: ast.Tuple, depth: int) -> None:
        """The second goes through the last parameter, which only C has."""
        last = self.x.scope.names.get("*out", "")
        if not last or len(value.elts) != 2:
            raise Untranslated(ast.unparse(value))
        self.say(depth, f"*{last} = {self.x.load(self.x.ex(value.elts[1])).text}")
        self.say(depth, f"return {self.x.value(value.elts[0], self.returns).text}")

    def _put(self, value: ast.expr, ret: str, depth: int) -> None:
        e = self.x.value(value, self.returns)
        if e.text != ret:
            self.say(depth, f"{ret} = {e.text}")

    def result(self) -> str:
        """The variable that is returned behind labels: the one that is mostly given to goto(), or a new one."""
        if self.ret:
            return self.ret
        names = [j[1].id for n in ast.walk(self.node) if isinstance(n, ast.expr) for j in [self._jump(n)]
                 if j is not None and isinstance(j[1], ast.Name)]
        names += [n.value.id for n in ast.walk(self.node) if isinstance(n, ast.Return) and isinstance(n.value, ast.Name)]
        scope = self.x.scope
        good = [n for n in names if n in scope.locals and scope.types[n] == self.returns and n not in scope.refs]
        best = max(set(good), key=lambda n: (good.count(n), n)) if good else ""
        self.ret = scope.spell(best) if best and self._not_read_behind(best) else self.new("err" if not best else "ret",
                                                                                           self.returns)
        return self.ret

    def _not_read_behind(self, name: str) -> bool:
        """Whether no label's own statements look at it: then it may be what is returned."""
        for labels in self.labels.values():
            for _, f in labels:
                if any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(f)):
                    return False
        return all(not any(isinstance(n, ast.Name) and n.id == name for s in t.finalbody for n in ast.walk(s))
                   for t in ast.walk(self.node) if isinstance(t, ast.Try))

    def new(self, name: str, t: CType) -> str:
        """A variable that only C has."""
        while name in self.names or name in self.x.scope.names.values():
            name += "_"
        self.names.add(name)
        self.extra[name] = t
        return name

    # ---- branches and loops ----

    def _if(self, stmt: ast.If, depth: int, prefix: str = "", braces: bool = False) -> None:
        test = self.x.cond(stmt.test)
        braces = braces or self._braces(stmt)
        self.lines.add(depth, f"{prefix}if ({self._test(test)})" + (" {" if braces else ""))
        self.block(stmt.body, depth + 1)
        rest = stmt.orelse
        if not rest:
            if braces:
                self.lines.add(depth, "}")
            return
        close = "} else " if braces else "else "
        if len(rest) == 1 and isinstance(rest[0], ast.If):
            self.last_line = max(self.last_line, rest[0].lineno - 1)
            self._if(rest[0], depth, close, braces)
            return
        self.lines.add(depth, close + "{" if braces else "else")
        self.block(rest, depth + 1)
        if braces:
            self.lines.add(depth, "}")

    def _test(self, e: Ex) -> str:
        return self.x.load(e).text

    def _braces(self, stmt: ast.If) -> bool:
        """Whether any branch of the chain needs them."""
        chain: ast.stmt | None = stmt
        while isinstance(chain, ast.If):
            for body in (chain.body, chain.orelse):
                if len(body) == 1 and body is chain.orelse and isinstance(body[0], ast.If):
                    continue
                if not self._short(body):
                    return True
            chain = chain.orelse[0] if len(chain.orelse) == 1 else None
        return False

    def _short(self, body: list[ast.stmt]) -> bool:
        """Whether it is one line of C."""
        if not body:
            return True
        simple = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Break, ast.Continue)
        if len(body) != 1 or not isinstance(body[0], simple):
            return False
        s = body[0]
        if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant):
            return False
        if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Tuple):
            return False
        if isinstance(s, ast.Return):
            if self._jump(s.value) is not None or (self.tries and s.value is not None):
                return False
            if self.returns == VOID and s.value is not None:
                return False
            if isinstance(s.value, ast.Tuple):
                return False
        return all(line not in self.x.scope.module.comments for line in range(self._above(s), s.lineno))

    def _above(self, s: ast.stmt) -> int:
        line = s.lineno
        found = self.x.scope.module.comments
        while line - 1 in found and found[line - 1][1]:
            line -= 1
        return line

    def _while(self, stmt: ast.While, depth: int) -> None:
        label = ""
        if stmt.orelse:
            label = self.label("out_loop")
        forever = isinstance(stmt.test, ast.Constant) and stmt.test.value is True
        last = stmt.body[-1]
        until = (last.test if forever and isinstance(last, ast.If) and not last.orelse and len(last.body) == 1
                 and isinstance(last.body[0], ast.Break) and not _continues(stmt.body) else None)
        self.loops.append(label)
        if until is not None and len(stmt.body) > 1:
            self.lines.add(depth, "do {")
            self.block(stmt.body[:-1], depth + 1)
            self.lines.add(depth, f"}} while ({self.x.load(self.x.ex(_negated(until))).text});")
        else:
            test = "1" if forever else self._test(self.x.cond(stmt.test))
            self.lines.add(depth, f"while ({test}) {{")
            self.block(stmt.body, depth + 1)
            self.lines.add(depth, "}")
        self.loops.pop()
        self._otherwise(stmt.orelse, label, depth)

    def _otherwise(self, orelse: list[ast.stmt], label: str, depth: int) -> None:
        if orelse:
            self.block(orelse, depth)
            self.lines.add(-1, f"{label}:")
            self.say(depth, "")

    def label(self, name: str) -> str:
        """A label that is not taken."""
        used = {f for labels in self.labels.values() for f, _ in labels} | self.names
        k = ""
        while f"{name}{k}" in used:
            k = str(int(k or 1) + 1)
        self.names.add(f"{name}{k}")
        return f"{name}{k}"

    def _for(self, stmt: ast.For, depth: int) -> None:
        found = loops.loop(self.x, stmt)
        for name, t in found.more.items():
            if name not in self.x.scope.types and name not in self.extra:
                self.extra[name] = t
        label = self.label("out_loop") if stmt.orelse else ""
        self.loops.append(label)
        for text in found.before:
            self.say(depth, text)
        self.lines.add(depth, f"{found.head} {{")
        self.block(stmt.body, depth + 1)
        self.lines.add(depth, "}")
        self.loops.pop()
        self._otherwise(stmt.orelse, label, depth)

    def _try(self, stmt: ast.Try, depth: int) -> None:
        if stmt.handlers or stmt.orelse:
            raise Untranslated(ast.unparse(stmt).split("\n")[0])
        ret = self.result() if self.returns != VOID else ""
        goto = Goto(self.label("out"), ret)
        self.tries.append(goto)
        self.block(stmt.body, depth)
        self.tries.pop()
        if goto.used:
            if self.lines.out and self.lines.out[-1] == (depth, f"goto {goto.label};"):
                self.lines.out.pop()
            self.lines.add(-1, f"{goto.label}:")
        self.block(stmt.finalbody, depth)
        if goto.used and stmt is self.node.body[-1]:
            self.say(depth, f"return {ret}".rstrip())
        elif goto.used:
            raise Untranslated("a try block that is left by return, with statements behind it")

    def _with(self, stmt: ast.With, depth: int) -> None:
        call = stmt.items[0].context_expr
        if len(stmt.items) != 1 or stmt.items[0].optional_vars or not is_call_of(call, "scoped_with_creds", "guard"):
            raise Untranslated(ast.unparse(stmt).split("\n")[0])
        self.lines.add(depth, f"{self.x.ex(call).text} {{")
        self.block(stmt.body, depth + 1)
        self.lines.add(depth, "}")

    def _functiondef(self, stmt: ast.FunctionDef, depth: int) -> None:
        for decorator in stmt.decorator_list:
            if isinstance(decorator, ast.Attribute) and decorator.attr == "label" and isinstance(decorator.value, ast.Name):
                self.labels.setdefault(decorator.value.id, []).append((stmt.name, stmt))
                return
        raise Untranslated(f"def {stmt.name}")

    def tail(self) -> None:
        """The labels, behind the last return."""
        void = self.returns == VOID
        for ladder in self.labels.values():
            if not ladder:
                continue
            if self.lines.out and not void:
                self._last_return(ladder)
            jumped = False
            for name, f in ladder:
                self.lines.add(-1, f"{name}:")
                self.last_line = max(self.last_line, f.lineno)
                self.block(f.body, 0)
                jumped = any(self._jump(s.value) is not None for s in f.body if isinstance(s, ast.Expr))
            if not jumped and not void:
                self.say(0, f"return {self.result()}")
            elif not jumped and self.lines.out[-1][0] == -1:
                self.say(0, "return")

    def _last_return(self, ladder: list[tuple[str, ast.FunctionDef]]) -> None:
        """``goto done;`` right before ``done:`` need not be said."""
        if self.lines.out[-1] == (0, f"goto {ladder[0][0]};"):
            self.lines.out.pop()


def _continues(body: list[ast.stmt]) -> bool:
    """Whether a continue belongs to the loop whose body this is."""
    for s in body:
        if isinstance(s, ast.Continue):
            return True
        if isinstance(s, ast.If) and (_continues(s.body) or _continues(s.orelse)):
            return True
        if isinstance(s, ast.Try | ast.With) and _continues(s.body):
            return True
    return False


def _negated(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    opposite = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
                ast.Is: ast.IsNot, ast.IsNot: ast.Is}
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in opposite:
        return ast.Compare(test.left, [opposite[type(test.ops[0])]()], test.comparators)
    return ast.UnaryOp(ast.Not(), test)
