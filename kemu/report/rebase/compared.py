# SPDX-License-Identifier: GPL-2.0-only
"""Two trees: what became of each definition of the files that the ports were written from."""
from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemu.report import ports
from kemu.report.beside import pairs
from kemu.report.csource import pin
from kemu.report.rebase.alike import HAND, MECHANICAL, bare, kind_of, tokens
from kemu.report.rebase.definitions import FUNCTION, MACRO, Definition, definitions

CHANGED, NEW, GONE, MOVED = "changed", "new", "gone", "moved"
_CALL = re.compile(r"\b([a-z_]\w*)\s*\(")


@dataclass
class Line:
    """A line of C that is gone (-) or has come (+), and where in the port it stands, or would."""

    sign: str
    number: int
    text: str
    place: str = ""


@dataclass
class Change:
    """``state``: changed, new, gone, moved; ``how``: of what is changed, by what kind of change; ``what``: in a few words;
    ``port``: the Python that was written from it, a place; ``callers``: ported functions that call it, where it has no port.
    """

    path: str
    kind: str
    name: str
    state: str
    how: str = ""
    what: str = ""
    port: str = ""
    callers: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def by_rule(self) -> bool:
        """Whether it is of a kind that can be made in a port without being understood."""
        return self.how in MECHANICAL


@dataclass(frozen=True)
class _Port:
    module: str
    name: str
    full: bool                         # a ported function, nothing that only says @dup


class Ports:
    """Which Python was written from which C."""

    def __init__(self, rows: Iterable[ports.Ported | ports.Cited] | None = None) -> None:
        self.of: dict[tuple[str, str], _Port] = {}
        self.files: set[str] = set()
        every: list[ports.Ported | ports.Cited] = [*ports.cited(), *ports.ported()] if rows is None else list(rows)
        for row in every:
            if not row.posted:
                full = isinstance(row, ports.Ported)
                self.of[row.path, row.c_name] = _Port(row.module, row.name, full)
                if full:
                    self.files.add(row.path)
        self.names = {c: p for (_, c), p in self.of.items()}
        self.modules: dict[str, list[str]] = {}
        for (path, _), p in self.of.items():
            self.modules.setdefault(path, []).append(p.module)

    def find(self, path: str, kind: str, name: str) -> _Port | None:
        """The Python of a definition: registered, or, of what is no function, by its name in a module written from its file."""
        found = self.of.get((path, name))
        if found is not None or kind == FUNCTION:
            return found
        for module in dict.fromkeys(self.modules.get(path, [])):
            if hasattr(sys.modules.get(module), name):
                return _Port(module, name, False)
        return None


def compared(old: Path, new: Path, known: Ports, files: Iterable[str] = ()) -> list[Change]:
    """What is not the same in ``new``, of the files that are ported (or of these)."""
    out: list[Change] = []
    headers = _headers(known.files, old)
    for path in sorted(set(files) or known.files | headers | {path for path, _ in known.of}):
        texts = [_read(tree / path) for tree in (old, new)]
        if texts[0] == texts[1]:
            continue
        before, after = map(definitions, texts)
        wide = path in known.files or path in headers
        for key in sorted(before.keys() | after.keys(), key=lambda k: _order(k, before, after)):
            a, b = before.get(key), after.get(key)
            port = known.find(path, *key)
            if (a is not None and b is not None and tokens(a.text) == tokens(b.text)) or (not wide and port is None):
                continue
            if a is None and not wide:
                continue
            out.append(_change(path, a, b, port))
    _moves(out, old, new)
    _callers(out, old, known)
    return [c for c in out if c.port or c.callers or c.state in (NEW, MOVED)]


def stale(old: Path) -> int:
    """How many functions are pinned to other C than this tree's: it is not what the ports were written from."""
    rows: list[ports.Ported | ports.Cited] = [*ports.ported(), *ports.cited()]
    count = 0
    for p in rows:
        if not p.posted and p.hash and p.hash != ports.NO_FUNCTION:
            fn = ports.c_function(old, p)
            count += fn is None or pin(fn.text) != p.hash
    return count


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _headers(files: set[str], tree: Path) -> set[str]:
    """The headers beside what is ported."""
    folders = {path.rpartition("/")[0] for path in files}
    return {f"{folder}/{f.name}" for folder in folders if folder.startswith(("fs/", "init")) for f in (tree / folder).glob("*.h")}


