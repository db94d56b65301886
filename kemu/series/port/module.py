# SPDX-License-Identifier: GPL-2.0-only
"""A C series as a Python module with a Series: hunks where the port has the function, new functions, what is left to do."""
from __future__ import annotations

import difflib
import importlib
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemu.machine.hunks import source as text_of
from kemu.report.csource import CFunction, find_function
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.patches import Patch, apply_patches
from kemu.rung.uml.tree import Tree
from kemu.series.diff.pairs import _names
from kemu.series.emit.expressions import Expressions
from kemu.series.emit.ports import Bench, modules
from kemu.series.emit.scope import Scope
from kemu.series.emit.source import Ported
from kemu.series.port import placed
from kemu.series.port.function import NoPython, translate
from kemu.series.port.function import Ported as Written
from kemu.series.port.names import Names

_BUILTIN = set(dir(__builtins__)) | set(__builtins__ if isinstance(__builtins__, dict) else ())


@dataclass
class Part:
    """What is written for one function. ``how``: hunks, whole, new; ``todo``: what is still to be done there."""

    name: str
    path: str
    how: str
    text: str
    todo: list[str] = field(default_factory=list)


@dataclass
class Module:
    """What came of a series."""

    text: str = ""
    parts: list[Part] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)       # what no function holds, and what has no port

    @property
    def unfinished(self) -> list[str]:
        """All that is still to be done."""
        return [t for p in self.parts for t in p.todo] + self.todo


