# SPDX-License-Identifier: GPL-2.0-only
"""A patch series for ported code: what ``git am`` is for C.

A series replaces functions, structures and op tables of one or more ported packages while a machine runs that was built with it, and puts
everything back afterwards. The base port stays what upstream is, and any number of series stand side by side::

    series = Series("erofs-memback", packages=("erofs_memback",))

    @series.replaces(data.erofs_init_metabuf)
    def erofs_init_metabuf(buf, sb, in_metabox): ...

    with Machine(series=[series]): ...

Every module-level name, op-table member and list entry of the packages that refers to the original refers to the replacement meanwhile.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
_PLAIN = (int, float, str, bytes, bool, type(None), type, ModuleType)


class Series:
    """``name`` and the ported packages that it changes."""

    def __init__(self, name: str, packages: tuple[str, ...], title: str = ""):
        self.name = name
        self.packages = packages
        self.title = title
        self.replacements: dict[int, tuple[Any, Any]] = {}      # id(original) -> (original, replacement)
        self._sites: list[tuple[Callable[[Any], None], Any, Any]] = []
        self._sites_for = -1
        self._undo: list[tuple[Callable[[Any], None], Any]] = []

    def replaces(self, original: Any) -> Callable[[T], T]:
        """Decorator: what follows stands in for ``original``. The original stays reachable in the module that defines the series."""
        def deco(new: T) -> T:
            self.replacements[id(original)] = (original, new)
            self._sites_for = -1
            return new
        return deco

    # ------------------------------------------------------------ applying

    def _modules(self) -> list[ModuleType]:
        out = []
        for name, mod in list(sys.modules.items()):
            if mod is not None and any(name == p or name.startswith(p + ".") for p in self.packages):
                out.append(mod)
        return out

    def _find_sites(self) -> None:
        self._sites = []
        seen: set[int] = set()

        def look(value: Any, put: Callable[[Any], None], depth: int) -> None:
            hit = self.replacements.get(id(value))
            if hit is not None and hit[0] is value:
                self._sites.append((put, hit[0], hit[1]))
                return
            if depth == 0 or isinstance(value, _PLAIN) or callable(value) or id(value) in seen:
                return
            seen.add(id(value))
            if isinstance(value, list):
                for i, item in enumerate(value):
                    look(item, lambda v, c=value, k=i: c.__setitem__(k, v), depth - 1)      # type: ignore[misc]
            elif isinstance(value, dict):
                for k, item in value.items():
                    look(item, lambda v, c=value, key=k: c.__setitem__(key, v), depth - 1)  # type: ignore[misc]
            else:
                for attr in _attributes(value):
                    item = getattr(value, attr, None)
                    look(item, lambda v, o=value, a=attr: setattr(o, a, v), depth - 1)      # type: ignore[misc]

        for mod in self._modules():
            if any(mod.__name__ == getattr(new, "__module__", "") for _, new in self.replacements.values()):
                continue            # the module of the series itself sees the originals
            for name, value in list(vars(mod).items()):
                if not name.startswith("__"):
                    look(value, lambda v, m=mod, n=name: setattr(m, n, v), 3)               # type: ignore[misc]

    def apply(self) -> None:
        """Put the replacements in place."""
        n = len(sys.modules)
        if self._sites_for != n:
            self._find_sites()
            self._sites_for = n
        for put, _, new in self._sites:
            put(new)

    def revert(self) -> None:
        """Put the originals back."""
        for put, old, _ in self._sites:
            put(old)

    def __repr__(self) -> str:
        return f"<series {self.name}>"


def _attributes(obj: Any) -> list[str]:
    names: list[str] = []
    for cls in type(obj).__mro__:
        s = cls.__dict__.get("__slots__", ())
        names += [s] if isinstance(s, str) else [n for n in s if not n.startswith("__")]
    names += list(getattr(obj, "__dict__", ()))
    return names


_active: list[Series] = []


def activate(wanted: list[Series]) -> list[Series]:
    """Make exactly ``wanted`` the applied series; returns what was applied before, for the way back."""
    before = list(_active)
    if before == wanted:
        return before
    for s in reversed(before):
        s.revert()
    for s in wanted:
        s.apply()
    _active[:] = wanted
    return before
