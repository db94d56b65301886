# SPDX-License-Identifier: GPL-2.0-only
"""All ported functions of a package, each put in the place of its original: does the C file still compile?"""
from __future__ import annotations

import os
import pkgutil
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from kemu.report.csource import CFunction, find_function
from kemu.series.emit import source
from kemu.series.emit.declarations import Declarations
from kemu.series.emit.expr import Untranslated
from kemu.series.emit.function import emit
from kemu.series.emit.headers import compiler, preprocessed

BY_HEADER = "data.c"                   # with which the inline functions of a header are compiled


@dataclass
class Result:
    """One ported function. ``original``: its definition in the tree; ``text``: what was emitted; ``missing``: what is only
    marked; ``refused``: why nothing was emitted; ``errors``: the compiler's; ``warnings``: those that the original has not.
    """

    path: str
    name: str
    original: str = ""
    text: str = ""
    missing: list[str] = field(default_factory=list)
    refused: str = ""
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def compiles(self) -> bool:
        """Unaided: whole, and taken by the compiler."""
        return bool(self.text) and not (self.missing or self.refused or self.errors)


def modules(package: str) -> list[source.Module]:
    """The modules of a package that have ports, those of its harness not."""
    top = import_module(package)
    names = [f"{package}.{m.name}" for m in pkgutil.iter_modules(top.__path__) if not m.ispkg]
    found = [source.module(n) for n in sorted(names)]
    return [m for m in found if m is not None and m.ports]


def head_of(f: CFunction) -> str:
    """A function's text up to its body."""
    return f.text[:_body(f.text)].rstrip()


def _body(text: str) -> int:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "{" and not depth:
            return i
    return len(text)


def active(text: str) -> dict[str, set[int]]:
    """The lines of each file that the preprocessor lets through."""
    out: dict[str, set[int]] = {}
    lines: set[int] = set()
    number = 0
    for line in text.split("\n"):
        m = re.match(r'# (\d+) "([^"]*)"', line)
        if m:
            number, lines = int(m[1]), out.setdefault(m[2], set())
            continue
        if line.strip() and not line.startswith("#"):
            lines.add(number)
        number += 1
    return out


