# SPDX-License-Identifier: GPL-2.0-only
"""Differences that have a reason (``explained.txt``), and those that have none yet (``open.txt``). A line that no difference
needs is a mistake.

``explained.txt``: ``FILE:FUNCTION | DIFFERENCE[; DIFFERENCE]... | REASON``; ``open.txt``: ``FILE:FUNCTION | DIFFERENCE``. A
function is named as in C; one C function that two modules have is one. ``*`` is every function.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kemu.report.samecheck.compare import Difference

EXPLAINED = Path(__file__).with_name("explained.txt")
OPEN = Path(__file__).with_name("open.txt")


def _lines(path: Path) -> list[list[str]]:
    return [[x.strip() for x in line.split(" | ")] for line in path.read_text().splitlines() if line and not line.startswith("#")]


def explained(path: Path = EXPLAINED) -> dict[tuple[str, str], str]:
    """(function, difference) -> reason."""
    out = {}
    for where, words, reason in _lines(path):
        for word in words.split(";"):
            out[where, word.strip()] = reason
    return out


def still_open(path: Path = OPEN) -> set[tuple[str, str]]:
    """(function, difference) of those without a reason."""
    return {(where, word) for where, word in _lines(path)}


@dataclass
class Verdict:
    """``new``: neither explained nor listed as open. ``stale``: lines that no difference needs any more."""

    explained: list[tuple[Difference, str]] = field(default_factory=list)
    open: list[Difference] = field(default_factory=list)
    new: list[Difference] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def judge(found: list[Difference]) -> Verdict:
    """Each difference, and each line of the two files."""
    v = Verdict()
    reasons, opened = explained(), still_open()
    used: set[tuple[str, str]] = set()
    for d in found:
        key = f"{d.path}:{d.c_name}", d.what
        if key not in reasons and ("*", d.what) in reasons:
            key = "*", d.what
        used.add(key)
        if key in reasons:
            v.explained.append((d, reasons[key]))
        elif key in opened:
            v.open.append(d)
        else:
            v.new.append(d)
    v.stale = sorted(f"{where} | {word}" for where, word in (set(reasons) | opened) - used)
    v.stale += sorted(f"{where} | {word} (explained and open)" for where, word in set(reasons) & opened)
    return v
