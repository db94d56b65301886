# SPDX-License-Identifier: GPL-2.0-only
"""Findings on disk: a file for each, named by a hash of series and cause, so that one found again is the same one."""
from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from kemu.explore import token as tokens
from kemu.explore.finding import SEVERITIES, Finding
from kemu.report.store import tokens as stored
from kemu.report.store.folder import locked, now, read_json, state_dir, write


class UnknownFinding(LookupError):
    """Nothing is kept under that name; the message says so."""


@dataclass
class Kept:
    """A finding and what is known about it.

    ``first_seen``, ``last_seen``: when a search came upon it; ``confirmed``: when a run last showed it; ``gone``: when a replay
    last did not.
    ``version``: the code that last showed it. All times UTC.
    """

    id: str
    series: str
    rung: str
    finding: Finding
    first_seen: str = ""
    last_seen: str = ""
    confirmed: str = ""
    gone: str = ""
    version: str = ""
    runs: list[str] = field(default_factory=list)

    @property
    def token(self) -> str:
        """As it is typed."""
        return self.finding.ref(self.finding.token)

    def as_json(self) -> dict[str, Any]:
        """The object of ``kemu findings --json``."""
        return {"id": self.id, "series": self.series, **self.finding.as_json(), "rung": self.rung, "version": self.version,
                "first_seen": self.first_seen, "last_seen": self.last_seen, "confirmed_at": self.confirmed or None,
                "gone_at": self.gone or None}


def folder() -> Path:
    """Where they are."""
    return state_dir() / "findings"


def name_of(series: str, cause: str) -> str:
    """Six characters for a cause in a series."""
    n = int.from_bytes(hashlib.sha256(f"{series}\0{cause}".encode(errors="surrogateescape")).digest()[:4], "big") >> 2
    return "".join(tokens.ALPHABET[n >> 5 * i & 31] for i in reversed(range(6)))


def save(finding: Finding, series: str, rung: str, version: str, run: str = "") -> Kept:
    """Write a finding that a run has shown just now. ``finding`` learns the short forms of its tokens. ``OSError``: it could not
    be kept.
    """
    for t in [finding.token, *finding.also]:
        short = stored.keep(t)
        if short != t:
            finding.stored[t] = short
    ident = name_of(series, finding.cause)
    with locked(folder()):
        old = _read(folder() / f"{ident}.json")
        if old is not None and old.finding.small and not finding.small:
            finding.seen_as(*old.finding.also)
            shown = old.finding                     # the smaller trigger stays
            shown.seen_as(finding.token, *finding.also)
            shown.stored |= finding.stored
        else:
            shown = finding
        when = now()
        kept = Kept(ident, series, rung, shown, old.first_seen if old else when, when, when, "", version,
                    ([r for r in old.runs if r != run] if old else [])[-7:])
        if run:
            kept.runs.append(run)
        _write(kept)
    return kept


def _write(kept: Kept) -> None:
    write(folder() / f"{kept.id}.json", json.dumps({**{f.name: getattr(kept, f.name) for f in fields(Kept)
                                                       if f.name != "finding"},
                                                     "finding": asdict(kept.finding)}, indent=1) + "\n")


def _read(path: Path) -> Kept | None:
    value = read_json(path)
    if value is None:
        return None
    try:
        known = {f.name for f in fields(Finding)}
        finding = Finding(**{k: v for k, v in value.pop("finding").items() if k in known})
        kept = Kept(finding=finding, **{k: v for k, v in value.items() if k in {f.name for f in fields(Kept)}})
    except (KeyError, TypeError, AttributeError):
        return None
    return kept if finding.severity in SEVERITIES and kept.id == path.stem else None


def all_kept() -> list[Kept]:
    """Worst first, then by series and title."""
    found = (_read(p) for p in sorted(folder().glob("*.json")) if not p.name.startswith("."))
    return sorted((k for k in found if k is not None), key=lambda k: (SEVERITIES.index(k.finding.severity), k.series,
                                                                      k.finding.title, k.id))


def of_run(run: str) -> list[Kept]:
    """Those that a run has found."""
    return [k for k in all_kept() if run in k.runs]


def find(text: str) -> Kept:
    """By ID, the beginning of one, or a token. ``UnknownFinding``: none, or several."""
    word = tokens.normal(text)
    everything = all_kept()
    hits = [k for k in everything if k.id == word] or [k for k in everything if word in (k.finding.token, k.token)]
    if not hits and re.fullmatch(r"[0-9a-z]{2,6}", word):
        hits = [k for k in everything if k.id.startswith(word)]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise UnknownFinding(f"{text}: {len(hits)} findings begin so: {', '.join(k.id for k in hits[:6])}")
    raise UnknownFinding(f"{text}: no finding of that ID or token is kept" + ("" if everything else "; none is kept at all"))


def confirm(kept: Kept, shown: bool, version: str) -> None:
    """A replay has shown it, or has not."""
    with locked(folder()):
        kept = _read(folder() / f"{kept.id}.json") or kept
        if shown:
            kept.confirmed, kept.gone, kept.version = now(), "", version
        else:
            kept.gone = now()
        _write(kept)


def note_confirmed(finding: Finding, series: str) -> None:
    """Write of a finding that is kept what other rungs have shown of it. ``OSError``: it could not be written."""
    with locked(folder()):
        kept = _read(folder() / f"{name_of(series, finding.cause)}.json")
        if kept is not None:
            kept.finding.confirmed = finding.confirmed
            _write(kept)


def forget(kept: Kept) -> None:
    """Remove it."""
    with locked(folder()):
        (folder() / f"{kept.id}.json").unlink(missing_ok=True)
