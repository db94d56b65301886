# SPDX-License-Identifier: GPL-2.0-only
"""The initcall table: which functions run at which level, in the link order of a real build.

The default is UML's of Linux 7.2. A table is read from a vmlinux (or vmlinux.o), from ``System.map`` or ``nm -n vmlinux`` (the
symbols between ``__initcall_start`` and ``__initcall_end`` stand in order), from the log of a boot with ``initcall_debug``, or
from the text that ``initcalls-um-7.2.txt`` shows.
"""
from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kemu.machine.vmlinux import MARK, Vmlinux

LEVELS = ("early", "pure", "core", "postcore", "arch", "subsys", "fs", "device", "late")
_SUFFIX = {"early": "early", "0": "pure", "1": "core", "1s": "core", "2": "postcore", "2s": "postcore", "3": "arch", "3s": "arch",
           "4": "subsys",
           "4s": "subsys", "5": "fs", "5s": "fs", "rootfs": "fs", "6": "device", "6s": "device", "7": "late", "7s": "late"}
_LINE = re.compile(r"\s*\d+ (\w+)\s+suffix=(\S+)\s+(\S+)\s+obj=(\S+) line=(\S+)")
_NAMED = re.compile(r"__initcall__kmod_(\w+?)__\d+_(\d+)_(\w+?)(early|rootfss?|[0-7]s?)$")
_PLAIN = re.compile(r"__initcall_(\w+)$")             # UML's own __uml_initcall()
_MAP = re.compile(r"([0-9a-fA-F]{8,16}) \w (__initcall\w*)")
_DEFAULT = Path(__file__).with_name("initcalls-um-7.2.txt")


class Entry(NamedTuple):
    """One initcall of a build. ``rootfs`` initcalls are the tail of level ``fs`` and have ``suffix`` rootfs."""

    level: str
    name: str
    suffix: str = ""
    obj: str = ""
    line: str = ""


def from_symbols(symbols: Iterable[tuple[int, str]]) -> list[Entry]:
    """Entries of ``__initcall*`` symbols in order of their addresses; ``__initcall4_start`` and its like tell the levels where
    they are there.
    """
    out: list[Entry] = []
    level, inside = "early", True
    rows = list(symbols)
    marked = any(MARK.match(name) for _, name in rows)
    for _, name in sorted(rows, key=lambda x: (x[0], MARK.match(x[1]) is None)):
        mark = MARK.match(name)
        if mark:
            inside = mark[2] == "start"
            level = _SUFFIX.get((mark[1] or "early").replace("rootfss", "rootfs"), level)
            continue
        m = _NAMED.match(name)
        if m and (inside or not marked):
            out.append(Entry(level if marked else _SUFFIX[m[4].replace("rootfss", "rootfs")], m[3], m[4], m[1], m[2]))
            continue
        m = _PLAIN.match(name)
        if m and inside and not name.startswith("__initcall__kmod_"):
            out.append(Entry(level, m[1]))
    return out


def parse(text: str) -> list[Entry]:
    """Entries in order, of any of the three kinds of text; ``ValueError`` if there is none."""
    symbols = [(int(m[1], 16), m[2]) for m in map(_MAP.match, map(str.strip, text.splitlines())) if m]
    if symbols:
        bounds = {name: addr for addr, name in symbols if name in ("__initcall_start", "__initcall_end")}
        end = bounds.get("__initcall_end")
        return from_symbols(s for s in symbols if end is None or s[0] < end or MARK.match(s[1]))
    out: list[Entry] = []
    level = ""
    for line in text.splitlines():
        m = _LINE.match(line)
        if m:
            out.append(Entry("fs" if m[1] == "rootfs" else m[1], m[3], m[2], m[4].strip("-"), m[5].strip("-")))
            continue
        m = _NAMED.search(line.rstrip())
        if m:
            out.append(Entry(_SUFFIX[m[4].replace("rootfss", "rootfs")], m[3], m[4], m[1], m[2]))
            continue
        m = re.search(r"entering initcall level: (\w+)", line)
        if m:
            level = m[1]
            continue
        m = re.search(r"calling  (\w+)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)? @ 1\b", line)
        if m and level:
            out.append(Entry(level, m[1]))
    if not out:
        raise ValueError("no initcall in this file: give a vmlinux, its System.map, nm -n of it, or a log with initcall_debug")
    return out


@cache
def _default() -> tuple[Entry, ...]:
    return tuple(parse(_DEFAULT.read_text(encoding="utf-8")))


def load(path: str | None = None) -> tuple[Entry, ...]:
    """The table of a file; the packaged one without a path. ``ValueError`` if the file has none."""
    if path is None:
        return _default()
    if is_elf(path):
        return tuple(from_symbols(Vmlinux(path).initcall_symbols()))
    return tuple(parse(Path(path).read_text(encoding="utf-8", errors="replace")))


def is_elf(path: str) -> bool:
    """Whether a file is an ELF file; the text of the other kinds is small, so a boot image is refused here."""
    with open(path, "rb") as f:
        head = f.read(0x206)
    if head[0x202:0x206] == b"HdrS" or head[:4] in (b"MZ\0\0", b"MZ@\xfa") or head[0x38:0x3C] == b"ARM\x64":
        raise ValueError("a boot image, not a vmlinux: scripts/extract-vmlinux unpacks it, but System.map is what has the names")
    return head[:4] == b"\x7fELF"


