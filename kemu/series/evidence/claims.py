# SPDX-License-Identifier: GPL-2.0-only
"""Claims, each with the command that shows it, as a block of a mail or as JSON."""
from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field
from typing import Any

COLUMNS = 72


@dataclass(frozen=True)
class Claim:
    """``said``: what came of it, with its counts in ``counts``; ``holds``: whether that speaks for the series; None: it says
    nothing of that kind, or was not run.
    """

    what: str
    said: str
    command: str
    holds: bool | None = True
    counts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Evidence:
    """Of one series: ``untested`` says what none of the claims is about."""

    name: str
    version: str
    base: str
    claims: list[Claim] = field(default_factory=list)
    untested: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether no claim speaks against the series."""
        return all(c.holds is not False for c in self.claims)

    def add(self, *claims: Claim) -> None:
        """Claims, and what they leave out."""
        self.claims += claims

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return {"name": self.name, "kemu": self.version, "base": self.base, "holds": self.holds,
                "claims": [asdict(c) for c in self.claims], "untested": self.untested}

    def text(self) -> list[str]:
        """The block, 72 columns wide."""
        out = wrapped(f"Tested with kemu {self.version}{f' on {self.base}' if self.base else ''}:")
        for c in self.claims:
            out += ["", *wrapped(f"- {c.what}: {c.said}", "  ")]
            out += [f"    $ {c.command}"] if c.command else []
        if self.untested:
            out += ["", *wrapped(f"Not tested: {'; '.join(self.untested)}.", "  ")]
        return out


def wrapped(text: str, indent: str = "") -> list[str]:
    """Of a mail's width."""
    return textwrap.wrap(" ".join(text.split()), COLUMNS, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


def counted(n: int, word: str, plural: str = "") -> str:
    """"1 patch", "2 patches"."""
    return f"{n:,} {word if n == 1 else plural or word + 's'}"
