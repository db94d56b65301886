# SPDX-License-Identifier: GPL-2.0-only
"""A patch series for ported code: what ``git am`` is for C.

A series replaces functions, structures and op tables of one or more ported packages while a machine runs that was built with it,
and puts everything back afterwards. The base port stays what upstream is, and any number of series stand side by side::

    series = Series("erofs-memback", packages=("erofs_memback",))

    @series.replaces(data.erofs_init_metabuf)
    def erofs_init_metabuf(buf, sb, in_metabox): ...

    with Machine(series=[series]): ...

Every module-level name, op-table member and list entry of the packages that refers to the original refers to the replacement
meanwhile. Several stand on top of each other, in the order given: ``Machine(series=[first, second])``, see
:mod:`kemu.machine.stack`.
"""
from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from kemu.machine.hunks import Hunk, SeriesError, called, checked, compiled, patched, source, space_of
from kemu.machine.places import PLAIN
from kemu.machine.stack import activate, names_added, stack_of

__all__ = ["Change", "Series", "SeriesError", "ShortForms", "activate", "undisturbed"]

T = TypeVar("T")


class Change(NamedTuple):
    """One thing that a series does. ``hunks``: none where ``made`` takes its place as a whole. ``made``, ``text``: what comes of
    it where nothing else changes the original; None if the hunks are for what an earlier series leaves. ``against``: the series
    that made ``original``, and what of.
    """

    original: Any
    made: Any
    hunks: tuple[Hunk, ...] = ()
    names: dict[str, Any] = {}
    text: str | None = None
    against: tuple[Series, Any] | None = None


_made: dict[int, tuple[Any, weakref.ref[Series], Any]] = {}         # id -> what a series made, the series, what of


class Series:
    """``name`` and the ported packages that it changes. ``c``: where the same series is in C, a folder or a file of patches;
    empty: a folder of patches/ of the same name, if there is one.
    """

    shallow = False             # names of modules alone, and it may reach none

    def __init__(self, name: str, packages: tuple[str, ...], title: str = "", c: str = ""):
        self.name = name
        self.packages = (packages,) if isinstance(packages, str) else tuple(packages)
        self.title = title
        self.c = c
        self.changes: list[Change] = []
        self.unfinished: list[str] = []
        self._on: dict[tuple[int, int], tuple[Change, Any, Any]] = {}

    @property
    def replacements(self) -> dict[int, tuple[Any, Any]]:
        """id(original) -> (original, what it is where this series stands alone)."""
        return {id(c.original): (c.original, c.made if c.made is not None else c.original) for c in self.changes}

    def replaces(self, original: Any) -> Callable[[T], T]:
        """Decorator: what follows stands in for ``original``. The original stays reachable in the module that defines the series.
        To replace what an earlier series on the stack leaves of something, name that: ``earlier.made(original)``.
        """
        if isinstance(original, (*PLAIN[:5], type(None))):
            raise SeriesError(f"{self.name}: replaces({original!r}): a plain value cannot be told from its equals")

        def deco(new: T) -> T:
            self._note(Change(original, new, against=_maker(original)))
            return new
        return deco

    def edits(self, original: Any, *hunks: tuple[str, str] | tuple[str, str, int], names: dict[str, Any] | None = None) -> Any:
        """Change a few lines of a ported function, as a diff's hunks do: each ``(old, new)`` must match its text exactly once,
        each ``(old, new, n)`` n times. The text is what the earlier series of the stack left.

        The result is compiled in the original's own module; ``names`` are new names that the new lines use. Return: the function
        as this series alone makes it; None if the hunks are for what another leaves. A hunk that does not apply where the series
        is used is a SeriesError there.
        """
        wanted = checked(hunks, self.name, called(original))
        space = space_of(original)
        for name, value in (names or {}).items():
            if name not in space:
                space[name] = value
                names_added.add((id(space), name))
        made, text = None, None
        earlier = self._last(original)
        try:
            text = patched(earlier.text or source(earlier.made) if earlier is not None and earlier.made is not None
                           else source(original), wanted, self.name, called(original))
            made = compiled(text, original, self.name)
        except SeriesError:
            made = text = None      # for what another series leaves, or for nothing: the stack tells
        self._note(Change(original, made, wanted, dict(names or {}), text, _maker(original)))
        return made

    def todo(self, what: str) -> None:
        """Something that is still to be written: the series is refused wherever it is used, with ``what`` in the line."""
        self.unfinished.append(what)

    def made(self, original: Any) -> Any:
        """What this series makes of ``original``, for another that changes that. Raises SeriesError if it leaves it alone."""
        last = self._last(original)
        if last is None or last.made is None:
            raise SeriesError(f"{self.name}: it makes nothing of {called(original)} by itself")
        return last.made

    def check(self) -> None:
        """Raises SeriesError unless it applies by itself."""
        stack_of([self])

    def _last(self, original: Any) -> Change | None:
        return next((c for c in reversed(self.changes) if c.original is original), None)

    def _note(self, change: Change) -> None:
        self.changes.append(change)
        if change.made is not None and not isinstance(change.made, PLAIN[:5]):
            _made[id(change.made)] = change.made, weakref.ref(self), change.original

    def on(self, change: Change, value: Any, make: Callable[[], Any]) -> Any:
        """What a change makes of what an earlier series left: the same object on every stack where that is the same."""
        key = id(change), id(value)
        if key not in self._on:
            made = make()
            self._on[key] = change, value, made                 # as long as it is known, so are they
            _made[id(made)] = made, weakref.ref(self), change.original
        return self._on[key][2]

    # ------------------------------------------------------------ where

    def modules(self) -> list[ModuleType]:
        """The modules of its packages that are imported."""
        inside = tuple(p + "." for p in self.packages)
        return [mod for name, mod in list(sys.modules.items())
                if mod is not None and (name in self.packages or name.startswith(inside))]

    def leaves_out(self, mod: ModuleType) -> bool:
        """Whether it is the module of the series itself, which sees the originals."""
        return any(v is self for v in vars(mod).values())

    def __repr__(self) -> str:
        return f"<series {self.name}>"


def _maker(value: Any) -> tuple[Series, Any] | None:
    """The series that made something, and what of."""
    hit = _made.get(id(value))
    by = hit[1]() if hit is not None and hit[0] is value else None
    return (by, hit[2]) if by is not None and hit is not None else None


class ShortForms(Series):
    """Functions that leave what others would leave, in fewer steps, for a machine that nobody looks into.

    ``packages`` have the names that are replaced, in their modules and nowhere else. ``stands_for`` are the modules, or packages
    of them, whose functions the short ones leave out: see :meth:`meets`. What a short form leaves does not depend on it: it may
    be taken away at any call.
    """

    shallow = True

    def __init__(self, name: str, packages: tuple[str, ...], stands_for: tuple[str, ...], title: str = ""):
        super().__init__(name, packages, title)
        self.stands_for = stands_for

    def meets(self, series: Series) -> bool:
        """Whether ``series`` changes something that the short forms leave out: then they have to stay away."""
        return any(_within(getattr(c.original, "__module__", None) or type(c.original).__module__, self.stands_for)
                   for c in series.changes)

    def leaves_out(self, mod: ModuleType) -> bool:
        """Whether it is the module of the short forms."""
        return any(getattr(c.made, "__module__", "") == mod.__name__ for c in self.changes)


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == p or module.startswith(p + ".") for p in packages)


def undisturbed(short: Sequence[ShortForms], series: Sequence[Series]) -> list[ShortForms]:
    """Those of ``short`` that leave out nothing that one of ``series`` changes."""
    return [s for s in short if not any(s.meets(other) for other in series)]
