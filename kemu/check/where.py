# SPDX-License-Identifier: GPL-2.0-only
"""Who called: the innermost ported function on the stack, found fast enough to be asked at every allocation."""
from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any, NamedTuple

from kemu.machine.roles import Role, fillers, loggers, outermost, role_of
from kemu.machine.splat import is_ported


class Site(NamedTuple):
    """A place in ported code and the API function that was called there."""

    code: CodeType
    line: int
    api: str

    @property
    def function(self) -> str:
        """Name of the ported function."""
        return self.code.co_name

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.code.co_filename}:{self.line}"

    def __str__(self) -> str:
        short = "/".join(self.code.co_filename.split("/")[-2:])
        name = self.code.co_qualname.replace(".<locals>", "")
        return f"{name} ({short}:{self.line})"


OTHER, PORT, API, HARNESS, EXPLORER, OUTERMOST = range(6)
_KINDS = {Role.TOOL: OTHER, Role.PORT: PORT, Role.API: API, Role.HARNESS: HARNESS, Role.EXPLORER: EXPLORER}
# by the id of a code object, which the second table keeps: a code object computes its hash anew, of all of its constants and
# names, whenever it is looked up
_kinds: dict[int, int] = {}
_codes: list[CodeType] = []


def _kind(frame: FrameType) -> int:
    """What a frame's code is, as a small number. Remembered for each code object."""
    code = frame.f_code
    _codes.append(code)
    kind = _kinds[id(code)] = OUTERMOST if code in outermost else _KINDS[role_of(frame)]
    return kind


class Told:
    """What detectors share that are told of one event: the first one that asks for the site walks, from where they were told on,
    and the others are given what it found.
    """

    __slots__ = ("site",)

    def __init__(self) -> None:
        self.site: Any = ALONE


ALONE: Any = "nobody shares what is found"
ASKED: Any = "nobody has asked yet"
told = Told()
tellers: set[int] = set()           # ids of the code that tells detectors of an event


def site() -> Site | None:
    """The innermost frame of ported code; None if there is none. A harness (see caller_function) counts only if nothing else is
    there.
    """
    shared = told.site
    if shared is ALONE:
        return _site()
    if shared is ASKED:
        shared = told.site = _site()
    return shared           # type: ignore[no-any-return]


def _site() -> Site | None:
    frame: FrameType | None = sys._getframe(2)
    if told.site is ASKED:
        while frame is not None and id(frame.f_code) not in tellers:
            frame = frame.f_back
    api = None
    fallback: Site | None = None
    known = _kinds
    while frame is not None:
        code = frame.f_code
        kind = known.get(id(code))
        if kind is None:
            kind = _kind(frame)
        if kind == API:
            api = code
        elif kind == PORT:
            return Site(code, frame.f_lineno, api.co_name if api is not None else "")
        elif kind == OUTERMOST:
            break
        elif kind == HARNESS and fallback is None:
            fallback = Site(code, frame.f_lineno, api.co_name if api is not None else "")
        frame = frame.f_back
    return fallback


def filler_site() -> Site | None:
    """The address space operation that is filling the page cache: the ported function that the page cache called."""
    frame: FrameType | None = sys._getframe(1)
    last: Site | None = None
    while frame is not None:
        code = frame.f_code
        if is_ported(frame):
            last = Site(code, frame.f_lineno, "")
        elif code in fillers:
            break
        frame = frame.f_back
    return last


def logger_function() -> tuple[str, str]:
    """The ported function that writes into the log, past the port's own wrappers of printk: its name and ``file:line``."""
    frame: FrameType | None = sys._getframe(1)
    found = ("", "")
    while frame is not None:
        if is_ported(frame):
            found = frame.f_code.co_name, f"{frame.f_code.co_filename}:{frame.f_lineno}"
            if frame.f_code not in loggers:
                break
        frame = frame.f_back
    return found


def port_site() -> str:
    """:func:`site` as text; ``?`` if there is none."""
    s = site()
    return str(s) if s is not None else "?"


def port_chain(limit: int = 5, kernel: int = 8) -> tuple[tuple[CodeType, int], ...]:
    """The innermost ported functions and where they stand, and of the ``kernel``'s own code between them and here: what tells one
    call of an
    allocator from another."""
    frame: FrameType | None = sys._getframe(1)
    out: list[tuple[CodeType, int]] = []
    known = _kinds
    while frame is not None and limit:
        code = frame.f_code
        kind = known.get(id(code))
        if kind is None:
            kind = _kind(frame)
        if kind == PORT:
            out.append((code, frame.f_lineno))
            limit -= 1
            kernel = 0
        elif kind == API and kernel:
            out.append((code, frame.f_lineno))
            kernel -= 1
        elif kind == OUTERMOST:
            break
        frame = frame.f_back
    return tuple(out)


def has(frames: int) -> bool:
    """Whether at least so many frames, of whatever code, are on this task's stack."""
    try:
        sys._getframe(frames)
    except ValueError:
        return False
    return True


def port_depth() -> int:
    """How many frames of ported code and of the API are on this task's stack, up to the experiment that called it. Slow: ask
    first whether the stack :func:`has` that many at all.
    """
    frame: FrameType | None = sys._getframe(1)
    n = 0
    known = _kinds
    while frame is not None:
        kind = known.get(id(frame.f_code))
        if kind is None:
            kind = _kind(frame)
        if kind in (EXPLORER, OUTERMOST):
            break
        n += kind != OTHER
        frame = frame.f_back
    return n


def frame_site(frame: FrameType | None) -> str:
    """The innermost ported function from a frame on; empty if there is none."""
    while frame is not None:
        if is_ported(frame):
            code = frame.f_code
            return f"{code.co_name} ({'/'.join(code.co_filename.split('/')[-2:])}:{frame.f_lineno})"
        frame = frame.f_back
    return ""
