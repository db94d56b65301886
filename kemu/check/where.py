# SPDX-License-Identifier: GPL-2.0-only
"""Who called: the innermost ported function on the stack, found fast enough to be asked at every allocation."""
from __future__ import annotations

import sys
from types import CodeType
from typing import NamedTuple

_OWN = ("/kemu/machine/", "/kemu/linux/", "/kemu/check/", "/kemu/explore/", "<frozen", "<string>")
_is_port: dict[CodeType, bool] = {}


class Site(NamedTuple):
    """A place in ported code and the API function that was called there."""

    code: CodeType
    line: int
    api: str

    @property
    def function(self) -> str:
        """Name of the ported function."""
        return self.code.co_name

    def __str__(self) -> str:
        short = "/".join(self.code.co_filename.split("/")[-2:])
        name = self.code.co_qualname.replace(".<locals>", "")
        return f"{name} ({short}:{self.line})"


def _port(code: CodeType) -> bool:
    name = code.co_filename
    known = _is_port[code] = not any(s in name for s in _OWN)
    return known


def site(depth: int = 1) -> Site | None:
    """The innermost frame outside machine, API and detectors; None if there is none."""
    frame = sys._getframe(depth)
    api = ""
    known = _is_port
    while frame is not None:
        code = frame.f_code
        port = known.get(code)
        if port is None:
            port = _port(code)
        if port:
            return Site(code, frame.f_lineno, api)
        if "/kemu/linux/" in code.co_filename:
            api = code.co_name
        frame = frame.f_back         # type: ignore[assignment]
    return None


def port_site() -> str:
    """:func:`site` as text; ``?`` if there is none."""
    s = site(2)
    return str(s) if s is not None else "?"


def port_depth() -> int:
    """How many frames of ported code and of the API are on this task's stack."""
    frame = sys._getframe(1)
    n = 0
    known = _is_port
    while frame is not None:
        code = frame.f_code
        port = known.get(code)
        if port is None:
            port = _port(code)
        if port or "/kemu/linux/" in code.co_filename:
            n += 1
        frame = frame.f_back         # type: ignore[assignment]
    return n
