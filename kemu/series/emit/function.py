# SPDX-License-Identifier: GPL-2.0-only
"""One function: from its Python and the signature that C declares, to its C."""
from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field

from kemu.series.emit import layout, source
from kemu.series.emit.cparse import parse_prototype
from kemu.series.emit.ctype import VOID, CType, base, ptr
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expr import Untranslated
from kemu.series.emit.expressions import Expressions
from kemu.series.emit.idioms import heads
from kemu.series.emit.infer import Inference, assigned, is_call_of, stored_through
from kemu.series.emit.scope import Scope
from kemu.series.emit.statements import Statements


@dataclass
class Emitted:
    """A function in C. ``missing``: the statements that are only marked."""

    name: str
    text: str
    missing: list[str] = field(default_factory=list)


def emit(module: source.Module, node: ast.FunctionDef, declarations: Declarations, head: str = "", name: str = "",
         extra: dict[str, CType] | None = None, path: str = "") -> Emitted:
    """The C of a function. ``head``: what stands before its body, as the tree (or whoever declares it) has it.

    ``Untranslated``: nothing declares it, or with other parameters.
    """
    name = name or node.name
    node = copy.deepcopy(node)
    for n in ast.walk(node):
        for part in ("body", "orelse", "finalbody"):
            if isinstance(getattr(n, part, None), list):
                setattr(n, part, [s for s in getattr(n, part) if not _inner_import(module.imports, s)])
    scope = Scope(declarations, module, extra=extra or {}, near=path)
    own = parse_prototype(head) if head else None
    t = own[1] if own is not None else scope.global_type(name)
    if t is None or t.kind != "func" or t.to is None:
        raise Untranslated(f"{name}: nothing declares it")
    _parameters(scope, node, t)
    x = Expressions(scope)
    statics = _statics(scope, node)
    Inference(x, node, t.to).run()
    for p in scope.params:
        scope.locals = [n for n in scope.locals if n != p]
    w = Statements(x, node, t.to)
    _ladders(w, node)
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    declared, rest = _opening(w, body)
    declared = statics + scope.converted + declared
    w.last_line = max([node.lineno, *(s.end_lineno or 0 for s in body[:len(body) - len(rest)])])
    for text in w.begin:
        w.say(0, text)
    w.block(rest, 0)
    w.tail()
    text = layout.function(head or t.declare(name), declared + _remaining(w, declared), w.lines.out)
    return Emitted(name, text, w.missing)


def returned(module: source.Module, node: ast.FunctionDef, declarations: Declarations, t: CType, near: str,
             extra: dict[str, CType]) -> CType | None:
    """What a function gives that Python says is a number, if that is wider than int; None if int will do."""
    node = copy.deepcopy(node)
    scope = Scope(declarations, module, extra=dict(extra), near=near)
    _parameters(scope, node, t)
    x = Expressions(scope)
    Inference(x, node).run()
    errors = _hold_errors(node)
    wide: CType | None = None
    for n in ast.walk(node):
        if isinstance(n, ast.Return) and n.value is not None:
            if isinstance(n.value, ast.Name) and n.value.id in errors:
                return None
            try:
                e = x.load(x.ex(n.value))
            except Untranslated:
                return None
            if e.negative or e.type is None:
                return None
            w = declarations.integer(e.type)
            if w is not None and w[0] == 8 and not e.weak:
                wide = base("u64") if not w[1] else base("s64")
    return wide


def _hold_errors(node: ast.FunctionDef) -> set[str]:
    """The locals that are given ``-EINVAL`` or ``PTR_ERR()``: int, whatever else they are given."""
    return {t.id for t, v, _ in assigned(node.body) if isinstance(t, ast.Name)
            and (is_call_of(v, "PTR_ERR") or (isinstance(v, ast.UnaryOp) and isinstance(v.op, ast.USub)
                                              and isinstance(v.operand, ast.Name) and v.operand.id.startswith("E")))}


