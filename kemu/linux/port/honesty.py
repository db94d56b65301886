# SPDX-License-Identifier: GPL-2.0-only
"""How honest each emulated symbol is, and which C function each ported one stands beside.

``@dup(path, name)``: the same semantics as Linux. ``@stub(path, name)``: does nothing, and nothing is lost here. ``@custom(path,
name, how)``: changed for testing, ``how`` says in what way. ``@port_of(path, name)``: a line-by-line port. All return what they
decorate, so they cost nothing when the code runs.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Symbol(NamedTuple):
    """One emulated symbol of the API."""

    module: str
    name: str
    honesty: str            # dup, stub, custom
    path: str               # file in the kernel tree
    c_name: str
    how: str


class Port(NamedTuple):
    """One ported function."""

    module: str
    name: str
    path: str
    c_name: str
    posted: str             # date of the posted mail a port was made from, else ""


symbols: dict[tuple[str, str], Symbol] = {}
ports: list[Port] = []


def _note(obj: Any, honesty: str, path: str, c_name: str, how: str) -> None:
    module, name = obj.__module__, obj.__name__
    symbols[module, name] = Symbol(module, name, honesty, path, c_name or name, how)


def dup(path: str, c_name: str = "") -> Callable[[T], T]:
    """Same semantics as the symbol ``c_name`` (default: the same name) in ``path`` of the kernel tree."""
    def deco(obj: T) -> T:
        _note(obj, "dup", path, c_name, "")
        return obj
    return deco


def stub(path: str, c_name: str = "", how: str = "") -> Callable[[T], T]:
    """Does nothing here."""
    def deco(obj: T) -> T:
        _note(obj, "stub", path, c_name, how)
        return obj
    return deco


def custom(path: str, c_name: str = "", how: str = "") -> Callable[[T], T]:
    """Changed for testing; ``how`` says in what way."""
    def deco(obj: T) -> T:
        _note(obj, "custom", path, c_name, how)
        return obj
    return deco


def names(honesty: str, path: str, *objects: str, how: str = "") -> None:
    """Tag objects of the calling module that cannot carry a decorator (aliases, lambdas)."""
    module = sys._getframe(1).f_globals["__name__"]
    for name in objects:
        symbols[module, name] = Symbol(module, name, honesty, path, name, how)


def port_of(path: str, c_name: str, *, posted: str = "") -> Callable[[T], T]:
    """This is the port of ``c_name`` in ``path``; ``posted``: of the mail of that date instead of Linux 7.2.

    The hash of the C body it was written from is in the package's ``pins.json``.
    """
    def deco(obj: T) -> T:
        o: Any = obj
        ports.append(Port(o.__module__, o.__name__, path, c_name, posted))
        if o.__module__.startswith("kemu.linux."):
            _note(obj, "dup", path, c_name, "")         # a part of the API that is itself a port
        return obj
    return deco
