# SPDX-License-Identifier: GPL-2.0-only
"""What a body does: the same three sorts of words for C and for Python."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Events:
    """``locks``: (lock|unlock, kind, name) counted; ``warns``: WARN and BUG counted; ``errors``: names of errnos; ``calls``:
    functions called.
    """

    locks: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    warns: Counter[str] = field(default_factory=Counter)
    errors: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)

    def add(self, other: Events) -> None:
        """What a helper does is done here."""
        self.locks += other.locks
        self.warns += other.warns
        self.errors |= other.errors
        self.calls |= other.calls
