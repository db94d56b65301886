# SPDX-License-Identifier: GPL-2.0-only
"""``static`` variables of ported code: one namespace per machine.

``g = statics(count=0, lock=spinlock_t)`` gives an object with these attributes. Each machine has its own values: entering a machine
exchanges the namespace's ``__dict__``, so reading one costs what an attribute costs.
"""
from __future__ import annotations

import copy
from typing import Any


class Statics:
    """A namespace of ported statics; made by :func:`statics`."""


_all: list[tuple[Statics, dict[str, Any]]] = []


def statics(**initial: Any) -> Any:
    """Declare the static variables of one ported file. A class or function as value is called to make the initial value."""
    obj = Statics()
    obj.__dict__ = fresh_dict(initial)      # for modules that are imported while a machine runs
    _all.append((obj, initial))
    return obj


def fresh_dict(initial: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in initial.items():
        if isinstance(value, type) or callable(value):
            out[name] = value()
        elif isinstance(value, (list, dict, set, bytearray)):
            out[name] = copy.deepcopy(value) if value else value.copy()
        else:
            out[name] = value
    return out


def enter(own: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Install one machine's values (made on first use); returns what was installed before, for :func:`leave`."""
    before = []
    for i, (obj, initial) in enumerate(_all):
        before.append(obj.__dict__)
        d = own.get(i)
        if d is None:
            d = own[i] = fresh_dict(initial)
        obj.__dict__ = d
    return before


def leave(before: list[dict[str, Any]]) -> None:
    for (obj, _), d in zip(_all, before):
        obj.__dict__ = d