class Writer:
    """Of one C series for one ported package."""

    def __init__(self, name: str, title: str, package: str, patches: Sequence[Patch], tree: Tree, copy: Path, objects: Path,
                 folder: Path):
        self.name, self.title, self.package = name, title or name, package
        touched = apply_patches(tree, patches)
        self.after = {p: (d or b"").decode("utf-8", "replace") for p, d in touched.items()}
        self.before = {p: (tree.path / p).read_text(errors="replace") if (tree.path / p).is_file() else "" for p in self.after}
        self.ports = {(p.path, p.name): p for m in modules(package) for p in m.ports}
        self.was, self.now = Bench(tree.path, objects, folder), Bench(copy, objects, folder)
        self.imports: dict[str, tuple[str, str]] = {}
        self.out = Module()
        self.own: set[str] = set()

    def write(self) -> Module:
        """The module."""
        folders = {path.rpartition("/")[0] for path, _ in self.ports}
        seen = {p for p in self.after if p.rpartition("/")[0] in folders or any((p, n) in self.ports for _, n in self.ports)}
        for path in sorted(set(self.after) - seen):
            if path.endswith((".c", ".h")):
                self.out.todo.append(f"{path}: {self.package} has no port of it")
        pairs = [(path, name, find_function(self.before[path], name), find_function(self.after[path], name))
                 for path in sorted(seen) if path.endswith((".c", ".h"))
                 for name in sorted(_names(self.before[path]) | _names(self.after[path]))]
        changed = [(p, n, a, b) for p, n, a, b in pairs if (a.text if a else "") != (b.text if b else "")
                   and not any(f is not None and f.text.startswith("#") for f in (a, b))]
        self.own = {n for _, n, a, b in changed if a is None and b is not None}
        for path, name, a, b in sorted(changed, key=lambda r: (r[2] is not None, r[0], r[3].line if r[3] else 0)):
            if b is not None:
                self._function(path, name, a, b)
        self._outside(changed, seen)
        self.out.text = self._text()
        return self.out

    # ---- functions ----

    def _translated(self, bench: Bench, path: str, f: CFunction, name: str, module: str) -> tuple[Written, Names]:
        d = bench.declarations(path)
        names = Names((self.package,), module, self.own)
        scope = next((m for m in modules(self.package) if m.name == module), next(iter(modules(self.package))))
        return translate(f.text, name, d, names, Expressions(Scope(d, scope, near=path)), f.line), names

    def _function(self, path: str, name: str, a: CFunction | None, b: CFunction) -> None:
        port = self.ports.get((path, name)) or next((p for (_, n), p in self.ports.items() if n == name), None)
        try:
            if port is None and a is not None:
                raise NoPython(f"{self.package} has no port of {name}()")
            module = port.module.name if port is not None else ""
            made, names = self._translated(self.now, path, b, name, module)
        except NoPython as e:
            self.out.todo.append(f"{path}:{b.line}: {e}")
            return
        if port is None:
            self._new(path, name, b, made, names)
            return
        assert a is not None
        self._edited(path, name, a, b, made, names, port)

    def _new(self, path: str, name: str, b: CFunction, made: Written, names: Names) -> None:
        self._need(names)
        todo = [f"{path}:{m.line}: {m.c[:80]} ({m.why})" for m in made.missing]
        head, _, body = made.text.partition("\n")
        self.imports["port_of"] = "kemu.linux.port.honesty", "port_of"
        text = f'@port_of("{path}", "{name}", posted="{self.name}")\n{head}\n    """``{made.prototype}``"""\n{body}'
        self.out.parts.append(Part(name, path, "new", text, todo + self._unknown(text, {}, path, b)))

    def _edited(self, path: str, name: str, a: CFunction, b: CFunction, made: Written, names: Names, port: Ported) -> None:
        owner = port.module.name
        old = text_of(getattr(importlib.import_module(owner), port.node.name)).rstrip("\n")
        merged = None
        try:
            was, _ = self._translated(self.was, path, a, name, owner)
            if not _same_heads(was, made):
                raise NoPython("other parameters")
            merged = placed.merge(was.text, old, made.text)
        except NoPython:
            pass
        alias = owner.rpartition(".")[2]
        self.imports[alias] = self.package, alias
        where = f"{alias}.{port.node.name}"
        rows = _c_lines(path, a, b)
        if merged is not None:
            known = {m.c for m in was.missing}         # a mark tells the beginning of a statement: what changed may be behind it
            marked = [m for m in made.missing if f"TODO({m.c[:90]!r})" in merged]
            shown = [*marked, *(m for m in made.missing if m.c not in known and m not in marked)]
            pieces = placed.hunks(old, merged)
            come = "\n".join(new for _, new in pieces)
            given = {n: v for n, v in names.needed.items() if re.search(rf"\b{n}\b", come)}
            own = {n for n in self.own if re.search(rf"\b{n}\b", come)}
            todo = [f"{path}:{m.line}: {m.c[:80]} ({m.why})" for m in shown]
            todo += self._unknown(merged, given, path, b, vars(importlib.import_module(owner)), own)
            self._need(names, set(given))
            bits = ", ".join(f'({_quoted(o)}, {_quoted(n)})' for o, n in pieces)
            if not bits:
                text = f"{rows}# nothing of it changes the port: what it has no form for, or writes so already"
                todo = [f"{path}:{m.line}: {m.c[:80]} ({m.why})" for m in shown]
                if _conversions(a.text) != _conversions(b.text):
                    todo.append(f"{path}:{b.line}: {name}(): a conversion of the byte order, which the ports leave to their "
                                "views")
                self.out.parts.append(Part(name, path, "same", text, todo))
            else:
                table = ", ".join(f'"{n}": {n}' for n in sorted([*given, *own]))
                text = f"{rows}series.edits({where}, {bits}, names={{{table}}})"
                self.out.parts.append(Part(name, path, "hunks", text, todo))
            return
        self._need(names)
        for n in placed.free(made.text):
            if n in vars(importlib.import_module(owner)) and n not in self.imports and n not in self.own and n not in _BUILTIN:
                self.imports[n] = owner, n
        todo = [f"{path}:{m.line}: {m.c[:80]} ({m.why})" for m in made.missing]
        text = f"{rows}@series.replaces({where})\n{made.text}"
        self.out.parts.append(Part(name, path, "whole", text, todo + self._unknown(made.text, {}, path, b)))

    def _need(self, names: Names, only: set[str] | None = None) -> None:
        self.imports |= {n: v for n, v in names.needed.items() if only is None or n in only}

    def _unknown(self, text: str, given: dict[str, tuple[str, str]], path: str, b: CFunction,
                 space: dict[str, object] | None = None, own: set[str] | None = None) -> list[str]:
        """Names that nobody has: a local of C that the port calls otherwise, for one."""
        if "TODO(" in text:
            return []                   # the statement that makes it is marked
        known = set(given) | set(space or self.imports) | _BUILTIN | (own if own is not None else self.own) | {"series", "Any"}
        return [f"{path}:{b.line}: {b.name}(): the port has no {n} there" for n in sorted(placed.free(text) - known)]

    # ---- what is outside of functions ----

    def _outside(self, changed: Sequence[tuple[str, str, CFunction | None, CFunction | None]], seen: set[str]) -> None:
        for path in sorted(seen):
            if not path.endswith((".c", ".h")):
                continue
            texts = []
            for text, at in ((self.before[path], 2), (self.after[path], 3)):
                for row in changed:
                    f = row[at]
                    if row[0] == path and isinstance(f, CFunction):
                        text = text.replace(f.text, "")
                texts.append([line for line in text.splitlines() if line.strip()])
            lines = [line for line in difflib.ndiff(texts[0], texts[1]) if line[:1] in "+-" and not _quiet(line[2:])]
            if lines:
                self.out.todo.append(f"{path}: outside of functions: {lines[0][0]} {' '.join(lines[0][2:].split())[:80]}"
                                     + (f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""))

    # ---- the text ----

    def _text(self) -> str:
        by: dict[str, list[str]] = {}
        self.imports["Series"] = "kemu.linux.port.series", "Series"
        for name, (module, there) in self.imports.items():
            by.setdefault(module, []).append(name if name == there else f"{there} as {name}")
        heads = [_imported(m, sorted(set(n))) for m, n in sorted(by.items(), key=lambda r: (not r[0].startswith("kemu"), r[0]))]
        marked = self.out.unfinished or any("Any" in p.text for p in self.out.parts)
        typing = ["from typing import Any", ""] if marked else []
        out = ["# SPDX-License-Identifier: GPL-2.0-only", f'"""{self.title}: written from the C by kemu series port."""',
               "from __future__ import annotations", "", *typing, *heads, "", "",
               f'series = Series("{self.name}", ("{self.package}",), {self.title!r})']
        unfinished = self.out.unfinished
        if unfinished:
            out += ["", "# with these the series is refused: take each away when it is done",
                    *(f"series.todo({t!r})" for t in unfinished), "", "",
                    "def TODO(c: str) -> Any:", '    """A statement of C that is still to be written."""',
                    "    raise NotImplementedError(c)"]
        return "\n".join(out) + "\n\n\n" + "\n\n\n".join(p.text for p in self.out.parts) + "\n"


