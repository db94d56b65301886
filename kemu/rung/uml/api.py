# SPDX-License-Identifier: GPL-2.0-only
"""What a booted kernel of the bench is besides Linux: files that are added, lines that are inserted, a flavour's settings."""
from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from kemu.rung.uml import config
from kemu.rung.uml.patches import SCHED_FILES, SCHED_INSERTIONS, Insertion, internal_patch

_FIRST = re.compile(r"/\*\s*\n? ?\*? ?(?!SPDX)(.+?)(?:\n|\*/)")
RUNGS = {"linux": "fast", "sched": "sched"}


@dataclass(frozen=True)
class Change:
    """One thing that is not as in the tree. ``kind``: ``file``, ``lines`` or ``config``."""

    kind: str
    name: str
    how: str

    def as_dict(self) -> dict[str, str]:
        """For ``--json``."""
        return asdict(self)


def changes(rung: str) -> list[Change]:
    """All of a rung: those of ``linux``, and for ``sched`` those that its flavour adds."""
    patch = internal_patch()
    sched = rung == "sched"
    out = [Change("file", f"init/{name}", _about(data.decode())) for name, data in patch.new.items()
           if sched or name not in SCHED_FILES]
    out += [_lines(i) for i in patch.insertions if sched or i not in SCHED_INSERTIONS]
    base, own = (config.settings((config.CONFIGS / f"{name}.config").read_text()) for name in ("base", RUNGS[rung]))
    return out + [Change("config", f"{name}={value}", "") for name, value in own.items()
                  if value is not None and base.get(name) != value]


def _about(text: str) -> str:
    """The first line of the comment that a file begins with, behind its licence."""
    m = _FIRST.search(text.split("\n", 1)[-1])
    return m[1].strip(" *.") if m else ""


def _lines(i: Insertion) -> Change:
    text = "; ".join(line.strip() for line in i.text.splitlines() if line.strip())
    return Change("lines", i.path, f"{i.where} {i.anchor.strip()!r}: {text}")
