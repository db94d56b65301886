# SPDX-License-Identifier: GPL-2.0-only
"""C against Python, with the helpers that only one of them has counted in."""
from __future__ import annotations

import importlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from kemu.linux.port import honesty
from kemu.report import ports
from kemu.report.samecheck import ctext, pytext, widths
from kemu.report.samecheck.events import Events

DEPTH = 4
# headers whose inline functions are looked into; the others are of what a machine is made of (lists, XArrays, wait queues)
HEADERS = ("fs.h", "fs/super.h", "pagemap.h", "dcache.h", "mount.h", "namei.h", "iomap.h", "buffer_head.h", "bio.h", "blkdev.h",
           "highmem.h", "fs_struct.h")


@dataclass(frozen=True, order=True)
class Difference:
    """One word that one side has and the other has not. ``what``: ``-spin lock i_lock`` is missing in Python, ``+`` is only
    there.
    """

    path: str
    c_name: str
    what: str
    module: str
    name: str
    via: str = ""               # the helper that has it, if it is not the function itself

    @property
    def kind(self) -> str:
        """lock, call, warn, error, width or load."""
        return self.what[1:].partition(" ")[0]


@dataclass(frozen=True)
class Subject:
    """One function that says that it is as Linux."""

    module: str
    name: str
    path: str
    c_name: str
    fn: FunctionType


def subjects() -> list[Subject]:
    """Every @dup and @port_of function, posted ones aside."""
    ports.load_packages()
    rows: dict[tuple[str, str, str, str], Subject] = {}
    posted = {(p.module, p.name) for p in honesty.ports if p.posted}
    for module, name, path, c_name in [(s.module, s.name, s.path, s.c_name) for s in honesty.symbols.values()
                                       if s.honesty == "dup"] \
            + [(p.module, p.name, p.path, p.c_name) for p in honesty.ports if not p.posted
               and honesty.symbols.get((p.module, p.name), p) is p]:
        if (module, name) in posted:
            continue
        obj: Any = getattr(importlib.import_module(module), name, None)
        obj = getattr(obj, "__wrapped__", obj)
        if isinstance(obj, FunctionType):
            rows[path, c_name, module, name] = Subject(module, name, path, c_name, obj)
    return [rows[k] for k in sorted(rows)]


class Checker:
    """One tree against what is loaded."""

    def __init__(self, tree: Path):
        self.tree = tree
        ports.load_packages()
        # the ports' own functions, those of the emulated API, and those of a port that was loaded by hand
        self.packages = tuple({"kemu.linux", *(p.module.partition(".")[0] for p in honesty.ports
                                               if not p.module.startswith("kemu."))})
        self.by_c: dict[str, honesty.Symbol | honesty.Port] = {}
        self.tagged: dict[tuple[str, str], str] = {}
        for p in honesty.ports:
            self.by_c.setdefault(p.c_name, p)
            self.tagged[p.module, p.name] = p.c_name
        for s in honesty.symbols.values():
            self.by_c.setdefault(s.c_name, s)
            self.tagged[s.module, s.name] = s.c_name

    @cache                                              # noqa: B019
    def _helper(self, name: str, path: str, declared: bool = False) -> Events | None:
        """A helper of a C file: in the same file, where somebody cites it, or inline in a header that is included."""
        known = self.by_c.get(name)
        if isinstance(known, honesty.Symbol) and known.honesty != "dup" and not declared:
            return None                                 # it is said there how that differs
        ev = ctext.function_events(self.tree / path, name)
        if ev is not None:
            return ev
        if known is not None and (ev := ctext.function_events(self.tree / known.path, name)) is not None:
            return ev
        if known is not None and known.path.endswith(".c"):
            return None
        for header in self._headers(path):
            ev = ctext.function_events(header, name)
            if ev is not None:
                return ev
        return None

    @cache                                              # noqa: B019
    def _headers(self, path: str) -> tuple[Path, ...]:
        out = []
        for m in re.finditer(r'^\s*#\s*include\s+(?:<([^>]+)>|"([^"]+)")', ctext.read(self.tree / path), flags=re.M):
            f = self.tree / "include" / m[1] if m[1] else (self.tree / path).parent / m[2]
            if f.is_file() and (m[2] or m[1].removeprefix("linux/") in HEADERS):
                out.append(f)
        return tuple(out)

    def _py_name(self, fn: FunctionType, name: str) -> str:
        """The C name of what a Python function calls ``name``."""
        obj = pytext.resolve(fn, name)
        module = getattr(obj, "__module__", "")
        return self.tagged.get((module, getattr(obj, "__name__", name)), self.tagged.get((fn.__module__, name), name))

    def _must_be_called(self, known: honesty.Port | honesty.Symbol, name: str, path: str) -> bool:
        """Whether a call of what is ported has to be there: it takes locks."""
        return (isinstance(known, honesty.Port) or known.honesty == "dup") and self._locks(name, path)

    def compare(self, s: Subject) -> list[Difference]:
        """The differences of one function."""
        cev = ctext.function_events(self.tree / s.path, s.c_name)
        if cev is None:
            return []
        own = pytext.function_events(s.fn)
        c, py, c_more, py_more = Events(), Events(), Events(), Events()     # what must be on the other side; what may be
        c.add(cev)
        py.add(own)
        origin: dict[str, set[str]] = {}
        _note(origin, "-", cev, "")
        _note(origin, "+", own, "")
        c_known, py_known, calls = {s.c_name}, {s.fn}, set()
        c_todo: list[tuple[str, str, bool]] = [(n, s.path, False) for n in sorted(cev.calls)]
        py_todo: list[tuple[FunctionType, str, bool]] = [(s.fn, n, False) for n in sorted(own.calls)]
        c_names = set(cev.calls)
        py_names = {x for n in own.calls for x in (n, self._py_name(s.fn, n))}
        for _ in range(DEPTH):
            new_py: list[tuple[FunctionType, str, bool]] = []
            for f, n, more in py_todo:
                obj, cn = pytext.resolve(f, n), self._py_name(f, n)
                if not isinstance(obj, FunctionType) or obj in py_known or not obj.__module__.startswith(self.packages):
                    continue
                py_known.add(obj)
                tagged = (obj.__module__, obj.__name__) in self.tagged
                if cn in c_names and (tagged or self._helper(cn, s.path) is None):
                    continue                            # both call it: it is looked at by itself, or its C is in another file
                ev = pytext.function_events(obj)
                py_names |= {x for n2 in ev.calls for x in (n2, self._py_name(obj, n2))}
                if tagged or more:
                    py_more.add(ev)
                else:
                    py.add(ev)
                    _note(origin, "+", ev, n)
                new_py += [(obj, x, tagged or more) for x in sorted(ev.calls)]
            py_todo = new_py
        for _ in range(DEPTH):
            new_c: list[tuple[str, str, bool]] = []
            for n, path, more in c_todo:
                known = self.by_c.get(n)
                if n in c_known or (known is not None and n in py_names):
                    continue
                c_known.add(n)
                if known is not None:
                    told = self._helper(n, path, True)
                    if not more and self._must_be_called(known, n, path):
                        calls.add(n)
                    if told is not None:
                        c_more.add(told)
                        new_c += [(x, known.path, True) for x in sorted(told.calls)]
                    continue
                helper = self._helper(n, path)
                if helper is not None:
                    if more:
                        c_more.add(helper)
                    else:
                        c.add(helper)
                        _note(origin, "-", helper, n)
                    new_c += [(x, path, more) for x in sorted(helper.calls)]
            c_todo = new_c
        words = differences(c, py, c_more, py_more)
        return [Difference(s.path, s.c_name, w, s.module, s.name, " ".join(sorted(origin.get(_origin_key(w), ()))))
                for w in words] \
            + [Difference(s.path, s.c_name, f"-call {n}", s.module, s.name) for n in sorted(calls)] \
            + [Difference(s.path, s.c_name, w, s.module, s.name) for w in self._widths(s)]

    def _widths(self, s: Subject) -> list[str]:
        """What a port has forgotten to wrap; what is not ported line by line has other locals."""
        if not any((p.module, p.name) == (s.module, s.name) for p in honesty.ports):
            return []
        return widths.forgotten(ctext.function(self.tree / s.path, s.c_name), s.fn)

    @cache                                              # noqa: B019
    def _locks(self, name: str, path: str, depth: int = 3) -> bool:
        """Whether a function locks, or one that it calls."""
        known = self.by_c.get(name)
        if (isinstance(known, honesty.Symbol) and known.honesty != "dup") or not depth:
            return False
        ev = self._helper(name, path)
        if ev is None:
            return False
        where = known.path if known is not None else path
        return bool(ev.locks) or any(self._locks(n, where, depth - 1) for n in sorted(ev.calls) if n != name)