def _order(key: tuple[str, str], before: dict[tuple[str, str], Definition], after: dict[tuple[str, str], Definition]) -> int:
    return (after.get(key) or before[key]).line


def _change(path: str, a: Definition | None, b: Definition | None, port: _Port | None) -> Change:
    some = b or a
    assert some is not None
    c = Change(path, some.kind, some.name, CHANGED if a and b else NEW if b else GONE)
    if port is not None:
        c.port = _place(port)
    if a is not None and b is not None:
        c.how, c.what = kind_of(a.text, b.text)
        c.lines = _lines(a, b, port)
    return c


def _source(port: _Port) -> tuple[list[str], int, str] | None:
    try:
        text, first = ports.python_source(ports.Cited(port.module, port.name, "", "", ""))
    except (OSError, TypeError, AttributeError, ImportError):
        return None
    return text.splitlines(), first, port.module.replace(".", "/") + ".py"


def _place(port: _Port) -> str:
    found = _source(port)
    return f"{found[2]}:{found[1]}" if found else port.module.replace(".", "/") + ".py"


def _lines(a: Definition, b: Definition, port: _Port | None) -> list[Line]:
    """The lines that differ; each old one with the line of the port that says the same, each new one with that behind which it
    would stand.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415  (start-up)

    xs, ys = _code(a.text), _code(b.text)
    found = _source(port) if port is not None else None
    at: dict[int, int] = {}
    if found is not None:
        at = dict(pairs([text for _, text in xs], found[0]))
    out: list[Line] = []

    def where(i: int) -> str:
        near = max((k for k in at if k <= i), default=None)
        return f"{found[2]}:{found[1] + at[near]}" if found is not None and near is not None else ""

    rows = SequenceMatcher(None, [" ".join(t.split()) for _, t in xs], [" ".join(t.split()) for _, t in ys], autojunk=False)
    for tag, i1, i2, j1, j2 in rows.get_opcodes():
        if tag != "equal":
            out += [Line("-", a.line + xs[i][0], xs[i][1], where(i)) for i in range(i1, i2)]
            out += [Line("+", b.line + ys[j][0], ys[j][1], where(i2 - 1 if i2 > i1 else i1 - 1)) for j in range(j1, j2)]
    return out


def _code(text: str) -> list[tuple[int, str]]:
    """The lines with code, by their number in the text."""
    return [(i, line.rstrip()) for i, line in enumerate(bare(text).split("\n")) if line.strip()]


def _moves(changes: list[Change], old: Path, new: Path) -> None:
    """What is gone in one place and has come in another, as it was, or with another name."""
    gone = [c for c in changes if c.state == GONE]
    come = [c for c in changes if c.state == NEW and c.kind != MACRO]
    for a in gone:
        was = definitions(_read(old / a.path))[a.kind, a.name].text
        for b in come:
            now = definitions(_read(new / b.path))[b.kind, b.name].text
            if a.kind == b.kind and tokens(re.sub(rf"\b{a.name}\b", b.name, was)) == tokens(now):
                a.state, a.what = MOVED, f"to {b.path}" + (f" as {b.name}()" if a.name != b.name else "")
                changes.remove(b)
                come.remove(b)
                break


def _callers(changes: Sequence[Change], old: Path, known: Ports) -> None:
    """Ported functions that call what has changed and has no port."""
    loose = {c.name: c for c in changes if not c.port and c.kind in (FUNCTION, MACRO) and c.state in (CHANGED, GONE, MOVED)}
    if not loose:
        return
    some = re.compile(rf"\b(?:{'|'.join(map(re.escape, loose))})\s*\(")
    for path in sorted(known.files):
        text = _read(old / path)
        if some.search(text):
            for (kind, name), d in definitions(text).items():
                port = known.of.get((path, name))
                if kind == FUNCTION and port is not None and port.full:
                    for called in set(_CALL.findall(d.text)) & loose.keys() - {name}:
                        loose[called].callers.append(name)


__all__ = ["CHANGED", "GONE", "HAND", "MOVED", "NEW", "Change", "Line", "Ports", "compared", "stale"]
