# SPDX-License-Identifier: GPL-2.0-only
"""Runs that behaved as none before them: kept as tokens, and run first by the next search."""
from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kemu.explore import token
from kemu.report.store.findings import all_kept
from kemu.report.store.folder import append, now, state_dir

MOST = 2000             # behaviours of an experiment that are kept
FIRST = 200             # of them that a search begins with


def _path(experiment: str) -> Path:
    safe = "".join(c if c.isalnum() or c in ".-_" else f"%{ord(c):02x}" for c in experiment)
    return state_dir() / "inputs" / f"{safe}.jsonl"


def of_experiment(experiment: str) -> list[dict[str, Any]]:
    """Oldest first: ``{"token", "new", "version", "seen"}``. Lines that cannot be read are passed over."""
    try:
        lines = _path(experiment).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    out = []
    for line in lines:
        try:
            row = json.loads(line)
            if isinstance(row["token"], str) and isinstance(row["new"], list):
                out.append(row)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return out


def experiments() -> list[str]:
    """Files that there are, by the experiment's name as it is in the file's name."""
    return sorted(p.stem for p in (state_dir() / "inputs").glob("*.jsonl"))


class Inputs:
    """What is known of some experiments, and what is new."""

    def __init__(self, names: Iterable[str], version: str):
        self.version = version
        self.rows = {name: of_experiment(name) for name in names}
        self.known = {name: {b for row in rows for b in row["new"]} for name, rows in self.rows.items()}

    def add(self, experiment: str, tok: str, new: set[str]) -> None:
        """Keep a run if it shows what no kept run shows. ``OSError``: it could not be kept."""
        known = self.known.setdefault(experiment, set())
        fresh = sorted(new - known)
        if fresh and len(known) < MOST:
            known.update(fresh)
            append(_path(experiment), json.dumps({"token": tok, "new": fresh, "version": self.version, "seen": now()}))

    def first(self, series: Iterable[str]) -> dict[str, list[list[int]]]:
        """What a search of these experiments is to begin with: kept findings of the series, then the newest of the kept runs."""
        wanted = set(series)
        out: dict[str, list[list[int]]] = {name: [] for name in self.rows}
        kept = [(k.finding.experiment, k.finding.token) for k in all_kept() if k.series in wanted]
        for name, tok in [*kept, *((name, row["token"]) for name, rows in self.rows.items() for row in rows[-FIRST:])]:
            try:
                t = token.decode(tok)
            except token.TokenError:
                continue
            if name in out and t.seed is None and t.offsets:
                out[name].append(t.offsets)
        return {name: rows for name, rows in out.items() if rows}
