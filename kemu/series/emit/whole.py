# SPDX-License-Identifier: GPL-2.0-only
"""A Series as a change to the tree: its module is a new C file beside those of its port, its edits are hunks in those. Functions
that say that they are of a file that there is (``@port_of(..., posted=...)``) go there.

What the module needs of other files and is static there loses that, and is declared in the folder's header.
"""
from __future__ import annotations

import ast
import builtins
import keyword
import os
import re
import subprocess
import textwrap
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from kemu.machine.series import Change, Series
from kemu.report.csource import find_function
from kemu.series.emit import hunks, layout, source
from kemu.series.emit.cparse import parse_type
from kemu.series.emit.ctype import VOID, CType, base
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expr import Untranslated
from kemu.series.emit.function import emit, returned
from kemu.series.emit.headers import compiler
from kemu.series.emit.ports import _body, head_of
from kemu.series.emit.scope import Scope
from kemu.series.emit.structs import annotated, is_statics, members, prototype, said, table, variables

HEADER = "internal.h"


@dataclass
class Outcome:
    """``files``: the changed ones, by path; ``missing``: (function, statement) of what is only marked; ``errors``: what the
    compiler says of the files.
    """

    files: dict[str, str] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    functions: int = 0
    hunks: int = 0


def _spelt(name: str) -> str:
    """A parameter's name, without what keeps it from being one of Python's own."""
    return name[:-1] if name.endswith("_") and (keyword.iskeyword(name[:-1]) or name[:-1] in dir(builtins)) else name


def _gives(f: ast.FunctionDef) -> bool:
    """Whether it returns something."""
    return any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(f))


