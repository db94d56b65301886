# SPDX-License-Identifier: GPL-2.0-only
"""Limits met exactly where no side of a comparison stands in the input as it is: each field is changed a little, what is compared
in the changed code moves with some of them, and by how much says which value of the field makes both sides equal, or one less.
"""
from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.mutate import made_good, places

Pairs = dict[int, list[tuple[int, int]]]               # by the place in the code, in their order
_STEPS = (1, 1 << 12, 1 << 9)
_FIELDS = ((8, 0), (4, 0), (4, 4), (2, 0), (2, 2), (2, 4), (2, 6))
_CELLS, _MOVED = 260, 12               # eight bytes each that are tried, and of those that move something
_PAGE = 4096
_NEAR = (0, -1, 1)
_GROUP = 8                             # fields that are tried together first
_LEVERS = 4                            # fields that one comparison is met by
_MASK = (1 << 64) - 1
_HEADER = 13                           # fields of a header of an archive, of eight digits each


def by_place(compared: list[tuple[int, int, int]]) -> Pairs:
    """What was compared, by where."""
    out: Pairs = {}
    for a, b, at in compared:
        out.setdefault(at, []).append((a, b))
    return out


def fields(case: Case, converted: Iterable[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Where in an image, and how large, what the kernel has read and converted is."""
    out: set[tuple[int, int]] = set()
    for value, size, at in converted:
        word = value.to_bytes(8, "little")[:size]
        there = range(at, len(case.data) - size + 1, _PAGE)
        out.update((where, size) for where in there if case.data[where:where + size] == word)
    return sorted(out)


def high(case: Case, read: Sequence[tuple[int, int]]) -> Iterator[Case]:
    """Each field with one more of its high bits: who has too narrow a number for what is made of it sees no change."""
    for bits in ((31, 47, 15), (30, 32, 14)):
        for at, size in read:
            bit = bits[0] if size == 4 else bits[1] if size == 8 else bits[2]
            value = int.from_bytes(case.data[at:at + size], "little")
            if not value >> bit & 1:
                yield _raw(case, at, (value | 1 << bit).to_bytes(size, "little"))


def solved(case: Case, compared: list[tuple[int, int, int]],
           read: Sequence[tuple[int, int]] = ()) -> Generator[Case, list[tuple[int, int, int]] | None, None]:
    """Cases; each is answered by what was compared in it, None if nothing can be said. ``read``: where fields are, if that is
    known.
    """
    before = by_place(compared)
    if not before:
        return
    moved = 0
    levers: dict[int, list[_Lever]] = {}               # by the place in the code
    known = list(read[:_CELLS])
    for i in range(0, len(known), _GROUP):
        group = known[i:i + _GROUP]
        answer = yield _each_other(case, group)        # of most fields nothing here knows
        if answer is not None and by_place(answer) == before:
            continue
        for at, size in group:
            yield from _field(case, before, at, size, levers)
    for cell in _cells(case):
        if cell in read:
            continue
        if cell[1] == 8 and case.kind == "erofs":      # all of it first: most of it moves nothing
            answer = yield _raw(case, cell[0], bytes(b ^ 1 for b in case.data[cell[0]:cell[0] + 8]))
            if answer is not None and not _differ(before, by_place(answer)):
                continue
            moved += 1
            if moved > _MOVED:
                return
            those = [(cell[0] + off, size) for size, off in _FIELDS if (cell[0] + off, size) not in read]
        else:
            those = [cell]
        for at, size in those:
            yield from _field(case, before, at, size, levers)


def _each_other(case: Case, group: Sequence[tuple[int, int]]) -> Case:
    for at, size in group:
        old = int.from_bytes(case.data[at:at + size], "little")
        case = _raw(case, at, (old + 1 if old + 1 < 1 << 8 * size else old - 1).to_bytes(size, "little"))
    return case


def _cells(case: Case) -> Iterator[tuple[int, int]]:
    if case.kind == "cpio":
        at = case.data.find(b"07070")
        for _ in range(6):
            if at < 0:
                return
            yield from ((at + 6 + 8 * i, 8) for i in range(_HEADER) if at + 14 + 8 * i <= len(case.data))
            at = case.data.find(b"07070", at + 110)
        return
    for at in places(case.data)[:_CELLS]:
        if at + 8 <= len(case.data):
            yield at, 8


@dataclass
class _Lever:
    """A field that moves a comparison: ``slope`` for each ``step`` of it."""

    at: int
    size: int
    old: int
    most: int
    step: int
    slope: int
    a: int
    b: int


def _field(case: Case, before: Pairs, at: int, size: int,
           levers: dict[int, list[_Lever]]) -> Generator[Case, list[tuple[int, int, int]] | None, None]:
    old = _value(case, at, size)
    if old is None:
        return
    most = (1 << 32) - 1 if case.kind == "cpio" else (1 << 8 * size) - 1
    for step in _STEPS:
        if old + step > most:
            continue
        answer = yield _with(case, at, size, old + step)
        if answer is None:
            continue
        told = _differ(before, by_place(answer))
        if not told:
            continue
        done = set()
        for place, a, b, slope in told:                # a - b moves by slope for each step
            for extra in _NEAR:
                gap = b - a + extra
                value = old + gap * step // slope
                if 0 <= value <= most and value not in done and value != old:
                    done.add(value)
                    yield _with(case, at, size, value)
            some = levers.setdefault(place, [])
            if len(some) < _LEVERS and all((lever.at, lever.size) != (at, size) for lever in some):
                some.append(_Lever(at, size, old, most, step, slope, a, b))
                yield from _together(case, some)
        return


def _together(case: Case, levers: Sequence[_Lever]) -> Iterator[Case]:
    """Both sides made equal, or one less, by several fields: those that move most go nearly there, the others the rest."""
    last = levers[-1]
    those = sorted((x for x in levers if (x.a, x.b) == (last.a, last.b)), key=lambda x: -abs(x.slope) / x.step)
    if len(those) < 2 or _overlap(those):
        return
    for extra in _NEAR:
        gap, values = last.b - last.a + extra, []
        for i, x in enumerate(those):
            n = gap // x.slope if i + 1 < len(those) or gap % x.slope == 0 else 0
            n = max(-(x.old // x.step), min(n, (x.most - x.old) // x.step))
            values.append(x.old + n * x.step)
            gap -= n * x.slope
        if gap == 0 and sum(value != x.old for value, x in zip(values, those)) > 1:
            out = case
            for value, x in zip(values, those):
                out = _with(out, x.at, x.size, value)
            yield out


def _overlap(levers: Sequence[_Lever]) -> bool:
    places = sorted((x.at, x.at + x.size) for x in levers)
    return any(end > start for (_, end), (start, _) in zip(places, places[1:]))


def _differ(before: Pairs, after: Pairs) -> list[tuple[int, int, int, int]]:
    """Each place where something is compared otherwise, both sides as they were, and by how much their difference moved."""
    out = []
    for place, was in before.items():
        now = after.get(place, [])
        for (a, b), (c, d) in zip(was, now):
            slope = _signed(c - d - (a - b))
            if slope:
                out.append((place, a, b, slope))
                break
    return out


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _value(case: Case, at: int, size: int) -> int | None:
    data = case.data[at:at + size]
    if case.kind != "cpio":
        return int.from_bytes(data, "little") if len(data) == size else None
    try:
        return int(data, 16)
    except ValueError:
        return None


def _with(case: Case, at: int, size: int, value: int) -> Case:
    return _raw(case, at, b"%08x" % value if case.kind == "cpio" else value.to_bytes(size, "little"))


def _raw(case: Case, at: int, new: bytes) -> Case:
    data = bytearray(case.data)
    data[at:at + len(new)] = new
    if case.kind == "erofs":
        made_good(data)
    return replace(case, data=bytes(data))
