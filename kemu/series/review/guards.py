# SPDX-License-Identifier: GPL-2.0-only
"""Which locks guard which memory, as runtime/guards.c has seen it: of each place those that whoever touched it has held."""
from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from kemu.rung.c.symbols import Symbols

PLACE = struct.Struct("<32sQIIQII")    # struct kemu_guarded
_RCU = "RCU"


@dataclass
class Guards:
    """``places``, ``locks``: struct kemu_guarded, as they are there."""

    places: bytes = b""
    locks: bytes = b""
    symbols: Symbols | None = None

    def __bool__(self) -> bool:
        return bool(self.places)

    @cached_property
    def violated(self) -> dict[str, tuple[frozenset[str], int]]:
        """Places that what is changed has touched without the locks that they had until then: those locks, and where."""
        return {self._name(of, at, size): (self._locks(before), pc)
                for of, at, size, _, pc, before, _ in PLACE.iter_unpack(self.places) if pc}

    @cached_property
    def kept(self) -> dict[str, frozenset[str]]:
        """Place -> locks that were held each time."""
        return {self._name(of, at, size): self._locks(mask) for of, at, size, mask, _, _, _ in PLACE.iter_unpack(self.places)}

    def _locks(self, mask: int) -> frozenset[str]:
        every = [self._name(of, at, size) for of, at, size, _, _, _, _ in PLACE.iter_unpack(self.locks)]
        return frozenset(name for i, name in enumerate(every) if mask >> i & 1)

    def _name(self, of: bytes, at: int, size: int) -> str:
        text = of.partition(b"\0")[0].decode("latin-1")
        if text == _RCU:
            return text
        if text:
            return f"byte {at} of a {size}-byte object of {text}"
        if self.symbols is None:
            return f"{at:#x}"
        offsets, names = _sorted(self.symbols)
        i = bisect_right(offsets, at) - 1
        return names[i] + (f"+{at - offsets[i]}" if at > offsets[i] else "")


def _sorted(symbols: Symbols) -> tuple[list[int], list[str]]:
    found = _known.get(id(symbols))
    if found is None:
        rows = sorted((offset, name) for name, offset in symbols.offsets.items())
        found = _known[id(symbols)] = ([offset for offset, _ in rows], [name for _, name in rows])
    return found


_known: dict[int, tuple[list[int], list[str]]] = {}
