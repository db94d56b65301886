# SPDX-License-Identifier: GPL-2.0-only
"""The initcall table: which functions run at which level, in the link order of a real build.

The default is UML's of Linux 7.2. A table is read from the text that ``initcalls-um-7.2.txt`` shows, from ``nm -n vmlinux`` or ``System.map``
(the ``__initcall__`` symbols stand in order), or from the log of a boot with ``initcall_debug``.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

LEVELS = ("early", "pure", "core", "postcore", "arch", "subsys", "fs", "device", "late")
_SUFFIX = {"early": "early", "0": "pure", "1": "core", "1s": "core", "2": "postcore", "2s": "postcore", "3": "arch", "3s": "arch", "4": "subsys",
           "4s": "subsys", "5": "fs", "5s": "fs", "rootfs": "fs", "6": "device", "6s": "device", "7": "late", "7s": "late"}
_LINE = re.compile(r"\s*\d+ (\w+)\s+suffix=(\S+)\s+(\S+)\s+obj=(\S+) line=(\S+)")
_SYMBOL = re.compile(r"\b__initcall__\w*?__\d+_(\d+)_(\w+?)(early|rootfs|[0-7]s?)$")
_DEFAULT = Path(__file__).with_name("initcalls-um-7.2.txt")


class Entry(NamedTuple):
    """One initcall of a build. ``rootfs`` initcalls are the tail of level ``fs`` and have ``suffix`` rootfs."""

    level: str
    name: str
    suffix: str = ""
    obj: str = ""
    line: str = ""


def parse(text: str) -> list[Entry]:
    """Entries in order, of any of the three kinds of text; ``ValueError`` if there is none."""
    out: list[Entry] = []
    level = ""
    for line in text.splitlines():
        m = _LINE.match(line)
        if m:
            out.append(Entry("fs" if m[1] == "rootfs" else m[1], m[3], m[2], m[4].strip("-"), m[5].strip("-")))
            continue
        m = _SYMBOL.search(line.rstrip())
        if m:
            out.append(Entry(_SUFFIX[m[3]], m[2], m[3], "", m[1]))
            continue
        m = re.search(r"entering initcall level: (\w+)", line)
        if m:
            level = m[1]
            continue
        m = re.search(r"calling  (\w+)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)? @ 1\b", line)
        if m and level:
            out.append(Entry(level, m[1]))
    if not out:
        raise ValueError("no initcall in this text: give nm -n vmlinux, System.map, or a log with initcall_debug")
    return out


@cache
def _default() -> tuple[Entry, ...]:
    return tuple(parse(_DEFAULT.read_text(encoding="utf-8")))


def load(path: str | None = None) -> tuple[Entry, ...]:
    """The table of a file; the packaged one without a path."""
    return _default() if path is None else tuple(parse(Path(path).read_text(encoding="utf-8", errors="replace")))


def merged(table: Iterable[Entry], ported: dict[str, Any]) -> list[tuple[Entry, Callable[[], int] | None]]:
    """The table with ported functions in their places. What a port declares and the build does not have runs first in its level: init/ is
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


def functions(machine: Any, ported: dict[str, Any]) -> dict[str, list[Callable[[], int]]]:
    """Level name -> functions, for one machine (part ``initcall_table``: entries; default UML's); made once for each machine."""
    done: dict[str, list[Callable[[], int]]] | None = machine.parts.get("initcall_levels")
    if done is None:
        done = {lvl: [] for lvl in LEVELS}
        for e, fn in merged(machine.parts.get("initcall_table") or load(), ported):
            if fn is None:
                fn = _stand_ins.get(e.name)
                if fn is None:
                    fn = _stand_ins[e.name] = _stand_in(e.name)
            done[e.level].append(fn)
        machine.parts["initcall_levels"] = done
    return done


def compare(a: Iterable[Entry], b: Iterable[Entry]) -> list[str]:
    """What moves from table ``a`` to ``b``, one line each: gone, new, other level, other place within the level."""
    xs, ys = list(a), list(b)
    ax, by = {e.name: e for e in xs}, {e.name: e for e in ys}
    out = [f"- {e.level:9} {e.name}" for e in xs if e.name not in by]
    out += [f"+ {e.level:9} {e.name}" for e in ys if e.name not in ax]
    out += [f"> {e.name}: {e.level} -> {by[e.name].level}" for e in xs if e.name in by and by[e.name].level != e.level]
    for lvl in LEVELS:
        left = [e.name for e in xs if e.level == lvl and e.name in by and by[e.name].level == lvl]
        right = [e.name for e in ys if e.level == lvl and e.name in ax and ax[e.name].level == lvl]
        place = {n: i for i, n in enumerate(right)}
        high = -1
        for n in left:
            if place[n] < high:
                out.append(f"~ {n}: earlier within {lvl}")
            high = max(high, place[n])
    return out
