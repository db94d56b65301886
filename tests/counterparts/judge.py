# SPDX-License-Identifier: GPL-2.0-only
"""Everything that has no counterpart, with the list of those that stay."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.counterparts import allowed
from tests.counterparts.ported import compare, load
from tests.counterparts.strangers import strangers


@dataclass(frozen=True)
class Found:
    """What C has not: ``where`` and ``what`` are the first two columns of allowed.txt; ``place`` is where it stands in Python."""

    where: str
    what: str
    place: str


@dataclass
class Verdict:
    """``unread``: ported functions whose C the tree has not, or whose Python is made by a call."""

    functions: int = 0
    statements: int = 0
    unread: list[str] = field(default_factory=list)
    allowed: list[tuple[Found, str]] = field(default_factory=list)
    new: list[Found] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def everything(tree: Path, names: tuple[str, ...] = ()) -> Verdict:
    """All ported functions against a tree, or those of C names."""
    v = Verdict()
    found: list[Found] = []
    ported = load()
    for p in ported:
        if names and p.c_name not in names and p.name not in names:
            continue
        c = compare(p, tree)
        if c is None:
            v.unread.append(f"{p.path}: {p.c_name} ({'posted ' + p.posted if p.posted else p.module})")
            continue
        v.functions += 1
        v.statements += c.statements
        found += [Found(f"{p.path}:{p.c_name}", s.text, f"{p.module}:{s.line}") for s in c.without]
    if not names:
        found += [Found(" ".join(s.paths), s.name + "()", f"{s.module}:{s.line}") for s in strangers(ported, tree)]
    reasons = allowed.read()
    used = set()
    for f in found:
        if (f.where, f.what) in reasons:
            used.add((f.where, f.what))
            v.allowed.append((f, reasons[f.where, f.what]))
        else:
            v.new.append(f)
    if not names:
        v.stale = [f"{where} | {what}" for where, what in reasons if (where, what) not in used]
    return v