def _parameters(scope: Scope, node: ast.FunctionDef, t: CType) -> None:
    given = [*node.args.posonlyargs, *node.args.args]
    params = [p for p in t.params if p[0] != "..."]
    two = len(params) == len(given) + 1 and "tuple" in ast.unparse(node.returns or ast.Constant(""))
    through = stored_through(scope, node.name, len(given))
    if through is not None:
        scope.names["*through"] = params[through[0]][0]
        scope.types["*through"] = params[through[0]][1]
        scope.names[params[through[0]][0]] = f"{params[through[0]][0]}_"       # of a local that has the same name
        del params[through[0]]
    elif two:
        scope.names["*out"] = params[-1][0]
    elif len(params) != len(given):
        raise Untranslated(f"{node.name}: {len(given)} parameters, {len(params)} in C")
    for arg, (c_name, ct) in zip(given, params):
        typed = _said(scope, arg, ct)
        if typed is not None:
            scope.types[arg.arg] = typed
            scope.params.add(arg.arg)
            scope.names[arg.arg] = arg.arg if arg.arg != c_name else f"{arg.arg}_"
            scope.converted.append(f"{typed.declare(scope.names[arg.arg])} = {c_name};")
            continue
        scope.types[arg.arg] = ct
        scope.params.add(arg.arg)
        scope.names[arg.arg] = c_name or arg.arg
        said = ast.unparse(arg.annotation) if arg.annotation else ""
        if said == "Ref":
            scope.cells.add(arg.arg)
        r = scope.declarations.resolve(ct)
        if said == "int" and r.kind == "ptr" and r.to is not None and scope.declarations.resolve(r.to).name == "void":
            scope.numbers.add(arg.arg)


def _said(scope: Scope, arg: ast.arg, ct: CType) -> CType | None:
    """Of a parameter that C says is ``void *``, the structure that the port says that it is."""
    r = scope.declarations.resolve(ct)
    if r.kind != "ptr" or r.to is None or scope.declarations.resolve(r.to).name != "void":
        return None
    if not isinstance(arg.annotation, ast.Name):
        return None
    tag = scope.struct(arg.annotation.id)
    return ptr(base(tag)) if tag and arg.annotation.id not in ("Any", "int") else None


def _statics(scope: Scope, node: ast.FunctionDef) -> list[str]:
    """What the port keeps among the statics of its file, and C inside of the function (it declares no such name outside)."""
    known: dict[str, ast.stmt] = {}
    for cls in scope.module.classes.values():
        if any(isinstance(d, ast.Name) and d.id == "statics" for d in cls.decorator_list):
            for s in cls.body:
                if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name):
                    known[s.target.id] = s
                elif isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name):
                    known[s.targets[0].id] = s
    out = []
    for n in ast.walk(node):
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and scope.is_module(n.value.id) and n.attr in known \
                and not scope.declarations.knows(n.attr) and n.attr not in scope.types:
            s = known[n.attr]
            if isinstance(s, ast.AnnAssign) and isinstance(s.annotation, ast.Name) and s.annotation.id in _STATIC:
                macro, t = _STATIC[s.annotation.id]
                out.append(f"static {macro}({n.attr});")
                scope.types[n.attr] = base(t)
            elif isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, bool | int):
                t = "bool" if isinstance(s.value.value, bool) else "int"
                out.append(f"static {t} {n.attr};")
                scope.types[n.attr] = base(t)
    return out


_STATIC = {"mutex": ("DEFINE_MUTEX", "struct mutex"), "spinlock_t": ("DEFINE_SPINLOCK", "spinlock_t")}


def _inner_import(imports: dict[str, tuple[str, str]], s: ast.stmt) -> bool:
    """Whether a statement is an import, which is the module's from then on: C has it at its top."""
    if not isinstance(s, ast.ImportFrom):
        return False
    for alias in s.names:
        imports.setdefault(alias.asname or alias.name, (s.module or "", alias.name))
    return True


