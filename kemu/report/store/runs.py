# SPDX-License-Identifier: GPL-2.0-only
"""Searches that have not come to their end: what they were asked, and how far they are."""
from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from kemu.explore import token
from kemu.explore.plan import Done
from kemu.explore.progress import Progress
from kemu.report.store.folder import now, read_json, state_dir, write

KEEP = 20               # unfinished runs; the oldest go


@dataclass
class RunFile:
    """One search. ``asked`` is what makes two searches the same: command, experiments, rung, seed."""

    id: str
    asked: dict[str, object]
    workers: int
    seconds: float = 0.0
    examples: int = 0
    per_experiment: dict[str, int] = field(default_factory=dict)
    behaviours: list[str] = field(default_factory=list)
    done: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    started: str = ""
    pid: int = 0

    @property
    def path(self) -> Path:
        """Its file."""
        return state_dir() / "runs" / f"{self.id}.json"

    def note(self, p: Progress) -> None:
        """Write how far it is. ``OSError``: it could not be written."""
        self.seconds, self.examples = p.seconds, p.examples
        self.per_experiment, self.behaviours = dict(p.per_experiment), sorted(p.behaviours)
        self.done = {str(k): {name: [int(d.swept), d.seeds] for name, d in share.items()} for k, share in p.done.items()}
        write(self.path, json.dumps(asdict(self)) + "\n")

    def progress(self) -> Progress:
        """How far it was, without its findings."""
        done = {int(k): {name: Done(bool(d[0]), int(d[1])) for name, d in share.items()} for k, share in self.done.items()}
        return Progress(examples=self.examples, behaviours=set(self.behaviours), seconds=self.seconds,
                        per_experiment=dict(self.per_experiment), done=done)

    def end(self) -> None:
        """It has come to its end: nothing is left to go on with."""
        self.path.unlink(missing_ok=True)


def begin(asked: dict[str, object], workers: int) -> RunFile:
    """A new run; nothing is written yet."""
    when = now()
    digest = hashlib.sha256(f"{when} {os.getpid()} {json.dumps(asked, sort_keys=True)}".encode()).digest()
    n = int.from_bytes(digest[:4], "big") >> 2
    return RunFile("".join(token.ALPHABET[n >> 5 * i & 31] for i in reversed(range(6))), asked, workers, started=when,
                   pid=os.getpid())


def unfinished() -> list[RunFile]:
    """Newest last; those of processes that are still there are left out."""
    out = []
    for path in (state_dir() / "runs").glob("*.json"):
        value = read_json(path) if not path.name.startswith(".") else None
        try:
            run = RunFile(**{k: v for k, v in (value or {}).items() if k in {f.name for f in fields(RunFile)}})
            run.progress()
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            continue
        if run.id == path.stem and not (run.pid != os.getpid() and _alive(run.pid)):
            out.append(run)
    out.sort(key=lambda r: (r.started, r.id))
    for old in out[:-KEEP]:
        old.end()
    return out[-KEEP:]


def _alive(pid: int) -> bool:
    """Whether that process is there and is a kemu: numbers are used again."""
    try:
        return b"kemu" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def last_like(asked: dict[str, object]) -> RunFile | None:
    """The newest unfinished run that was asked the same."""
    return next((r for r in reversed(unfinished()) if r.asked == asked), None)