def _same_heads(a: Written, b: Written) -> bool:
    return a.text.partition("\n")[0] == b.text.partition("\n")[0]


def _conversions(text: str) -> list[str]:
    return sorted(re.findall(r"\b(?:[lb]e(?:16|32|64)_to_cpup?|cpu_to_[lb]e(?:16|32|64))\b", text))


def _quiet(line: str) -> bool:
    """Comments, prototypes, includes."""
    bare = line.strip()
    return (not bare or bare.startswith(("/*", "*", "//", "#include")) or bare in ("}", "{")
            or bool(re.match(r"(?:static |extern )?[\w *]+\(.*\);?$", bare)))


def _c_lines(path: str, a: CFunction, b: CFunction) -> str:
    """The C that changes, as comments."""
    out = [f"# {path}:{b.line} {b.name}()"]
    for group in difflib.SequenceMatcher(None, a.text.split("\n"), b.text.split("\n"), autojunk=False).get_opcodes():
        tag, i1, i2, j1, j2 = group
        if tag != "equal":
            out += [f"#   -{line.expandtabs(4)}".rstrip() for line in a.text.split("\n")[i1:i2]]
            out += [f"#   +{line.expandtabs(4)}".rstrip() for line in b.text.split("\n")[j1:j2]]
    return "\n".join(out) + "\n"


def _quoted(text: str) -> str:
    body = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""\\\n{body}"""'


def _imported(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 130:
        return line
    return f"from {module} import (\n" + "".join(f"    {n},\n" for n in names) + ")"


def package_of(patches: Sequence[Patch], packages: Sequence[str]) -> str:
    """The ported package whose files a series touches most. ``ConfigError``: none has a port of any."""
    touched = {p for patch in patches for p in patch.touched()}
    folders = {p.rpartition("/")[0] for p in touched}
    best = max(((sum(port.path in touched or port.path.rpartition("/")[0] in folders for m in modules(p) for port in m.ports), p)
                for p in packages), default=(0, ""))
    if not best[0]:
        raise ConfigError(f"no port of {', '.join(sorted(touched)[:3])}: kemu port list says what is ported")
    return best[1]


def named_as(name: str) -> str:
    """A series' name as one of Python's."""
    bare = re.sub(r"\W+", "-", name).strip("-").lower() or "series"
    return f"{bare}-series" if keyword.iskeyword(bare) else bare