def _ladders(w: Statements, node: ast.FunctionDef) -> None:
    """All labels, before anything jumps to them."""
    for s in ast.walk(node):
        if isinstance(s, ast.Assign) and is_call_of(s.value, "Labels") and isinstance(s.targets[0], ast.Name):
            w.labels.setdefault(s.targets[0].id, [])
        elif isinstance(s, ast.FunctionDef) and s is not node:
            w.statement(s, 0)
    for ladder in w.labels.values():
        ladder.sort(key=lambda l: l[1].lineno)
    node.body = [s for s in node.body if not isinstance(s, ast.FunctionDef)]


def _opening(w: Statements, body: list[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
    """The assignments at a function's top are the values of its declarations."""
    scope = w.x.scope
    out: list[str] = []
    done: set[str] = set()
    i = 0
    for i, stmt in enumerate(body):
        try:
            texts = _declared(w, stmt, done)
        except (Untranslated, AssertionError):
            texts = None
        if texts is None:
            break
        out += texts
    else:
        i = len(body)
    for name in done:
        scope.locals.remove(name)
    return out, body[i:]


def _declared(w: Statements, stmt: ast.stmt, done: set[str]) -> list[str] | None:
    scope = w.x.scope
    if isinstance(stmt, ast.ImportFrom):
        return []
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(stmt, ast.AnnAssign) and stmt.value is not None:
        pairs = [(stmt.target, stmt.value)]
    elif isinstance(stmt, ast.Assign) and len(stmt.targets) == 1:
        target = stmt.targets[0]
        if isinstance(target, ast.Tuple) and isinstance(stmt.value, ast.Tuple):
            pairs = list(zip(target.elts, stmt.value.elts))
        else:
            pairs = [(target, stmt.value)]
    if not pairs or is_call_of(pairs[0][1], "Labels"):
        return None
    names = [t.id for t, _ in pairs if isinstance(t, ast.Name)]
    if len(names) != len(pairs) or any(n in done or n not in scope.locals for n in names):
        return None
    out = []
    for target, value in pairs:
        assert isinstance(target, ast.Name)
        t = scope.types[target.id]
        assert t is not None
        e = w.stored(value, t)
        text = e.text
        if e.fresh and isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            w.begin += [f"INIT_LIST_HEAD(&{scope.spell(target.id)}.{m})" for m in heads(w.x, value)]
        if e.fresh and scope.declarations.is_struct(t) and text.startswith("("):
            text = text[text.index("{"):]
        out += _initialised(t.declare(scope.spell(target.id)), text)
    done.update(names)
    return out


def _initialised(declared: str, text: str) -> list[str]:
    """``struct x y = { ... };``, a member a line if it does not fit into one."""
    if not text.startswith("{ .") or layout.columns(f"\t{declared} = {text};") <= layout.WIDTH:
        return [f"{declared} = {text};"]
    rows, depth = [""], 0
    for c in text[1:-1]:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            rows.append("")
        else:
            rows[-1] += c
    return [f"{declared} = {{", *(f"\t{row.strip()}," for row in rows), "};"]


def _remaining(w: Statements, declared: list[str]) -> list[str]:
    """The declarations of locals that are given their values later."""
    scope = w.x.scope
    rows: dict[str, list[str]] = {}
    variables = [(scope.spell(n), scope.types[n]) for n in scope.locals] + list(w.extra.items())
    for name, t in variables:
        if t is None or t == VOID:
            continue
        if t.kind == "array":
            rows.setdefault(f"{t.declare(name)} = {{}}", [])
            continue
        inner, stars = t, ""
        while inner.kind == "ptr" and inner.to is not None and inner.to.kind in ("base", "ptr"):
            inner, stars = inner.to, stars + "*"
        if inner.kind == "base":
            rows.setdefault(inner.declare(), []).append(stars + name)
        else:
            rows.setdefault(t.declare(name), [])
    return [f"{t} {', '.join(names)};" if names else f"{t};" for t, names in rows.items()]
