# SPDX-License-Identifier: GPL-2.0-only
"""``allowed.txt``: ``FILE:FUNCTION | STATEMENT | REASON``; ``FILE | FUNCTION() | REASON`` for a function that C has not. Lines
that nothing needs are errors.
"""
from __future__ import annotations

from pathlib import Path

ALLOWED = Path(__file__).with_name("allowed.txt")


class Malformed(ValueError):
    """A line of the list that is not as it has to be."""


def read(path: Path = ALLOWED) -> dict[tuple[str, str], str]:
    """(where, what) -> reason."""
    out: dict[tuple[str, str], str] = {}
    for n, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        parts = [x.strip() for x in line.split(" | ")]
        where, what, reason = parts[0], " | ".join(parts[1:-1]), parts[-1]
        if len(parts) < 3 or not reason:
            raise Malformed(f"{path.name}:{n}: not FILE:FUNCTION | STATEMENT | REASON")
        if (where, what) in out:
            raise Malformed(f"{path.name}:{n}: {where} | {what} is there twice")
        out[where, what] = reason
    return out
