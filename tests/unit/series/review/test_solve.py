# SPDX-License-Identifier: GPL-2.0-only
"""Limits that are met by looking at how a comparison moves with a field."""
from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import pytest

from kemu.rung.c.cover.case import Case
from kemu.series.review.solve import solved

PLACE = 0x1234


def asked(case: Case, compare: Callable[[bytes], tuple[int, int]], read: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """All pairs that come of it when each case is answered by what ``compare`` says of its bytes."""
    out = []
    search = solved(case, [(*compare(case.data), PLACE)], read)
    made = next(search, None)
    while made is not None:
        pair = compare(made.data)
        out.append(pair)
        try:
            made = search.send([(*pair, PLACE)])
        except StopIteration:
            break
    return out


@pytest.mark.parametrize("compare", [
    lambda d: (struct.unpack_from("<I", d, 40)[0] * 12 + 100, 4096),
    lambda d: (struct.unpack_from("<Q", d, 64)[0] + 4096 >> 12, 1 << 48),
    lambda d: (77, struct.unpack_from("<H", d, 22)[0] - 5),
])
def test_a_limit_is_met_exactly_and_on_both_sides(compare: Callable[[bytes], tuple[int, int]]) -> None:
    data = bytearray(range(1, 129))
    data[64:72] = struct.pack("<Q", 9 << 12)
    pairs = asked(Case(bytes(data)), compare)
    gaps = {a - b for a, b in pairs}
    assert any(abs(g) <= 12 for g in gaps)
    assert any(a >= b for a, b in pairs) and any(a < b for a, b in pairs)


def test_a_limit_that_takes_two_fields() -> None:
    """As a block number of which the upper half is in another field: neither alone comes to the limit."""
    def compare(data: bytes) -> tuple[int, int]:
        low, high = struct.unpack_from("<II", data, 64)
        return (high << 32 | low) + 4096 >> 12, 1 << 48

    data = bytearray(128)
    data[64:72] = struct.pack("<II", 9 << 12, 5)
    read = [(64, 4), (68, 4)]
    gaps = {a - b for a, b in asked(Case(bytes(data)), compare, read)}
    assert {0, -1} <= gaps


def test_fields_that_nothing_depends_on_are_tried_together() -> None:
    data = bytes(range(1, 129))
    pairs = asked(Case(data), lambda d: (d[100], 250), [(at, 4) for at in range(8, 96, 4)] + [(100, 1)])
    assert any(a == b for a, b in pairs[:30])   # one by one it would take 66


def test_nothing_to_meet() -> None:
    assert next(solved(Case(bytes(64)), []), None) is None