class Bench:
    """A built tree whose files are compiled again, one function of one file at a time, in a folder of its own."""

    def __init__(self, tree: Path, objects: Path, folder: Path):
        self.tree = tree
        self.objects = objects
        self.folder = folder
        self._declarations: dict[str, Declarations] = {}
        self._active: dict[str, dict[str, set[int]]] = {}
        self._warned: dict[str, list[str]] = {}

    def unit(self, path: str) -> str:
        """The C file that is compiled for a function of ``path``."""
        if path.endswith(".c"):
            return path
        folder = self.tree / os.path.dirname(path)
        users = sorted(c.name for c in folder.glob("*.c") if f'#include "{os.path.basename(path)}"' in c.read_text()
                       and (self.objects / os.path.dirname(path) / f"{c.stem}.o").exists())
        return f"{os.path.dirname(path)}/{users[0] if users else BY_HEADER}"

    def declarations(self, path: str) -> Declarations:
        """Of the C file, its functions' bodies left out."""
        unit = self.unit(path)
        if unit not in self._declarations:
            text = preprocessed(self.objects, unit[:-1] + "o", self.tree / unit)
            self._declarations[unit] = Declarations(text)
            self._active[unit] = active(text)
        return self._declarations[unit]

    def original(self, path: str, name: str) -> CFunction | None:
        """The definition that the configuration has: of several that are #ifdef'd, the one that is compiled; else any."""
        self.declarations(path)
        lines = self._active[self.unit(path)].get(str(self.tree / path), set())
        text = (self.tree / path).read_text()
        first = found = find_function(text, name)
        while found is not None and not lines & set(range(found.line, found.line + found.text.count("\n") + 1)):
            text = text.replace(found.text, re.sub(r"[^\n]", " ", found.text), 1)
            found = find_function(text, name)
        return found or first

    def emit(self, ported: source.Ported) -> Result:
        """One function, translated."""
        out = Result(ported.path, ported.name)
        f = self.original(ported.path, ported.name)
        if f is None or "{" not in f.text or f.text.startswith("#"):
            out.refused = "no function of C"
            return out
        out.original = f.text
        try:
            made = emit(ported.module, ported.node, self.declarations(ported.path), head_of(f), ported.name, path=ported.path)
        except Untranslated as e:
            out.refused = str(e)
            return out
        out.text, out.missing = made.text, made.missing
        return out

    def compile(self, path: str, text: str) -> tuple[list[str], list[str]]:
        """(errors, warnings) of the file's text in the place of ``path``."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        unit = self.unit(path)
        try:
            for h in (self.tree / os.path.dirname(path)).glob("*.h"):
                shutil.copyfile(h, folder / h.name)
            if unit != path:
                shutil.copyfile(self.tree / unit, folder / os.path.basename(unit))
            (folder / os.path.basename(path)).write_text(text)
            words = [*compiler(self.objects, unit[:-1] + "o"), "-fsyntax-only", str(folder / os.path.basename(unit))]
            done = subprocess.run(words, cwd=self.objects, capture_output=True, text=True, errors="replace")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        lines = [line.replace(f"{folder}/", "") for line in done.stderr.splitlines()]
        errors = [line for line in lines if ": error: " in line or ": fatal error: " in line]
        if done.returncode and not errors:
            errors = lines[:1] or ["the compiler ended without a word"]
        return errors, [line for line in lines if ": warning: " in line]

    def check(self, result: Result) -> Result:
        """Compile a function in the place of its original, everything else as it is in the tree."""
        if result.text:
            whole = (self.tree / result.path).read_text()
            result.errors, warned = self.compile(result.path, whole.replace(result.original, result.text, 1))
            result.warnings = self._news(result.path, warned)
        return result

    def _news(self, path: str, warned: Sequence[str]) -> list[str]:
        """The warnings that the tree's own file does not give."""
        if path not in self._warned:
            self._warned[path] = [w.split(": warning: ")[1] for w in self.compile(path, (self.tree / path).read_text())[1]]
        return [w for w in warned if w.split(": warning: ")[1] not in self._warned[path]]

    def check_file(self, path: str, results: Sequence[Result]) -> None:
        """All functions of one file at once; when the compiler refuses that, each by itself."""
        whole = text = (self.tree / path).read_text()
        tried = [r for r in results if r.text and not r.missing and text.count(r.original) == 1]
        for r in tried:
            text = text.replace(r.original, r.text, 1)
        errors, warned = self.compile(path, text)
        if errors:
            blamed = {id(r) for line in errors for r in [_owner(line, text, tried, os.path.basename(path))] if r is not None}
            rest = whole
            for r in tried:
                if id(r) not in blamed:
                    rest = rest.replace(r.original, r.text, 1)
            errors, warned = self.compile(path, rest)
            alone = [r for r in results if r.text and (r not in tried or id(r) in blamed or errors)]
            text = rest
        else:
            alone = [r for r in results if r.text and r not in tried]
        for r in alone:
            self.check(r)
        for line in self._news(path, warned) if warned else ():
            of = _owner(line, text, [r for r in tried if r not in alone], os.path.basename(path))
            if of is not None:
                of.warnings.append(line)


def _owner(line: str, text: str, results: Sequence[Result], file: str) -> Result | None:
    """The function that a line of the compiler's is about."""
    name, _, rest = line.partition(":")
    number = rest.partition(":")[0]
    if name != file or not number.isdigit():
        return None
    for r in results:
        first = text.count("\n", 0, text.find(r.text)) + 1
        if first <= int(number) <= first + r.text.count("\n"):
            return r
    return None


def check_all(bench: Bench, ports: Sequence[source.Ported], jobs: int = 0,
              say: Callable[[str], None] = lambda text: None) -> list[Result]:
    """Every port: emitted, and compiled in its place."""
    emitted = [bench.emit(p) for p in ports]
    files: dict[str, list[Result]] = {}
    for r in emitted:
        files.setdefault(r.path, []).append(r)
    say(f"{len(emitted)} functions of {len(files)} files")
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        list(pool.map(lambda item: bench.check_file(*item), files.items()))
    return emitted
