# SPDX-License-Identifier: GPL-2.0-only
"""A patch series for ported code: what ``git am`` is for C.

A series replaces functions, structures and op tables of one or more ported packages while a machine runs that was built with it,
and puts
everything back afterwards. The base port stays what upstream is, and any number of series stand side by side::

    series = Series("erofs-memback", packages=("erofs_memback",))

    @series.replaces(data.erofs_init_metabuf)
    def erofs_init_metabuf(buf, sb, in_metabox): ...

    with Machine(series=[series]): ...

Every module-level name, op-table member and list entry of the packages that refers to the original refers to the replacement
meanwhile.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
_PLAIN = (int, float, str, bytes, bool, type(None), type, ModuleType)


def _source(original: Any) -> str:
    """The text of a function or class, from the margin. inspect.getsource() reads a function's text token by token, which takes
    ten times as long.
    """
    import linecache  # noqa: PLC0415  (start-up: series that have no hunks need it not)
    import textwrap  # noqa: PLC0415  (start-up)

    code: CodeType | None = getattr(original, "__code__", None)
    lines = linecache.getlines(code.co_filename, original.__globals__) if code is not None else []
    if code is None or not lines:
        import inspect  # noqa: PLC0415  (only where the text is not in the cache)

        return textwrap.dedent(inspect.getsource(original))
    return textwrap.dedent("".join(lines[code.co_firstlineno - 1:_last_line(code)]))


def _last_line(code: CodeType) -> int:
    last = max((end for _, end, _, _ in code.co_positions() if end is not None), default=code.co_firstlineno)
    return max([last, *(_last_line(c) for c in code.co_consts if isinstance(c, CodeType))])


class Series:
    """``name`` and the ported packages that it changes. ``c``: where the same series is in C, a folder or a file of patches;
    empty: a folder of patches/ of the same name, if there is one.
    """

    def __init__(self, name: str, packages: tuple[str, ...], title: str = "", c: str = ""):
        self.name = name
        self.packages = packages
        self.title = title
        self.c = c
        self.replacements: dict[int, tuple[Any, Any]] = {}      # id(original) -> (original, replacement)
        self._sites: list[tuple[Callable[[Any], None], Any, Any]] = []
        self._sites_for = -1
        self._undo: list[tuple[Callable[[Any], None], Any]] = []

    def replaces(self, original: Any) -> Callable[[T], T]:
        """Decorator: what follows stands in for ``original``. The original stays reachable in the module that defines the series.
        """
        def deco(new: T) -> T:
            self.replacements[id(original)] = (original, new)
            self._sites_for = -1
            return new
        return deco

    def edits(self, original: Any, *hunks: tuple[str, str] | tuple[str, str, int], names: dict[str, Any] | None = None) -> Any:
        """Change a few lines of a ported function, as a diff's hunks do: each ``(old, new)`` must match its source exactly once,
        each ``(old, new, n)`` n times.

        The result is compiled in the original's own module; ``names`` are new names that the new lines use. Raises ValueError for
        a hunk that does not apply.
        """
        import linecache  # noqa: PLC0415  (start-up)

        source = _source(original)
        for old, new, *times in hunks:
            if source.count(old) != (times[0] if times else 1):
                raise ValueError(f"{self.name}: hunk does not apply to {original.__name__} ({source.count(old)} matches):\n{old}")
            source = source.replace(old, new)
        module = sys.modules[original.__module__]
        for name, value in (names or {}).items():
            module.__dict__.setdefault(name, value)
        lines = source.split("\n")
        start = next(i for i, line in enumerate(lines) if line.startswith(("def ", "class ", "async def ")))
        scope: dict[str, Any] = {}
        filename = f"<{self.name}: {original.__module__}.{original.__name__}>"
        code = compile("from __future__ import annotations\n" + "\n".join(lines[start:]), filename, "exec")
        linecache.cache[filename] = (len(source), None, ["from __future__ import annotations\n",
                                                         *[ln + "\n" for ln in lines[start:]]], filename)
        exec(code, module.__dict__, scope)          # the text is the port's own source with the hunks applied
        new_fn = scope[original.__name__]
        new_fn.__module__ = original.__module__
        self.replacements[id(original)] = (original, new_fn)
        self._sites_for = -1
        return new_fn

    # ------------------------------------------------------------ applying

    def _modules(self) -> list[ModuleType]:
        inside = tuple(p + "." for p in self.packages)
        return [mod for name, mod in list(sys.modules.items())
                if mod is not None and (name in self.packages or name.startswith(inside))]

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
            if self in vars(mod).values():
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


class ShortForms(Series):
    """Functions that leave what others would leave, in fewer steps, for a machine that nobody looks into.

    ``packages`` have the names that are replaced, in their modules and nowhere else. ``stands_for`` are the modules, or packages
    of them, whose functions the short ones leave out: see :meth:`meets`. What a short form leaves does not depend on it: it may
    be taken away at any call.
    """

    def __init__(self, name: str, packages: tuple[str, ...], stands_for: tuple[str, ...], title: str = ""):
        super().__init__(name, packages, title)
        self.stands_for = stands_for

    def meets(self, series: Series) -> bool:
        """Whether ``series`` changes something that the short forms leave out: then they have to stay away."""
        return any(_within(getattr(old, "__module__", None) or type(old).__module__, self.stands_for)
                   for old, _ in series.replacements.values())

    def _names(self, which: int) -> list[tuple[ModuleType, str, Any, Any]]:
        """(module, name, original, replacement) of each name that refers to the original (0) or to the replacement (1)."""
        wanted = {id(pair[which]): pair for pair in self.replacements.values()}
        # the module of the short forms itself sees the originals
        here = {new.__module__ for _, new in self.replacements.values()}
        return [(mod, name, *wanted[id(value)]) for mod in self._modules() if mod.__name__ not in here
                if not wanted.keys().isdisjoint(map(id, vars(mod).values()))            # most have none
                for name, value in list(vars(mod).items()) if id(value) in wanted]

    def _find_sites(self) -> None:
        self._sites = [(lambda v, m=mod, n=name: setattr(m, n, v), old, new)                    # type: ignore[misc]
                       for mod, name, old, new in self._names(0)]

    def revert(self) -> None:
        """Put the originals back, also into modules that were imported meanwhile."""
        super().revert()
        if self._sites_for != len(sys.modules):
            for mod, name, old, _ in self._names(1):
                setattr(mod, name, old)


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == p or module.startswith(p + ".") for p in packages)


def undisturbed(short: Sequence[ShortForms], series: Sequence[Series]) -> list[ShortForms]:
    """Those of ``short`` that leave out nothing that one of ``series`` changes."""
    return [s for s in short if not any(s.meets(other) for other in series)]


_active: list[Series] = []


def activate(wanted: Sequence[Series]) -> None:
    """Make exactly ``wanted`` the applied series."""
    if _active == list(wanted):
        return
    for s in reversed(_active):
        s.revert()
    for s in wanted:
        s.apply()
    _active[:] = wanted
