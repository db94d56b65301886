# SPDX-License-Identifier: GPL-2.0-only
"""What the changed code compares, put into the input: where one side of a comparison stands in it, the other side and its
neighbours do instead. So limits are met exactly.
"""
from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.mutate import made_good

_PLACES = 12                           # of one value in an input
_MASK = (1 << 64) - 1


def met(case: Case, compared: Sequence[tuple[int, int, int]], most: int = 600) -> Iterator[Case]:
    """Inputs in which a side of a comparison is what the other is, or beside it."""
    made = 0
    done: set[tuple[int, int]] = set()
    # of a range that the compiler has made one comparison of; bytes that are blocks on the disk
    for low, bits in ((0, 0), (0, 12), (0, 9), (1, 0), (-1, 0)):
        for a, b, _ in compared:
            if bits and not (a >> bits and b >> bits):
                continue
            for was, wanted in (((a >> bits) + low, (b >> bits) + low), ((b >> bits) + low, (a >> bits) + low)):
                if (was, wanted) in done or made >= most or min(was, wanted) < 0:
                    continue
                done.add((was, wanted))
                for data in _with(case, was, wanted):
                    made += 1
                    yield replace(case, data=data)


def _with(case: Case, was: int, wanted: int) -> Iterator[bytes]:
    values = list(dict.fromkeys(v & _MASK for v in (wanted, wanted - 1, wanted + 1)))
    if case.kind == "cpio":
        for old in {b"%08x" % (was & 0xffffffff), b"%08X" % (was & 0xffffffff)}:
            for at in _places(case.data, old, 1):
                for value in values:
                    yield case.data[:at] + b"%08x" % (value & 0xffffffff) + case.data[at + 8:]
        return
    for size in (8, 4, 2, 1):
        half = 8 * (size // 2)
        if not was or was >> 8 * size or (size > 2 and not was >> half and not wanted >> half):
            continue
        for at in _places(case.data, was.to_bytes(size, "little"), size):
            for value in values:
                yield _changed(case, at, size, value)


def _places(data: bytes, word: bytes, step: int) -> Iterator[int]:
    at, found = data.find(word), 0
    while at >= 0 and found < _PLACES:
        if at % step == 0:
            found += 1
            yield at
        at = data.find(word, at + 1)


def _changed(case: Case, at: int, size: int, value: int) -> bytes:
    data = bytearray(case.data)
    data[at:at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    if case.kind == "erofs":
        made_good(data)
    return bytes(data)


def nearer(case: Case, compared: Sequence[tuple[int, int, int]], written: Sequence[int], rng: random.Random) -> Case:
    """A field of it more or less by what a comparison lacks."""
    a, b, _ = rng.choice(compared)
    by = rng.choice((b - a, a - b)) + rng.choice((0, 0, 1, -1))
    size = rng.choice((1, 2, 2, 4, 4, 8))
    at = (rng.choice(written) + rng.randrange(8)) & -size
    if at + size > len(case.data):
        return case
    if case.kind == "cpio":
        found = case.data.rfind(b"07070", 0, at + 6)
        at = found + 6 + 8 * rng.randrange(13)
        if found < 0 or at + 8 > len(case.data):
            return case
        try:
            old = int(case.data[at:at + 8], 16)
        except ValueError:
            return case
        return replace(case, data=case.data[:at] + b"%08x" % ((old + by) & 0xffffffff) + case.data[at + 8:])
    old = int.from_bytes(case.data[at:at + size], "little")
    return replace(case, data=_changed(case, at, size, old + by))