def merged(table: Iterable[Entry], ported: dict[str, Any]) -> list[tuple[Entry, Callable[[], int] | None]]:
    """The table with ported functions in their places. What a port declares and the build does not have runs first in its level:
    init/ is
    linked first."""
    rows: dict[str, list[tuple[Entry, Callable[[], int] | None]]] = {lvl: [] for lvl in LEVELS}
    seen = set()
    for e in table:
        call = ported.get(e.name)
        seen.add(e.name)
        rows[e.level].append((e, call.fn if call is not None else None))
    for name, call in ported.items():
        if name in seen:
            continue
        level = "fs" if call.level == "rootfs" else call.level
        new = (Entry(level, name, call.level), call.fn)
        if call.level == "rootfs":
            at = next((i for i, (e, _) in enumerate(rows[level]) if e.suffix == "rootfs"), len(rows[level]))
            rows[level].insert(at, new)
        else:
            rows[level].insert(0, new) if call.fn.__module__.startswith("init") else rows[level].append(new)
    return [row for lvl in LEVELS for row in rows[lvl]]


def _stand_in(name: str) -> Callable[[], int]:
    """An initcall that is not ported: it does nothing and succeeds."""
    def initcall() -> int:
        return 0
    initcall.__name__ = name
    return initcall


_stand_ins: dict[str, Callable[[], int]] = {}


class Initcalls:
    """The initcalls of a machine's kernel. ``table``: of its build, in link order (None: UML's); ``levels``: level name -> what
    is called, once it is known.
    """

    __slots__ = ("levels", "table")

    def __init__(self) -> None:
        self.table: Sequence[Entry] | None = None
        self.levels: dict[str, list[Callable[[], int]]] | None = None


def functions(machine: Any, ported: dict[str, Any]) -> dict[str, list[Callable[[], int]]]:
    """Level name -> functions, for one machine (its :class:`Initcalls`); made once for each machine.

    An initcall whose file the machine's configuration does not build is left out.
    """
    mine: Initcalls = machine.part(Initcalls)
    done = mine.levels
    if done is None:
        done = {lvl: [] for lvl in LEVELS}
        config = machine.config
        out = {n for n, c in ported.items() if c.config and bool(config.get(c.config.lstrip("!"))) == (c.config[0] == "!")}
        for e, fn in merged(mine.table or load(), {n: c for n, c in ported.items() if n not in out} if out else ported):
            if e.name in out:
                continue
            if fn is None:
                fn = _stand_ins.get(e.name)
                if fn is None:
                    fn = _stand_ins[e.name] = _stand_in(e.name)
            done[e.level].append(fn)
        mine.levels = done
    return done


def _keys(table: Iterable[Entry]) -> list[tuple[tuple[str, int], Entry]]:
    """Entries with what tells them apart in two builds: the name, and which one it is of those that have it."""
    seen: dict[str, int] = {}
    out = []
    for e in table:
        n = seen[e.name] = seen.get(e.name, 0) + 1
        out.append(((e.name, n), e))
    return out


def _longest_rise(places: list[int]) -> set[int]:
    """Indices of a longest increasing subsequence."""
    tails: list[int] = []
    before: list[int] = []
    for i, p in enumerate(places):
        k = bisect_left([places[t] for t in tails], p)
        before.append(tails[k - 1] if k else -1)
        tails[k:k + 1] = [i]
    keep = set()
    i = tails[-1] if tails else -1
    while i >= 0:
        keep.add(i)
        i = before[i]
    return keep


def compare(a: Iterable[Entry], b: Iterable[Entry]) -> list[str]:
    """What changes from table ``a`` to ``b``, one line each: ``-`` gone, ``+`` new, ``>`` other level, ``~`` other place within
    its level (the
    fewest entries that must move for the rest to stay in order), with the neighbour that it runs after now."""
    xs, ys = _keys(a), _keys(b)
    ax, by = dict(xs), dict(ys)
    after = {key: ys[i - 1][1].name if i and ys[i - 1][1].level == e.level else "" for i, (key, e) in enumerate(ys)}

    def place(key: tuple[str, int]) -> str:
        return f"after {after[key]}" if after[key] else "first"

    out = [f"- {e.level:9} {e.name}" for key, e in xs if key not in by]
    out += [f"+ {e.level:9} {e.name}, {place(key)}" for key, e in ys if key not in ax]
    out += [f"> {e.name}: {e.level} -> {by[key].level}, {place(key)}" for key, e in xs if key in by and by[key].level != e.level]
    for lvl in LEVELS:
        left = [key for key, e in xs if e.level == lvl and key in by and by[key].level == lvl]
        right = {key: i for i, (key, _) in enumerate(ys)}
        keep = _longest_rise([right[key] for key in left])
        out += [f"~ {key[0]}: within {lvl}, now {place(key)}" for i, key in enumerate(left) if i not in keep]
    return out
