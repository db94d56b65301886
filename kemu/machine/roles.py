# SPDX-License-Identifier: GPL-2.0-only
"""What a piece of code is: ported, the emulated kernel, what stands around a port, the explorer, or none of these.

A module says so, or the package that it is in, by ``__role__``: ``"port"``, ``"api"``, ``"harness"``, ``"explorer"``, ``"tool"``.
A module that says nothing is none of ours if it was installed (a library, a test runner), and otherwise a port: an experiment of
somebody's own is taken for the code that it tries. Functions that write into the log for others, those that fill the page cache,
and those that call an experiment say so by ``@logs``, ``@fills`` and ``@calls_experiments``.
"""
from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from functools import cache
from types import CodeType, FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Role(enum.Enum):
    """``TOOL``: nothing of the kernel."""

    PORT = "port"
    API = "api"
    HARNESS = "harness"
    EXPLORER = "explorer"
    TOOL = "tool"


_roles: dict[int, tuple[Role, CodeType]] = {}        # by the id of the code: its hash is computed anew whenever it is looked up
loggers: set[CodeType] = set()
fillers: set[CodeType] = set()
outermost: set[CodeType] = set()


@cache
def _libraries() -> tuple[str, ...]:
    """Where what is installed lies."""
    import sysconfig  # noqa: PLC0415  (start-up: what says its role needs it not)

    return tuple({sysconfig.get_path(p) for p in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")})


def _declared(values: dict[str, Any]) -> str | None:
    """What a module says, or the nearest package around it that says something."""
    own = values.get("__role__")
    if own is not None:
        return str(own)
    package = values.get("__package__") or values.get("__name__", "")
    while package:
        own = getattr(sys.modules.get(package), "__role__", None)
        if own is not None:
            return str(own)
        package = package.rpartition(".")[0]
    return None


def role_of(frame: FrameType) -> Role:
    """The role of the code that a frame runs; remembered for each code object."""
    code = frame.f_code
    known = _roles.get(id(code))
    if known is None:
        own = _declared(frame.f_globals)
        if own is None:
            origin = getattr(frame.f_globals.get("__spec__"), "origin", None) or code.co_filename
            own = "tool" if origin in ("frozen", "built-in") or origin.startswith(("<frozen", *_libraries())) else "port"
        known = _roles[id(code)] = Role(own), code
    return known[0]


def logs(fn: F) -> F:
    """``fn`` writes into the log for its caller: what it says is of the caller (C's ``__printf()``)."""
    loggers.add(fn.__code__)
    return fn


def fills(fn: F) -> F:
    """``fn`` asks an address space operation to fill the page cache."""
    fillers.add(fn.__code__)
    return fn


def calls_experiments(fn: F) -> F:
    """``fn`` calls an experiment: what is beyond it on the stack is no part of a run."""
    outermost.add(fn.__code__)
    return fn