class Whole:
    """One Series being written as C."""

    def __init__(self, series: Series, module: source.Module, tree: Path, objects: Path, folder: Path):
        self.series = series
        self.module = module
        self.tree = tree
        self.objects = objects
        self.room = folder
        self.out = Outcome()
        paths = Counter(os.path.dirname(p.path) for m in self._imported() for p in m.ports)
        if not paths:
            raise Untranslated(f"{module.name}: it changes no port")
        self.folder = paths.most_common(1)[0][0]
        self.homes = {n: p for n, p in source.posted_files(module).items() if (tree / p).exists()
                      and not self._replaced(module.functions[n].decorator_list)}
        self.path = source.new_file(module, tree) or f"{self.folder}/{module.name.rpartition('.')[2]}.c"
        self.flags = f"{self.folder}/{self._object()}"
        self.new = Declarations(self._preprocessed(f'#include "{HEADER}"\n'))
        self.types: dict[str, CType] = {}
        self.inner: list[tuple[int, str]] = []      # structures of the new file: (line of the class, text)
        self.variables: list[tuple[int, str, str]] = []     # its static ones: (line of the class, name, declaration)
        self.seen: set[str] = set()                 # names that other files see
        self.renamed = source.renamed(module, series)

    def _object(self) -> str:
        found = sorted(p.name for p in (self.objects / self.folder).glob("*.o")
                       if (self.tree / self.folder / f"{p.stem}.c").exists())
        return found[0]

    def _imported(self) -> list[source.Module]:
        names = {f"{mod}.{n}" for mod, n in self.module.imports.values()} | {mod for mod, _ in self.module.imports.values()}
        return [m for n in sorted(names) for m in [source.module(n)] if m is not None and m.ports]

    def text(self, path: str) -> str:
        """A file as it is by now."""
        return self.out.files[path] if path in self.out.files else (self.tree / path).read_text()

    # ---- the compiler ----

    def _lay_out(self) -> None:
        for p in (self.tree / self.folder).iterdir():
            if p.suffix in (".c", ".h"):
                (self.room / p.name).write_text(self.text(f"{self.folder}/{p.name}"))
        for path, text in self.out.files.items():
            if os.path.dirname(path) == self.folder:
                (self.room / os.path.basename(path)).write_text(text)

    def _run(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        unit = f"{self.folder}/{name[:-1]}o"
        known = (self.objects / self.folder / f".{name[:-1]}o.cmd").exists()
        words = compiler(self.objects, unit if known else self.flags)
        return subprocess.run([*words, *more, str(self.room / name)], cwd=self.objects, capture_output=True, text=True,
                              errors="replace")

    def _preprocessed(self, text: str, name: str = "kemu_new.c") -> str:
        self._lay_out()
        if text:
            (self.room / name).write_text(text)
        return self._run(name, "-E", "-dD").stdout

    def compile(self, path: str) -> list[str]:
        """The compiler's errors and warnings about a file."""
        self._lay_out()
        done = self._run(os.path.basename(path), "-fsyntax-only")
        lines = [line.replace(f"{self.room}/", "") for line in done.stderr.splitlines()
                 if ": error: " in line or ": warning: " in line]
        return lines or (["the compiler ended without a word"] if done.returncode else [])

    # ---- the parts ----

    def write(self) -> Outcome:
        """All of it."""
        self.new = Declarations(self._preprocessed("\n".join(self._includes()) + "\n"))
        scope = Scope(self.new, self.module, near=self._near(self.path))
        own = {n: f for n, f in self.module.functions.items() if not self.new.knows(n) and not self._replaced(f.decorator_list)
               and n not in self.homes}
        tables = {n: t for n, v in self.module.constants.items() for t in [table(n, v, scope)] if t is not None}
        self.seen = self._seen_outside() | {n.attr for name in self.homes for n in ast.walk(self.module.functions[name])
                                            if isinstance(n, ast.Attribute)}
        self._structures(scope)
        for cls in self.module.classes.values():
            if is_statics(cls):
                self.variables += [(cls.lineno, name, declared) for name, declared in variables(scope, cls)]
        self._reach_out(own, tables)
        self._declare(scope, own, tables)
        if own or tables or self.inner or self.variables:
            self._file(own, tables)
            self._makefile()
        for path in sorted(set(self.homes.values())):
            self._at_home(scope, path, own)
        for change in self.series.changes:
            self._change(change)
        for path in sorted(self.out.files):
            if path.endswith(".c"):
                self.out.errors += self.compile(path)
        return self.out

    def _replaced(self, decorators: list[ast.expr]) -> bool:
        called = [d.func for d in decorators if isinstance(d, ast.Call)]
        return any(isinstance(f, ast.Attribute) and f.attr == "replaces" for f in called)

    def _structures(self, scope: Scope) -> None:
        """Members at the end of those that are made longer; new ones before the first of these, or in the file if it alone has
        them: ``inner``.
        """
        header = f"{self.folder}/{HEADER}"
        text = self.text(header)
        fresh: list[tuple[str, ast.ClassDef]] = []
        longer: list[tuple[str, ast.ClassDef]] = []
        for name, cls in self.module.classes.items():
            if not is_statics(cls):
                (longer if self._replaced(cls.decorator_list) else fresh).append((name, cls))
        for name, _ in fresh:
            scope.extra[f"struct {name}"] = base(f"struct {name}")
        told: list[str] = []
        for name, cls in longer:
            m = re.search(rf"^struct {name} \{{\n(?:.*\n)*?\}};", text, re.M)
            if m is None:
                raise Untranslated(f"struct {name}: not in {header}")
            told += members(scope, cls)
            added = "".join(f"\t{d};\n" for d in members(scope, cls))
            text = f"{text[:m.end() - 2]}\n{added}{text[m.end() - 2:]}"
        written = ""
        for name, cls in fresh:
            rows = "".join("\n".join(layout.lay(1, f"{d};")) + "\n" for d in members(scope, cls))
            first = (ast.get_docstring(cls) or "").split("\n")[0].split("``")[0].strip()
            made = f"/* {first} */\n" if first else ""
            made += f"struct {name} {{\n{rows}}};\n\n"
            if any(re.search(rf"\bstruct {name}\b", d) for d in told):
                written += made
            else:
                self.inner.append((cls.lineno, made.rstrip("\n")))
        at = min((text.index(f"struct {n} {{") for n, _ in longer), default=text.rindex("\n#endif"))
        self.out.files[header] = text[:at] + written + text[at:]
        self.scope_extra = dict(scope.extra)

    def _reach_out(self, own: dict[str, ast.FunctionDef], tables: dict[str, tuple[str, dict[str, str]]]) -> None:
        """What the module takes of other files of the port, where it is static, or a structure of that file alone."""
        header = f"{self.folder}/{HEADER}"
        nodes = [*own.values(), *(v for n, v in self.module.constants.items() if n in tables)]
        for of, name in sorted({(n.value.id, n.attr) for node in nodes for n in ast.walk(node)
                                if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}):
            mod, inner = self.module.imports.get(of, ("", ""))
            m = source.module(f"{mod}.{inner}") if mod else None
            if m is None or not m.ports or self.new.knows(name):
                continue
            path = m.ports[0].path
            text = self.text(path)
            struct = re.search(rf"^struct {name} \{{\n(?:.*\n)*?\}};\n\n?", text, re.M)
            if struct:
                self.out.files[path] = text.replace(struct[0], "")
                self._add_to_header(f"\n{struct[0].strip()}\n\n", header)
                continue
            static = re.search(rf"^static ((?:[\w *]+?)\b{name}\b(?:\([^{{;]*?\))?)(?=\s*[={{;\[])", text, re.M)
            if static:
                text = re.sub(rf"^static (?=(?:[\w *]+?)\b{name}\b\s*(?:\(|=|;|\[))", "", text, flags=re.M)
                self.out.files[path] = text
                declared = re.sub(r"\s+", " ", static[1]).strip()
                self._add_to_header(f"{'' if '(' in declared else 'extern '}{declared};\n", header)

    def _add_to_header(self, text: str, header: str) -> None:
        whole = self.text(header)
        at = whole.rindex("\n#endif")
        apart = "\n" if whole[:at].rstrip("\n").endswith("};") and not text.startswith("\n") else ""
        self.out.files[header] = whole[:at].rstrip("\n") + "\n" + apart + text + whole[at:]

    def _declare(self, scope: Scope, own: dict[str, ast.FunctionDef], tables: dict[str, tuple[str, dict[str, str]]]) -> None:
        """The types of new functions, and in the header what other files see of them."""
        plain = Declarations(self._preprocessed(f'#include "{HEADER}"\n'))
        self.new = Declarations(self._preprocessed("\n".join([*self._includes(), *self._inside()]) + "\n"))
        scope.declarations = self.new
        for tag, fields in tables.values():
            for member, name in fields.items():
                t = self.new.member(base(tag), member)
                r = self.new.resolve(t) if t is not None else None
                if name in own and r is not None and r.to is not None:
                    names = [_spelt(a.arg) for a in own[name].args.args]
                    self.types[name] = replace(r.to, params=tuple((n, p[1]) for n, p in zip(names, r.to.params)))
        for name, f in own.items():
            if name not in self.types:
                self.types[name] = prototype(f) or self._inferred(scope, f)
        seen = self.seen
        inside = Counter(n.id for node in [*own.values(), *(v for k, v in self.module.constants.items() if k in tables)]
                         for n in ast.walk(node) if isinstance(n, ast.Name))
        self.static = {n for n in [*own, *tables] if n not in seen and inside[n]}
        rows = ""
        for name in own:
            if name not in self.static:
                rows += "\n".join(layout.lay(0, self.types[name].declare(name).replace("( ", "(") + ";")) + "\n"
        for name, (tag, _) in tables.items():
            if name not in self.static:
                rows += f"extern const {tag} {name};\n"
        rows += "".join(f"extern {declared};\n" for _, name, declared in self.variables if name in seen)
        tags = sorted(set(re.findall(r"\bstruct \w+", rows)))
        header = f"{self.folder}/{HEADER}"
        longer = [n for n, cls in self.module.classes.items() if self._replaced(cls.decorator_list)]
        ends = [m.end() for n in longer for m in [re.search(rf"^struct {n} \{{\n(?:.*\n)*?\}};\n", self.text(header), re.M)] if m]
        behind = self.text(header)[max(ends, default=len(self.text(header))):]
        rows = "".join(f"{tag};\n" for tag in tags if not plain.has_struct(tag[7:]) or f"\n{tag} {{" in behind) + rows
        said_there = f"\n/* {os.path.basename(self.path)} */\n{rows}"
        if rows and ends:                           # before the inline functions, which may be changed
            text = self.text(header)
            apart = "" if text[max(ends):].startswith("\n") else "\n"
            self.out.files[header] = text[:max(ends)] + said_there + apart + text[max(ends):]
        elif rows:
            self._add_to_header(said_there, header)

    def _seen_outside(self, but: str = "") -> set[str]:
        """Words of the hunks, without those of a file."""
        names: set[str] = set()
        inside = {p.node.name for p in self._changed() if p.path == but}
        for change in self.series.changes:
            for hunk in change.hunks if change.original.__name__ not in inside else ():
                names |= {self.renamed.get(w, w) for w in re.findall(r"\w+", hunk[1])}
        return names

    def _inside(self) -> list[str]:
        """What the new file declares for itself, for the declarations of what is being written."""
        return [*(text for _, text in self.inner), *(f"{declared};" for _, _, declared in self.variables)]

    def _inferred(self, scope: Scope, f: ast.FunctionDef) -> CType:
        """From annotations; ``int`` is int where it is returned, and else what is told by whom it is given to."""
        to = annotated(scope, f.returns, f.name) or (base("int") if _gives(f) else VOID)
        params = []
        for a in f.args.args:
            t = annotated(scope, a.annotation, a.arg)
            if t is None and isinstance(a.annotation, ast.Name) and a.annotation.id == "str":
                t = base("const char *")
            params.append((_spelt(a.arg), t or self._given_to(a.arg, f) or self._called_so(_spelt(a.arg)) or base("u64")))
        made = CType("func", to=to, params=tuple(params))
        if to == base("int"):
            try:
                wide = returned(self.module, f, self.new, made, self._near(self.path), self.types)
            except Untranslated:
                wide = None
            made = replace(made, to=wide or to)
        return made

    def _near(self, path: str) -> str:
        """Where the declarations of a file are."""
        return str(self.room / os.path.basename(path))

    def _given_to(self, name: str, f: ast.FunctionDef) -> CType | None:
        for node in ast.walk(f):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                t = self.types.get(node.func.id) or self.new.type_of(node.func.id)
                for arg, (_, pt) in zip(node.args, t.params if t is not None and t.kind == "func" else ()):
                    if isinstance(arg, ast.Name) and arg.id == name:
                        return pt
        return None

    def _called_so(self, name: str) -> CType | None:
        """The structure that parameters of that name point to in the functions of the folder, where that is one thing."""
        kinds: Counter[str] = Counter()
        for path in sorted((self.tree / self.folder).glob("*.c")):
            text = self.text(f"{self.folder}/{path.name}")
            kinds.update(" ".join(m.split()) for m in
                         re.findall(rf"[(,]\s*((?:const )?(?:struct )?\w+ \**)(?<=[ *]){name}(?=\s*[,)])", text))
        kind = next(iter(kinds)) if len(kinds) == 1 else ""
        return parse_type(kind) if "struct " in kind and kind.endswith("*") else None

    # ---- the new file ----

    def _includes(self) -> list[str]:
        out = []
        for mod in {mod for mod, _ in self.module.imports.values() if mod.startswith("kemu.linux.")}:
            header = f"linux/{mod.removeprefix('kemu.linux.').replace('.', '/')}.h"
            if (self.tree / "include" / header).is_file():
                out.append(f"#include <{header}>")
        return [*sorted(out), f'#include "{HEADER}"']

    def _file(self, own: dict[str, ast.FunctionDef], tables: dict[str, tuple[str, dict[str, str]]]) -> None:
        title = " ".join((ast.get_docstring(self.module.tree) or self.series.title).split("\n\n")[0].split())
        top = ["// SPDX-License-Identifier: GPL-2.0-only", "/*", *(f" * {row}" for row in textwrap.wrap(title, 74)), " */",
               *self._includes(), ""]
        declarations = Declarations(self._preprocessed("\n".join([*top, *self._inside()]) + "\n"))
        for name, t in self.types.items():
            declarations.note(name, t)
        for name, (tag, _) in tables.items():
            declarations.note(name, replace(base(tag), const=True))
        body: list[tuple[int, str]] = list(self.inner)
        if self.variables:
            body.append((self.variables[0][0], "\n".join(f"{'' if name in self.seen else 'static '}{declared};"
                                                         for _, name, declared in self.variables)))
        for name, f in own.items():
            head = ("static " if name in self.static else "") + self.types[name].declare(name)
            made = emit(self.module, f, declarations, "\n".join(layout.lay(0, head)), name, path=self._near(self.path))
            self.out.functions += 1
            self.out.missing += [(name, m) for m in made.missing]
            body.append((f.lineno, self._about(f) + made.text))
        lines = {t.id: s.lineno for s in self.module.tree.body if isinstance(s, ast.Assign) for t in s.targets
                 if isinstance(t, ast.Name)}
        for name, (tag, fields) in tables.items():
            rows = "".join(f"\t.{m} = {v},\n" for m, v in fields.items())
            static = "static " if name in self.static else ""
            body.append((lines.get(name, 1 << 30), f"{static}const {tag} {name} = {{\n{rows}}};"))
        parts = [text for _, text in sorted(body)]
        forward = self._forward(parts, own)
        self.out.files[self.path] = "\n".join([*top, *forward, "\n\n".join(parts), ""])

    def _forward(self, parts: list[str], own: dict[str, ast.FunctionDef]) -> list[str]:
        """Declarations of static functions that are used before they are defined."""
        whole = "\n".join(parts)
        out = []
        for name in own:
            first = re.search(rf"\b{name}\b", whole)
            if name in self.static and first and not re.search(rf"^static [\w *]*\b{name}\(", whole[:first.end() + 1], re.M):
                out += layout.lay(0, f"static {self.types[name].declare(name)};")
        return [*out, ""] if out else []

    def _about(self, f: ast.FunctionDef) -> str:
        """A function's docstring as the comment before it, without what it says as C."""
        doc = ast.get_docstring(f) or ""
        for text in said(f):
            doc = doc.replace(f"``{text}``", "" if "(" in text and f.name in text else text)
        rows = [" ".join(p.split()) for p in doc.split("\n\n")]
        rows = [r for r in rows if r]
        if not rows:
            return ""
        if len(rows) == 1 and len(rows[0]) < 74:
            return f"/* {rows[0]} */\n"
        out = ["/*"]
        for i, row in enumerate(rows):
            out += [" *"] if i else []
            line = ""
            for word in row.split():
                if len(line) + 1 + len(word) > 74:
                    out.append(f" * {line}")
                    line = word
                else:
                    line = f"{line} {word}".strip()
            out.append(f" * {line}")
        return "\n".join([*out, " */"]) + "\n"

    # ---- new functions of files that there are ----

    def _at_home(self, scope: Scope, path: str, own: dict[str, ast.FunctionDef]) -> None:
        """Before the first function of the file that the series changes, or at its end."""
        names = [n for n, p in self.homes.items() if p == path]
        declarations = Declarations(self._preprocessed("", os.path.basename(path)))
        elsewhere = self._seen_outside(path) | {n.id for f in own.values() for n in ast.walk(f) if isinstance(n, ast.Name)}
        used = self._seen_outside() | {n.id for name in self.homes for n in ast.walk(self.module.functions[name])
                                       if isinstance(n, ast.Name)}
        elsewhere |= {name for name in names if name not in used}          # nobody calls it: it is for those who come
        for name in names:
            self.types[name] = prototype(self.module.functions[name]) or self._inferred(scope, self.module.functions[name])
        for name, t in self.types.items():
            declarations.note(name, t)
        parts = []
        for name in names:
            f = self.module.functions[name]
            declared = self.types[name].declare(name)
            if name in elsewhere:
                self._add_to_header("\n".join(layout.lay(0, f"{declared};")) + "\n", f"{self.folder}/{HEADER}")
            head = f"{'' if name in elsewhere else 'static '}{declared}"
            made = emit(self.module, f, declarations, "\n".join(layout.lay(0, head)), name, path=self._near(path))
            self.out.functions += 1
            self.out.missing += [(name, m) for m in made.missing]
            parts.append(self._about(f) + made.text)
        text = self.text(path)
        starts = [text.index(f.text) for p in self._changed() if p.path == path
                  for f in [find_function(text, p.name)] if f is not None and "{" in f.text]
        at = text.rfind("\n\n", 0, min(starts)) + 2 if starts else len(text)
        written = "\n\n".join(part.rstrip("\n") for part in parts) + "\n"
        self.out.files[path] = f"{text[:at]}{written}\n{text[at:]}" if starts else f"{text}\n{written}"

    def _changed(self) -> list[source.Ported]:
        """The ported functions that the series changes."""
        return [p for change in self.series.changes if not isinstance(change.original, type)
                for m in [source.module(change.original.__module__)] if m is not None
                for p in m.ports if p.node.name == change.original.__name__]

    # ---- what is changed ----

    def _change(self, change: Change) -> None:
        original = change.original
        if isinstance(original, type):
            return                                  # its members are in the header already
        m = source.module(original.__module__)
        port = next((p for p in m.ports if p.node.name == original.__name__), None) if m is not None else None
        if m is None or port is None:
            raise Untranslated(f"{self.series.name}: {original.__name__} is no port of C")
        if change.text is not None:
            edited = self._edited(m, change)
            node = next(p.node for p in edited.ports if p.name == port.name)
        else:
            edited, node = self.module, self.module.functions[change.made.__name__]
        text = self.text(port.path)
        f = find_function(text, port.name)
        if f is None or "{" not in f.text:
            raise Untranslated(f"{port.path}: {port.name}: no such function")
        unit = os.path.basename(port.path) if port.path.endswith(".c") else "kemu_new.c"
        declarations = Declarations(self._preprocessed("" if port.path.endswith(".c") else f'#include "{HEADER}"\n', unit))
        after = emit(edited, node, declarations, head_of(f), port.name, path=self._near(port.path))
        before = emit(m, port.node, declarations, head_of(f), port.name, path=self._near(port.path))
        self.out.hunks += max(1, len(change.hunks))
        small = hunks.merge(before.text, f.text, after.text)
        for made in (small, after.text):
            if made is None or (made is after.text and after.missing and small is not None):
                continue
            self.out.files[port.path] = text.replace(f.text, made, 1)
            if made is after.text or not self.compile(port.path if port.path.endswith(".c") else self._user()):
                break
        if self.out.files[port.path] == text.replace(f.text, after.text, 1):
            self.out.missing += [(port.name, x) for x in after.missing]
        else:
            self.out.missing += [(port.name, x) for x in after.missing if x not in before.missing]

    def _user(self) -> str:
        return f"{self.folder}/{os.path.basename(self.flags)[:-1]}c"

    def _edited(self, m: source.Module, change: Change) -> source.Module:
        """The original's module, with the function as the series leaves it."""
        assert change.text is not None
        return source.edited(m, change.original.__name__, change.text, self.renamed)

    def _makefile(self) -> None:
        path = f"{self.folder}/Makefile"
        text = self.text(path)
        stem = os.path.basename(self.path)[:-2]
        m = re.search(r"^\S+-(?:objs|y)\s*[:+]?=.*$", text, re.M)
        if m is None:
            raise Untranslated(f"{path}: no list of objects")
        self.out.files[path] = f"{text[:m.end()]} {stem}.o{text[m.end():]}"


__all__ = ["VOID", "Outcome", "Whole", "_body"]
