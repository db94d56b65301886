# SPDX-License-Identifier: GPL-2.0-only
"""Where two runs part: the same choices with a series and with what it stands on, call by call, until a ported function comes
back with something else.
"""
from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import Observed, execute
from kemu.explore.source import ListSource
from kemu.machine.current import this
from kemu.machine.roles import Role, role_of
from kemu.machine.series import Series

MOST = 200_000          # returns of functions that are remembered
PEEK = 8                # bytes that a pointer is told apart by
_ERRORS = (1 << 64) - 4096


@dataclass(frozen=True)
class Return:
    """A ported function came back: its name, its ``file:line``, who called it, and what with."""

    function: str
    place: str
    caller: str
    value: str


@dataclass(frozen=True)
class Parting:
    """The first place where two runs are not the same: in which function, and what each did."""

    function: str
    place: str
    base: str
    series: str

    def told(self) -> list[str]:
        """Side by side, in lines."""
        return [f"parts from the base in {self.function}:", f"  base:   {self.base}", f"  series: {self.series}"]


def _value(value: Any) -> str:
    """What tells a value from another in another machine: a pointer by the bytes that it points to."""
    if value is None or isinstance(value, bool):
        return "0" if not value else "1"
    if isinstance(value, int):
        if value >= _ERRORS:
            return str(value - (1 << 64))
        if value < 1 << 40:
            return str(value)
        try:
            return f"a pointer to {this.machine.mem.raw(value, PEEK).hex(' ', 4)}"
        except Exception:                   # not mapped, or not a pointer
            return "a pointer"
    if isinstance(value, (bytes, str)):
        return repr(value[:24])
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return type(value).__name__


def _counts(frame: FrameType) -> bool:
    """Whether a frame is a function of a port, not of the emulated kernel below it."""
    return (role_of(frame) is Role.PORT and not frame.f_code.co_name.startswith(("<", "__init__"))
            and not str(frame.f_globals.get("__name__", "")).startswith("kemu."))


@contextmanager
def returns() -> Iterator[list[Return]]:
    """What ported functions come back with in the machines of the run inside, those of its own task."""
    out: list[Return] = []

    def caller_of(frame: FrameType) -> str:
        back = frame.f_back
        while back is not None and not _counts(back):
            back = back.f_back
        return back.f_code.co_name if back is not None else ""

    def told(frame: FrameType, event: str, arg: Any) -> None:
        if event != "return" or len(out) >= MOST or not _counts(frame) or not isinstance(this.machine, Observed):
            return
        code = frame.f_code
        out.append(Return(code.co_name, f"{code.co_filename}:{frame.f_lineno}", caller_of(frame), _value(arg)))

    before = sys.getprofile()
    sys.setprofile(told)
    try:
        yield out
    finally:
        sys.setprofile(before)


def parting(f: Finding, exp: Experiment, series: tuple[Series, ...] = (), against: tuple[Series, ...] | None = None,
            **options: Any) -> Parting | None:
    """Where the finding's run, which has ``series``, parts from its base's: the same experiment with the series ``against``, or,
    if that is None, the one of what the experiment's own series stands on. None: there is no base, or no function comes back
    with anything else.
    """
    below = exp.below if against is None else exp
    if below is None:
        return None
    sides = []
    for e, stack in ((below, series if against is None else against), (exp, series)):
        with returns() as seen:
            execute(e, ListSource(f.offsets), series=stack, **options)
        sides.append(seen)
    return first(*sides)


def first(base: list[Return], series: list[Return]) -> Parting | None:
    """The first return of the series that is not what the same function's same call of the base gave. How often a function is
    called does not count: a series has its own way to what both do.
    """
    calls: dict[str, list[Return]] = {}
    for r in base:
        calls.setdefault(r.function, []).append(r)
    done: Counter[str] = Counter()
    for y in series:
        others = calls.get(y.function, ())
        n = done[y.function]
        done[y.function] += 1
        if n < len(others) and others[n].value != y.value:
            return Parting(y.function, y.place, f"it gives {others[n].value}", f"it gives {y.value}")
    return None
