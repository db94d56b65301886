# SPDX-License-Identifier: GPL-2.0-only
"""The places that refer to something of a port: names of modules, members of op tables, entries of lists."""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from kemu.machine.series import Series

PLAIN = (int, float, str, bytes, bool, type(None), type, ModuleType)


T = TypeVar("T", bound="list[Any] | dict[Any, Any]")
_linked: list[list[Any] | dict[Any, Any]] = []


def linked(table: T) -> T:
    """Say of a table that it is what a linker collects of all files: a series reaches what its packages have there."""
    _linked.append(table)
    return table


class Site(NamedTuple):
    """One place: ``put(key, value)`` puts something there."""

    place: tuple[int, Any]
    put: Callable[[Any, Any], None]
    key: Any
    old: Any
    new: Any


def all_modules() -> list[ModuleType]:
    """What is imported."""
    return [m for m in list(sys.modules.values()) if isinstance(m, ModuleType)]


def holds(mod: ModuleType, *series: Series) -> bool:
    """Whether it is the module of one of these series itself."""
    return not {id(s) for s in series}.isdisjoint(map(id, vars(mod).values()))


def home_of(series: Series, module: str) -> bool:
    """Whether a module, by its name, is that of the series itself."""
    mod = sys.modules.get(module)
    return isinstance(mod, ModuleType) and holds(mod, series)


def places(series: Series, wanted: Mapping[int, tuple[Any, Any]], modules: Sequence[ModuleType]) -> Iterator[Site]:
    """The places in ``modules`` that refer to what a series takes away. ``wanted``: id -> that, and what comes there."""
    seen: set[int] = set()

    def look(value: Any, place: tuple[int, Any], put: Callable[[Any, Any], None], depth: int) -> Iterator[Site]:
        hit = wanted.get(id(value))
        if hit is not None and hit[0] is value:
            yield Site(place, put, place[1], value, hit[1])
            return
        if depth == 0 or isinstance(value, PLAIN) or callable(value) or id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, list):
            for i, item in enumerate(value):
                yield from look(item, (id(value), i), value.__setitem__, depth - 1)
        elif isinstance(value, dict):
            for k, item in value.items():
                yield from look(item, (id(value), k), value.__setitem__, depth - 1)
        else:
            for attr in _attributes(value):
                yield from look(getattr(value, attr, None), (id(value), attr), partial(setattr, value), depth - 1)

    shallow = series.shallow
    ids = wanted.keys()
    if not shallow:
        yield from _in_linked(wanted)
        yield from _in_classes([m for m in modules if not series.leaves_out(m)], wanted)
    for mod in modules:
        if series.leaves_out(mod):
            continue            # the module of the series itself sees the originals
        space = vars(mod)
        if shallow and ids.isdisjoint(map(id, space.values())):             # most have none
            continue
        for name, value in list(space.items()):
            if not name.startswith("__"):
                yield from look(value, (id(space), name), space.__setitem__, 0 if shallow else 3)


def _in_classes(modules: Sequence[ModuleType], wanted: Mapping[int, tuple[Any, Any]]) -> Iterator[Site]:
    """Methods of the modules' own classes."""
    for cls in [v for m in modules for v in vars(m).values() if isinstance(v, type) and v.__module__ == m.__name__]:
        for name, value in list(vars(cls).items()):
            hit = wanted.get(id(value))
            if hit is not None and hit[0] is value:
                yield Site((id(cls), name), partial(setattr, cls), name, value, hit[1])


def _in_linked(wanted: Mapping[int, tuple[Any, Any]]) -> Iterator[Site]:
    for table in _linked:
        for key, row in enumerate(table) if isinstance(table, list) else table.items():
            for column, value in enumerate(row):
                hit = wanted.get(id(value))
                if hit is not None and hit[0] is value:
                    yield Site((id(table), (key, column)), partial(_put_in_row, table), (key, column), value, hit[1])


def _put_in_row(table: Any, at: tuple[Any, int], value: Any) -> None:
    key, column = at
    row = table[key]
    table[key] = type(row)(*row[:column], value, *row[column + 1:])


def _attributes(obj: Any) -> list[str]:
    names: list[str] = []
    for cls in type(obj).__mro__:
        s = cls.__dict__.get("__slots__", ())
        names += [s] if isinstance(s, str) else [n for n in s if not n.startswith("__")]
    names += list(getattr(obj, "__dict__", ()))
    return names
