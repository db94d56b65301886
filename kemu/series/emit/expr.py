# SPDX-License-Identifier: GPL-2.0-only
"""An expression of C while it is put together: its text, how tightly it binds, its type."""
from __future__ import annotations

from dataclasses import dataclass, replace

from kemu.series.emit.ctype import CType

# how tightly operators bind
COMMA, ASSIGN, COND, OR, AND, BITOR, XOR, BITAND, EQ, REL, SHIFT, ADD, MUL, UNARY, POST, ATOM = range(16)


@dataclass(frozen=True)
class Ex:
    """``type`` is None where it is not known. ``weak``: a number that has no width of its own. ``lvalue``: it has an address.
    ``fresh``: a structure that nobody else has (``erofs_buf()``, ``x.copy()``). ``negative``: a number below zero.
    """

    text: str
    prec: int = ATOM
    type: CType | None = None
    weak: bool = False
    lvalue: bool = False
    fresh: bool = False
    negative: bool = False

    def at(self, prec: int) -> str:
        """Its text where an operator wants something that binds at least so tightly."""
        return self.text if self.prec >= prec else f"({self.text})"

    def typed(self, t: CType | None) -> Ex:
        """The same, of that type."""
        return replace(self, type=t, weak=False)


class Untranslated(Exception):
    """What has no form in C here: it is marked, and counted."""