def _origin_key(word: str) -> str:
    return re.sub(r" \d+$", "", word)


def _note(origin: dict[str, set[str]], sign: str, ev: Events, where: str) -> None:
    """Remember who does what."""
    words = [f"lock {kind} {how} {name}".rstrip() for how, kind, name in _lock_words(ev)]
    words += [f"warn {w}" for w in ev.warns] + [f"error {e}" for e in ev.errors]
    for w in words:
        origin.setdefault(sign + w, set()).add(where)


def _lock_words(ev: Events) -> Counter[tuple[str, str, str]]:
    """Trylock counts as lock; how often is not compared, but that it is."""
    out: Counter[tuple[str, str, str]] = Counter()
    for (how, kind, name), n in ev.locks.items():
        out["unlock" if how == "unlock" else "lock", kind, name] += n
    return out


def differences(c: Events, py: Events, c_more: Events, py_more: Events) -> list[str]:
    """What one side has and the other has not, as words."""
    out = []
    a, b, more = _lock_words(c), _lock_words(py), _lock_words(py_more)
    missing, extra = sorted(set(a) - set(b) - set(more)), sorted(set(b) - set(a) - set(_lock_words(c_more)))
    # a lock that has another name here is the same lock, if it is as many
    for how, kind, name in list(missing):
        like = [x for x in extra if x[:2] == (how, kind)]
        if like:
            missing.remove((how, kind, name))
            extra.remove(like[0])
    out += [f"-lock {kind} {how} {name}".rstrip() for how, kind, name in missing]
    out += [f"+lock {kind} {how} {name}".rstrip() for how, kind, name in extra]
    for word in ("WARN", "BUG"):                        # those of debugging kernels are not compared
        n = py.warns[word] - c.warns[word]
        if word == "BUG" and n < 0:
            n = min(0, n + py.warns["RAISE"] + py_more.warns["RAISE"])
        n = min(0, n + py_more.warns[word]) if n < 0 else max(0, n - c_more.warns[word])
        if n:
            out.append(f"{'+' if n > 0 else '-'}warn {word} {abs(n)}")
    out += [f"-error {e}" for e in sorted(c.errors - py.errors - py_more.errors)]
    out += [f"+error {e}" for e in sorted(py.errors - c.errors - c_more.errors)]
    return out
