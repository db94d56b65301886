# SPDX-License-Identifier: GPL-2.0-only
"""The least input that still shows what a case has shown: fewest bytes that differ from its base, plainest mount, shortest."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.mutate import made_good

_PLAIN = Case(b"")


def differing(a: bytes, b: bytes) -> list[int]:
    """Where two byte strings differ, as far as both go."""
    return [i for i, (x, y) in enumerate(zip(a, b)) if x != y]


def least(case: Case, base: Case | None, shows: Callable[[Case], bool], tries: int = 400) -> Case:
    """``case`` made as small as ``tries`` questions allow; ``shows``: whether that is still seen."""
    left = tries

    def asked(new: Case) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and shows(new)

    for plainer in _plainer(case):
        if asked(replace(case, **plainer)):
            case = replace(case, **plainer)
    if base is not None and base.kind == case.kind:
        case = _nearer(case, base.data, asked)
    return _shorter(case, asked)


def _plainer(case: Case) -> Iterator[dict[str, Any]]:
    for name in ("options", "backend", "memory", "at", "devices", "fail_nth", "facts", "doors"):
        if getattr(case, name) != getattr(_PLAIN, name):
            yield {name: getattr(_PLAIN, name)}


def _nearer(case: Case, base: bytes, asked: Callable[[Case], bool]) -> Case:
    """Bytes put back, in halves, quarters and so on, until each that is left is needed."""
    if len(case.data) < len(base):                     # what was cut off, if that is not needed
        longer = replace(case, data=case.data + base[len(case.data):])
        if asked(longer):
            case = longer
    places = differing(case.data, base)
    step = max(1, len(places) // 2)
    while places:
        at = 0
        while at < len(places):
            data = bytearray(case.data)
            for i in places[at:at + step]:
                data[i] = base[i]
            if case.kind == "erofs":
                made_good(data)
            new = replace(case, data=bytes(data))
            if new.data != case.data and asked(new):
                case = new
                del places[at:at + step]
            else:
                at += step
        if step == 1:
            break
        step = max(1, step // 2)
    return case


def _shorter(case: Case, asked: Callable[[Case], bool]) -> Case:
    step = 1 << max(0, len(case.data).bit_length() - 1)
    while step >= 1:
        data = bytearray(case.data[:-step])
        if case.kind == "erofs":
            made_good(data)
        if len(case.data) > step and asked(replace(case, data=bytes(data))):
            case = replace(case, data=bytes(data))
        else:
            step //= 2
    return case
