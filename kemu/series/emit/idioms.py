# SPDX-License-Identifier: GPL-2.0-only
"""Calls: of functions, macros and function pointers of C, of the classes that are structures, and of what only the ports' idioms
have.
"""
from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kemu.series.emit.ctype import BOOL, INT, TEXT, VOIDP, CType, base, ptr
from kemu.series.emit.expr import COND, POST, UNARY, Ex, Untranslated
from kemu.series.emit.macros import LIKE_FIRST, MACRO_TYPES, PLACES

if TYPE_CHECKING:
    from kemu.series.emit.expressions import Expressions

CASTS = {"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "loff_t", "size_t", "pgoff_t", "gfp_t", "ino_t", "sector_t"}
# names of the emulation for a function of C that has another
RENAMED = {"check_add_overflow_s64": "check_add_overflow", "crc32c": "crc32c", "ulong": "unsigned long"}


def call(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    """A call as C has it."""
    func = node.func
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and x.scope.is_module(func.value.id):
        func = ast.Name(func.attr)
        node = ast.copy_location(ast.Call(func, node.args, node.keywords), node)
    if isinstance(func, ast.Attribute):
        return _method(x, node, func, want)
    if not isinstance(func, ast.Name):
        raise Untranslated(ast.unparse(node))
    name = func.id
    if name in x.scope.types:
        f = x.ex(func)
        return _function(x, f.text, _function_type(x, f.type), node)
    name = x.real(name)
    special = SPECIAL.get(name)
    if special is not None:
        return special(x, node, want)
    if name in CASTS:
        return x.widen(base(name), x.load(x.ex(node.args[0])))
    t = x.scope.global_type(name)
    if t is not None and t.kind == "func":
        tag = x.scope.struct(name)
        if tag and (node.keywords or (not node.args and t.params)):
            return _struct(x, tag, node)
        return _function(x, name, t, node)
    if t is not None and t.kind == "ptr":           # or a variable that the emulation asks a function for
        of = _function_type(x, t)
        return _function(x, name, of, node) if of or node.args else Ex(name, type=t, lvalue=True)
    if x.d.is_macro(name):
        return _macro(x, name, node)
    tag = x.scope.struct(name)
    if tag:
        return _struct(x, tag, node)
    if t is not None and not node.args and t.kind == "array":
        return Ex(name, type=t)
    helper = _inline(x, name, node, want)
    if helper is not None:
        return helper
    raise Untranslated(f"{name}(): the file sees no such function")


def _function_type(x: Expressions, t: CType | None) -> CType | None:
    t = x.d.resolve(t) if t is not None else None
    if t is not None and t.kind == "ptr" and t.to is not None:
        t = x.d.resolve(t.to)
    return t if t is not None and t.kind == "func" else None


def _method(x: Expressions, node: ast.Call, func: ast.Attribute, want: CType | None) -> Ex:
    if func.attr == "encode":
        return x.ex(func.value)
    if func.attr == "copy" and not node.args:
        of = x.ex(func.value)
        if of.type is not None and x.d.is_pointer(of.type):
            t = x.d.resolve(of.type).to
            if t is not None and x.d.resolve(t).name == "void":
                return of
            return Ex(f"*{of.at(UNARY)}", UNARY, t, fresh=True)
        return Ex(of.text, of.prec, of.type, fresh=True)
    if func.attr == "assign" and len(node.args) == 1:
        of = x.ex(func.value)
        t = x.d.resolve(of.type) if of.type else None
        to = t.to if t is not None and t.kind == "ptr" else t
        place = f"*{of.at(UNARY)}" if t is not None and t.kind == "ptr" else of.text
        return Ex(f"{place} = {x.value(node.args[0], to).text}", 1)
    if func.attr == "from_bytes":
        raise Untranslated(ast.unparse(node))
    of = x.ex(func.value)
    said = _said_in_c(x, of, func.attr) if not node.args else None
    if said is not None and isinstance(func.value, ast.Name):
        return Ex(re.sub(r"\bself\b", of.text, said), POST)
    m = x.member(of, func.attr)
    return _function(x, m.text, _function_type(x, m.type), node)


def _said_in_c(x: Expressions, of: Ex, method: str) -> str | None:
    """The C that the docstring of a method gives: ``memset(self, 0, ...)`` in double backticks, and nothing else."""
    from kemu.series.emit import source  # noqa: PLC0415  (a module of its own only here)

    t = x.d.resolve(of.type) if of.type else None
    tag = x.d.resolve(t.to).name.removeprefix("struct ") if t is not None and t.kind == "ptr" and t.to is not None else ""
    seen = [x.scope.module, *(m for mod, _ in x.scope.module.imports.values() for m in [source.module(mod)] if m is not None)]
    for m in seen:
        for s in m.classes[tag].body if tag in m.classes else ():
            if isinstance(s, ast.FunctionDef) and s.name == method:
                said = re.fullmatch(r"``([^`]+)``", (ast.get_docstring(s) or "").strip())
                return said[1] if said else None
    return None


def _function(x: Expressions, text: str, t: CType | None, node: ast.Call) -> Ex:
    """A call of a function with these parameters."""
    params = list(t.params) if t is not None else []
    variadic = bool(params) and params[-1][0] == "..."
    params = params[:-1] if variadic else params
    given = list(node.args)
    if node.keywords:
        by_name = {k.arg: k.value for k in node.keywords}
        given += [by_name.pop(n) for n, _ in params[len(given):] if n in by_name]
        if by_name:
            raise Untranslated(ast.unparse(node))
    args = []
    for i, arg in enumerate(given):
        if isinstance(arg, ast.Starred):
            raise Untranslated(ast.unparse(node))
        pt = params[i][1] if i < len(params) else None
        e = x.value(arg, pt, argument=True)
        if text in PLACES and PLACES[text] == i and e.lvalue and e.type is not None and x.d.integer(e.type):
            e = Ex(f"&{e.at(UNARY)}", UNARY)
        args.append(e)
    if t is not None and not variadic and len(args) != len(params):
        raise Untranslated(f"{text}() has {len(params)} parameters in C, {len(args)} here")
    out = t.to if t is not None else None
    return Ex(f"{text}({', '.join(a.at(COND) for a in args)})", POST, out)


def _macro(x: Expressions, name: str, node: ast.Call) -> Ex:
    params, body = x.d.macros[name]
    if params is None:
        target = re.fullmatch(r"\w+", body)
        t = x.scope.global_type(body) if target else None
        if t is not None and t.kind == "func":
            return _function(x, name, t, node)
        return Ex(name, type=x.macro_type(name), lvalue=True)
    if name == "kmem_cache_create":
        return _cache(x, node)
    args: list[Ex] = []
    types: list[CType | None] = []
    given = [*node.args, *(k.value for k in node.keywords)]
    inner = _passes_on(x, params, body)
    for i, arg in enumerate(given):
        p = params[i] if i < len(params) else "..."
        pasted = re.search(rf"(\w+)\s*##\s*{re.escape(p)}\b", body)
        if pasted and isinstance(arg, ast.Name):
            args.append(Ex(arg.id.removeprefix(pasted[1])))
            types.append(None)
            continue
        e = x.value(arg, inner.get(p), argument=p in inner)
        types.append(e.type)
        place = PLACES.get(name) == i and e.type is not None and x.d.integer(e.type) is not None
        if e.type is not None and (x.d.is_struct(e.type) or place):
            e = Ex(f"&{e.at(UNARY)}", UNARY, ptr(e.type))
        args.append(e)
    if "..." not in params and len(args) != len(params):
        raise Untranslated(f"{name}() has {len(params)} parameters in C, {len(args)} here")
    walked = re.fullmatch(r"\(*(\w+)\)*((?:(?:->|\.)\w+)+)\)*", body)
    if walked and name not in MACRO_TYPES and walked[1] in params and types[params.index(walked[1])] is not None:
        at: CType | None = types[params.index(walked[1])]
        for part in re.findall(r"\w+", walked[2]):
            at = x.d.member(at, part) if at is not None else None
        return Ex(f"{name}({', '.join(a.at(COND) for a in args)})", POST, at, lvalue=True)
    t = MACRO_TYPES.get(name) or (types[0] if name in LIKE_FIRST and types else None) or x.macro_type(name)
    return Ex(f"{name}({', '.join(a.at(COND) for a in args)})", POST, t)


def _passes_on(x: Expressions, params: list[str], body: str) -> dict[str, CType]:
    """Of a macro that is a call of a function: the types of its parameters that are handed on."""
    m = re.fullmatch(r"\(?(\w+)\(([^()]*)\)\)?", body)
    t = x.scope.global_type(m[1]) if m else None
    if m is None or t is None or t.kind != "func":
        return {}
    out = {}
    for word, (_, pt) in zip(m[2].split(","), t.params):
        if word.strip() in params:
            out[word.strip()] = pt
    return out


def _struct(x: Expressions, tag: str, node: ast.Call) -> Ex:
    """``z_erofs_bvec(page=p)``: a compound literal. A single number or address is a view of what is there."""
    t = base(tag)
    if len(node.args) == 1 and not node.keywords and _is_view(x, node):
        e = x.address(x.load(x.ex(node.args[0])))
        have = x.d.resolve(e.type) if e.type else None
        if have is not None and have.kind == "ptr" and have.to is not None and x.d.resolve(have.to).name == "void":
            return Ex(f"({tag} *){e.at(UNARY)}", UNARY, ptr(t), lvalue=False)
        return Ex(f"({tag} *){e.at(UNARY)}", UNARY, ptr(t))
    out = []
    assert isinstance(node.func, ast.Name)
    for name, arg in constructed(x, node.func.id, node):
        path = x.path_to(t, name)
        if path is None:
            raise Untranslated(f"{tag} has no member {name}")
        at: CType | None = t
        for part in path:
            at = x.d.member(at, part) if at is not None else None
        e = x.value(arg, at)
        out.append(f".{'.'.join(path)} = {e.at(COND)}")
    inside = ", ".join(out)
    return Ex(f"({tag}) {{ {inside} }}" if inside else f"({tag}) {{}}", POST, t, fresh=True)


def heads(x: Expressions, node: ast.Call) -> list[str]:
    """The members of a structure that its class makes list heads: on the stack C has to, too."""
    assert isinstance(node.func, ast.Name)
    init = _initialiser(x, node.func.id)
    return [t.attr for s in (init.body if init else ()) if isinstance(s, ast.Assign) for t in s.targets
            if isinstance(t, ast.Attribute) and isinstance(s.value, ast.Call) and isinstance(s.value.func, ast.Name)
            and s.value.func.id == "list_head"]


def _initialiser(x: Expressions, name: str) -> ast.FunctionDef | None:
    """The ``__init__`` of a class of the port."""
    from kemu.series.emit import source  # noqa: PLC0415  (a module of its own only here)

    m = x.scope.module
    for _ in range(3):
        if name in m.classes:
            break
        found = m.imports.get(name)
        inner = source.module(found[0]) if found else None
        stars = [s for n, (s, _) in m.imports.items() if n.startswith("*")]
        if inner is None:
            inner = next((sm for s in stars for sm in [source.module(s)] if sm and (name in sm.classes or name in sm.constants)),
                         None)
        if inner is None:
            others = (source.module(f"{mod}.{n}") for mod, n in m.imports.values())
            inner = next((sm for sm in others if sm and name in sm.classes), None)
        if inner is None:
            break
        m, name = inner, found[1] if found else name
        alias = m.constants.get(name)
        if isinstance(alias, ast.Name):
            name = alias.id
    cls = m.classes.get(name)
    return next((s for s in cls.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"), None) if cls else None


def constructed(x: Expressions, name: str, node: ast.Call) -> list[tuple[str, ast.expr]]:
    """(member, value) of all that a constructor is given, and of what its class begins with that is not zero."""
    given: list[tuple[str, ast.expr]] = [(k.arg or "", k.value) for k in node.keywords]
    init = _initialiser(x, name)
    if init is None:
        if node.args:
            raise Untranslated(ast.unparse(node))
        return given
    values = dict(zip((a.arg for a in init.args.args[1:]), node.args)) | dict(given)
    out: list[tuple[str, ast.expr]] = []
    for s in init.body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(s, ast.AnnAssign) and s.value is not None:
            pairs = [(s.target, s.value)]
        elif isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Tuple) and isinstance(s.value, ast.Tuple):
            pairs = list(zip(s.targets[0].elts, s.value.elts))
        elif isinstance(s, ast.Assign):
            pairs = [(t, s.value) for t in s.targets]
        for target, value in pairs:
            if not isinstance(target, ast.Attribute):
                continue
            if isinstance(value, ast.Name) and value.id in values:
                out.append((target.attr, values.pop(value.id)))
            elif (isinstance(value, ast.Name) and value.id not in ("NULL", "self") \
                    and value.id not in (a.arg for a in init.args.args)) or (isinstance(value, ast.Constant) and value.value):
                out.append((target.attr, value))
    return out + [(n, v) for n, v in given if n in values]


def _is_view(x: Expressions, node: ast.Call) -> bool:
    e = x.ex(node.args[0])
    if e.type is None:
        return True
    return x.d.is_pointer(e.type) or (x.d.integer(e.type) is not None and not e.weak) or x.d.is_struct(e.type)


def _inline(x: Expressions, name: str, node: ast.Call, want: CType | None) -> Ex | None:
    """A function that only Python has, of one ``return``: its expression, with the arguments in place of the parameters."""
    from kemu.series.emit import source  # noqa: PLC0415  (a module of its own only here)

    m = x.scope.module
    if name in m.imports:
        found = source.module(m.imports[name][0])
        if found is None or not found.name.split(".")[0] == m.name.split(".")[0]:
            return None
        m, name = found, m.imports[name][1]
    f = m.functions.get(name)
    if f is None or node.keywords or len(node.args) != len(f.args.args):
        return None
    body = [s for s in f.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return None
    given = dict(zip((a.arg for a in f.args.args), node.args))

    class Put(ast.NodeTransformer):
        def visit_Name(self, n: ast.Name) -> ast.expr:
            return given.get(n.id, n)

    return x.ex(Put().visit(ast.parse(ast.unparse(body[0].value), mode="eval").body), want)


# ---- what only the ports have ----

Special = Callable[["Expressions", ast.Call, "CType | None"], Ex]


def _is_enabled(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    return Ex(f"IS_ENABLED({_text(node.args[0])})", POST, BOOL)


def _ref(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    return x.load(x.ex(node.args[0], want)) if node.args else Ex("0", type=INT, weak=True)


def _ptr_to(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    m = x.member(x.ex(node.args[0]), _text(node.args[1]))
    return Ex(f"&{m.at(UNARY)}", UNARY, ptr(m.type) if m.type else None)


def _cmpxchg(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    assert isinstance(node.func, ast.Name)
    m = x.member(x.ex(node.args[0]), _text(node.args[1]))
    rest = [x.value(a, m.type).at(COND) for a in node.args[2:]]
    return Ex(f"{node.func.id}(&{m.at(UNARY)}, {', '.join(rest)})", POST, m.type)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise Untranslated(ast.unparse(node))


def _container_of(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    e = x.address(x.ex(node.args[0]))
    member = _text(node.args[1])
    tag = ""
    to = x.d.resolve(want).to if want is not None and x.d.is_pointer(want) else None
    if to is not None and x.d.is_struct(to) and x.path_to(to, member.split(".")[0]):
        tag = x.d.resolve(to).name
    elif e.type is not None and x.d.resolve(e.type).to is not None:
        inner = x.d.resolve(e.type).to
        assert inner is not None
        found = x.d.holders(member, inner)
        tag = found[0] if found else ""
    if not tag:
        raise Untranslated(ast.unparse(node))
    return Ex(f"container_of({e.text}, {tag}, {member})", POST, ptr(base(tag)))


def _trace(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    name = f"trace_{_text(node.args[0])}"
    t = x.scope.global_type(name)
    if t is None:
        raise Untranslated(name)
    return _function(x, name, t, ast.Call(ast.Name(name), [k.value for k in node.keywords], []))


def _extreme(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    assert isinstance(node.func, ast.Name)
    name = node.func.id
    if len(node.args) != 2:
        raise Untranslated(ast.unparse(node))
    a, b = (x.load(x.ex(n)) for n in node.args)
    t = x.arithmetic(a, b, "+")
    wa, wb = (x.d.integer(x.promoted(e.type) or INT) if e.type else None for e in (a, b))
    if t is not None and (wa != wb or wa is None) and not (a.weak and wb and wb[1]) and not (b.weak and wa and wa[1]):
        return Ex(f"{name}_t({t}, {a.at(COND)}, {b.at(COND)})", POST, t)
    return Ex(f"{name}({a.at(COND)}, {b.at(COND)})", POST, t)


def _typed_extreme(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    assert isinstance(node.func, ast.Name)
    assert isinstance(node.args[0], ast.Name)
    t = base("unsigned long" if node.args[0].id == "ulong" else node.args[0].id)
    a, b = (x.load(x.ex(n)) for n in node.args[1:])
    return Ex(f"{node.func.id}({t}, {a.at(COND)}, {b.at(COND)})", POST, t)


def _ulong(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    arg = node.args[0]
    if isinstance(arg, ast.UnaryOp) and isinstance(arg.op, ast.Invert):
        return Ex("~0UL", UNARY, base("unsigned long"))
    e = x.load(x.ex(arg))
    return x.widen(base("unsigned long"), e)


def _bool(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    e = x.load(x.ex(node.args[0]))
    if e.type == BOOL:
        return e
    return Ex(f"!!{e.at(UNARY)}", UNARY, BOOL)


def _int(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    return x.load(x.ex(node.args[0]))


def _len(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    e = x.ex(node.args[0])
    t = x.d.resolve(e.type) if e.type else None
    if t is not None and t.name == "struct qstr":
        return x.member(e, "len")
    if t is not None and t.kind == "ptr" and t.to is not None and x.d.resolve(t.to).name == "struct qstr":
        return x.member(e, "len")
    if t is not None and t.kind == "array":
        return Ex(f"ARRAY_SIZE({e.text})", POST, base("size_t"))
    if t is not None and t.kind == "ptr":
        return Ex(f"strlen({e.text})", POST, base("unsigned int"))
    raise Untranslated(ast.unparse(node))


def _mem_read(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    """Bytes of Python are where they are, in C."""
    e = x.address(x.ex(node.args[0]))
    return Ex(e.text, e.prec, e.type)


def _mem_write(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    at = x.address(x.ex(node.args[0]))
    what = node.args[1]
    if isinstance(what, ast.Constant) and isinstance(what.value, bytes) and len(what.value) == 1:
        c = what.value.decode("latin-1")
        shown = {"\0": "\\0"}.get(c, c)
        t = x.d.resolve(at.type).to if at.type else None
        if t is not None and x.d.resolve(t).name == "char":
            return Ex(f"*{at.at(UNARY)} = '{shown}'", 1)
        return Ex(f"*(char *){at.at(UNARY)} = '{shown}'", 1)
    if isinstance(what, ast.BinOp) and isinstance(what.right, ast.Constant) and what.right.value == b"\0":
        text = x.ex(what.left)
        return Ex(f"strcpy({at.text}, {text.text})", POST, TEXT)
    e = x.ex(what)
    return Ex(f"memcpy({at.text}, {e.text}, strlen({e.text}))", POST, VOIDP)


def _sizeof(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    arg = node.args[0]
    tag = x.scope.struct(arg.id) if isinstance(arg, ast.Name) else None
    return Ex(f"sizeof({tag or x.ex(arg).text})", POST, base("size_t"))


def _offsetof(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    arg = node.args[0]
    tag = x.scope.struct(arg.id) if isinstance(arg, ast.Name) else None
    if tag is None:
        raise Untranslated(ast.unparse(node))
    return Ex(f"offsetof({tag}, {_text(node.args[1])})", POST, base("size_t"))


def _alloc_obj(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    assert isinstance(node.func, ast.Name)
    arg = node.args[0]
    tag = x.scope.struct(arg.id) if isinstance(arg, ast.Name) else None
    if tag is None:
        to = x.d.resolve(want).to if want is not None else None
        if to is None:
            raise Untranslated(ast.unparse(node))
        what, t = to.declare(), to
    else:
        what, t = tag, base(tag)
    rest = [x.load(x.ex(a)).at(COND) for a in node.args[1:]]
    return Ex(f"{node.func.id}({', '.join([what, *rest])})", POST, ptr(t))


def _unaligned(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    assert isinstance(node.func, ast.Name)
    e = x.ex(node.args[0])
    e = x.address(e)
    if e.type is not None and x.d.resolve(e.type).kind == "base":
        e = Ex(f"&{e.at(UNARY)}", UNARY)
    name = node.func.id
    return Ex(f"{name}({e.text})", POST, base("u" + name.removeprefix("get_unaligned_le").removeprefix("get_unaligned_be")))


def _get_u8(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    e = x.ex(node.args[0])
    return Ex(f"*(u8 *){e.at(UNARY)}", UNARY, base("u8"))


def _current(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    return Ex("current", type=ptr(base("struct task_struct")))


def _c_string(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    return x.ex(node.args[0], want)


def _wait_event(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    assert isinstance(node.func, ast.Name)
    if len(node.args) != 2 or not isinstance(node.args[1], ast.Lambda):
        raise Untranslated(ast.unparse(node))
    return Ex(f"{node.func.id}({x.ex(node.args[0]).text}, {x.load(x.ex(node.args[1].body)).text})", POST)


def _list_entry(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    """The structure is what the result has to be, the member its only list_head."""
    to = x.d.resolve(want).to if want is not None and x.d.is_pointer(want) else None
    heads = [n for n, t in x.d.fields(to).items() if x.d.resolve(t).name == "struct list_head"] if to is not None else []
    if to is None or len(heads) != 1:
        raise Untranslated(ast.unparse(node))
    return Ex(f"list_entry({x.ex(node.args[0]).text}, {x.d.resolve(to).name}, {heads[0]})", POST, want)


def _cache(x: Expressions, node: ast.Call) -> Ex:
    """The emulation's takes a class where C takes its size."""
    args = [x.ex(node.args[0])]
    size = node.args[1]
    tag = x.scope.struct(size.id) if isinstance(size, ast.Name) else None
    room = f"sizeof({tag})"
    if isinstance(size, ast.Lambda) and isinstance(size.body, ast.Call) and isinstance(size.body.func, ast.Name):
        tag, room = _sized(x, size, size.body)
    if tag is None:
        raise Untranslated(ast.unparse(node))
    args += [Ex(room), *(x.load(x.ex(a)) for a in node.args[2:])]
    if args[-1].text in x.scope.module.functions:
        t = x.scope.global_type(args[-1].text)
        if t is not None and t.params and x.d.resolve(t.params[0][1]).to != VOIDP.to:
            raise Untranslated(ast.unparse(node))
    return Ex(f"kmem_cache_create({', '.join(a.text for a in args)})", POST, ptr(base("struct kmem_cache")))


def _sized(x: Expressions, made: ast.Lambda, call: ast.Call) -> tuple[str | None, str]:
    """A structure whose last member is an array that the constructor is told the length of."""
    assert isinstance(call.func, ast.Name)
    tag = x.scope.struct(call.func.id)
    fields = x.d.fields(base(tag)) if tag else {}
    last = next(reversed(fields), "")
    given = dict(zip((a.arg for a in made.args.args), made.args.defaults))
    arg = call.args[0] if len(call.args) == 1 else None
    arg = given.get(arg.id, arg) if isinstance(arg, ast.Name) else arg
    if tag is None or arg is None or fields[last].kind != "array":
        return None, ""
    return tag, f"struct_size_t({tag}, {last}, {x.load(x.ex(arg)).text})"


def _kstrdup(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    """Of text that ends at a NUL or with its room: ``os.fsdecode(tag.split(b"\\0", 1)[0])`` is at most what was read."""
    of = node.args[0]
    inner = of.args[0] if isinstance(of, ast.Call) and isinstance(of.func, ast.Attribute) and of.func.attr == "fsdecode" else None
    if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Call) and isinstance(inner.value.func, ast.Attribute) \
            and inner.value.func.attr == "split" and isinstance(inner.value.func.value, ast.Name) \
            and inner.value.func.value.id in x.scope.reads:
        name = inner.value.func.value
        rest = [x.ex(name), x.load(x.ex(x.scope.reads[name.id])), *(x.load(x.ex(a)) for a in node.args[1:])]
        return Ex(f"kstrndup({', '.join(e.at(COND) for e in rest)})", POST, ptr(base("char")))
    t = x.scope.global_type("kstrdup")
    return _function(x, "kstrdup", t, node)


def _xxh32_bytes(x: Expressions, node: ast.Call, want: CType | None) -> Ex:
    text = x.ex(node.args[0])
    return Ex(f"xxh32({text.text}, strlen({text.text}), {x.load(x.ex(node.args[1])).text})", POST, base("u32"))


SPECIAL: dict[str, Special] = {
    "IS_ENABLED": _is_enabled, "Ref": _ref, "ptr_to": _ptr_to, "cmpxchg": _cmpxchg, "xchg": _cmpxchg,
    "container_of": _container_of, "trace": _trace, "min": _extreme, "max": _extreme, "min_t": _typed_extreme,
    "max_t": _typed_extreme, "ulong": _ulong, "bool": _bool, "int": _int, "len": _len, "mem_read": _mem_read,
    "mem_write": _mem_write, "sizeof": _sizeof, "offsetof": _offsetof, "kzalloc_obj": _alloc_obj, "kmalloc_obj": _alloc_obj,
    "kvzalloc_obj": _alloc_obj, "kzalloc_objs": _alloc_obj, "kvmalloc_objs": _alloc_obj, "kvzalloc_objs": _alloc_obj,
    "kmalloc_objs": _alloc_obj,
    **{f"get_unaligned_{order}{bits}": _unaligned for order in ("le", "be") for bits in (16, 32, 64)},
    "get_u8": _get_u8, "current": _current, "c_string": _c_string, "list_entry": _list_entry,
    "wait_event": _wait_event, "xxh32_bytes": _xxh32_bytes, "kstrdup": _kstrdup,
}


def compare(x: Expressions, node: ast.Compare) -> Ex | None:
    """``a[:n] != mem_read(p, n)`` and its like: memcmp()."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
        return None
    left, right = node.left, node.comparators[0]
    if isinstance(right, ast.Call) and isinstance(right.func, ast.Name) and right.func.id == "mem_read" \
            and isinstance(left, ast.Subscript) and isinstance(left.slice, ast.Slice):
        of = x.ex(left.value)
        if of.type is not None and x.d.resolve(of.type).name == "struct qstr":
            of = x.member(of, "name")
        start = f" + {x.ex(left.slice.lower).text}" if left.slice.lower is not None else ""
        n = x.ex(right.args[1])
        text = f"memcmp({of.text}{start}, {x.ex(right.args[0]).text}, {n.text})"
        return Ex(text if isinstance(node.ops[0], ast.NotEq) else f"!{text}", UNARY, BOOL)
    if isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "mem_read" \
            and isinstance(right, ast.Constant) and right.value == b"\0":
        at = x.ex(left.args[0])
        t = x.d.resolve(at.type) if at.type else None
        shown = f"{at.at(POST)}[0]" if t is not None and t.kind in ("array", "ptr") and t.to and x.d.integer(t.to) \
            else f"*(char *){at.at(UNARY)}"
        return Ex(shown if isinstance(node.ops[0], ast.NotEq) else f"!{shown}", UNARY, BOOL)
    return None
