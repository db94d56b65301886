# SPDX-License-Identifier: GPL-2.0-only
"""``static`` variables of ported code: one namespace per machine.

    @statics
    class g:
        count = 0
        lock: spinlock_t
        head: z_erofs_zstd = NULL
        on = per_machine(lambda: Ref(True))

``g`` is then an object with these attributes: those with a value, and those that C declares by their type alone, whose type makes
them. Each machine has its own values: entering a machine exchanges the namespace's ``__dict__``, so reading one costs what an
attribute costs.
"""
from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Statics:
    """A namespace of ported statics; made by :func:`statics`."""


def _flat(value: Any) -> bool:
    """Whether a copy of a container shares nothing with it that can change."""
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    return all(v is None or isinstance(v, (int, float, str, bytes)) for v in inside)


class Initial:
    """The initial values of one namespace: those that machines may share, and how to make the others."""

    __slots__ = ("made", "shared")

    def __init__(self, values: dict[str, Any]):
        self.shared: dict[str, Any] = {}
        self.made: list[tuple[str, Callable[[], Any]]] = []
        for name, value in values.items():
            self.shared[name] = None                        # keeps the order
            if callable(value):
                self.made.append((name, value))
            elif isinstance(value, (list, dict, set, bytearray)):
                self.made.append((name, value.copy if _flat(value) else functools.partial(copy.deepcopy, value)))
            else:
                self.shared[name] = value

    def fresh(self) -> dict[str, Any]:
        """A machine's own values."""
        out = self.shared.copy()
        for name, make in self.made:
            out[name] = make()
        return out


_all: list[tuple[Statics, Initial]] = []


def per_machine(make: Callable[[], T]) -> T:
    """An initial value that every machine makes for itself, where the type alone does not say which."""
    value: Any = make
    return value            # type: ignore[no-any-return]


def declared(cls: type) -> dict[str, Any]:
    """What a class of statics declares, in its order: a value, or the type (a name of its module) that makes one."""
    types = vars(sys.modules[cls.__module__])
    own = {name: value for name, value in vars(cls).items() if not name.startswith("__")}
    made = {name: types[kind] for name, kind in cls.__dict__.get("__annotations__", {}).items() if name not in own}
    return own | made


def statics(cls: type, /) -> Any:
    """Declare the static variables of one ported file. A class or function as value is called to make the initial value."""
    obj = Statics()
    values = Initial(declared(cls))
    obj.__dict__ = values.fresh()           # for modules that are imported while a machine runs
    _all.append((obj, values))
    return obj


def enter(own: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Install one machine's values (made on first use); returns what was installed before, for :func:`leave`."""
    before = []
    for i, (obj, initial) in enumerate(_all):
        before.append(obj.__dict__)
        d = own.get(i)
        if d is None:
            d = own[i] = initial.fresh()
        obj.__dict__ = d
    return before


def used(own: dict[int, dict[str, Any]]) -> list[tuple[Statics, dict[str, Any]]]:
    """The variables of which a machine has values, in the order of their declaration."""
    return [(obj, own[i]) for i, (obj, _) in enumerate(_all) if i in own]


def leave(before: list[dict[str, Any]]) -> None:
    """The variables of the machine that was current before."""
    for (obj, _), d in zip(_all, before):
        obj.__dict__ = d
