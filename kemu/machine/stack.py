# SPDX-License-Identifier: GPL-2.0-only
"""Series on top of each other: what each makes of what those before it left, and the places where that is put.

A stack is made once for each row of series and kept: entering a machine only puts what it has. The rules are those of patches.
A hunk applies to the text that the earlier series left. Something that is replaced as a whole has to be what it was written
against: after an earlier series has changed it, that is a conflict, unless ``replaces()`` names what the earlier one made
(``earlier.made(original)``, or its own function). What reaches no place is an error.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from kemu.machine.hunks import SeriesError, called, compiled, patched, source, space_of
from kemu.machine.places import PLAIN, Site, all_modules, holds, home_of, places

if TYPE_CHECKING:
    from kemu.machine.series import Change, Series

KEPT = 64                       # stacks; one takes a few milliseconds to make

names_added: set[tuple[int, str]] = set()           # (namespace, name) that a module got from a series


class Version(NamedTuple):
    """What a series of the stack left of something. ``text``: with its hunks, None for what was put in its place as a whole."""

    by: Series
    value: Any
    text: str | None


class Chain:
    """Something that series change: the port's own, and what each has made of it."""

    __slots__ = ("root", "versions")

    def __init__(self, root: Any):
        self.root = root
        self.versions: list[Version] = []

    @property
    def value(self) -> Any:
        """As it is now."""
        return self.versions[-1].value if self.versions else self.root

    @property
    def text(self) -> str:
        """Its text as it is now."""
        last = self.versions[-1] if self.versions else None
        return last.text if last is not None and last.text is not None else source(self.value)


class Layer:
    """One series of a stack: what it takes away and puts there (id -> old, new), and the chains of that."""

    __slots__ = ("chains", "new", "reached", "series")

    def __init__(self, series: Series):
        self.series = series
        self.new: dict[int, tuple[Any, Any]] = {}
        self.chains: dict[int, Chain] = {}          # id(new) -> its chain
        self.reached: set[int] = set()              # ids of what has come to a place


class Stack:
    """A row of series, ready to be applied."""

    def __init__(self, series: Sequence[Series]):
        self.series = tuple(series)
        self.layers: list[Layer] = []
        self.chains: dict[int, Chain] = {}
        self._names: list[tuple[dict[str, Any], str, Any, Series]] = []
        self._sites: list[tuple[Callable[[Any, Any], None], Any, Any, Any]] = []
        self._sites_for = -1
        self._whole = False             # something that is no function or class is replaced
        for s in self.series:
            if sum(t is s for t in self.series) > 1:
                raise SeriesError(f"{s.name}: it is on the stack twice: {', '.join(t.name for t in self.series)}")
        for s in self.series:
            if s.unfinished:
                more = f" (and {len(s.unfinished) - 1} more)" if len(s.unfinished) > 1 else ""
                raise SeriesError(f"{s.name}: it is not finished: {s.unfinished[0]}{more}")
            self._compose(s)

    def made_of(self, original: Any) -> Any:
        """What all of them make of something; itself if none changes it."""
        chain = self.chains.get(id(original))
        return chain.value if chain is not None else original

    # ------------------------------------------------------------ what is made of what

    def _compose(self, s: Series) -> None:
        layer = Layer(s)
        touched: dict[int, tuple[Chain, int]] = {}
        for change in s.changes:
            chain = self._chain(s, change)
            touched.setdefault(id(chain), (chain, len(chain.versions)))
            chain.versions.append(self._edit(s, change, chain) if change.hunks else self._replace(s, change, chain))
            self.chains[id(chain.value)] = chain
            if change.hunks:
                self._add_names(s, change, chain)
        for chain, before in touched.values():
            # what it puts there takes the place of all that was there before
            for old in [chain.root, *(v.value for v in chain.versions[:before])]:
                layer.new[id(old)] = old, chain.value
            layer.chains[id(chain.value)] = chain
        self.layers.append(layer)

    def _chain(self, s: Series, change: Change) -> Chain:
        chain = self.chains.get(id(change.original))
        if chain is not None:
            return chain
        maker = change.against
        if maker is not None and maker[0] in self.series[:self.series.index(s)]:
            chain = self.chains[id(maker[1])]           # what that one makes of it where it stands alone
        else:
            for later in self.series[self.series.index(s) + 1:]:
                if (maker is not None and maker[0] is later) or home_of(later, _module_of(change.original)):
                    raise SeriesError(f"{s.name}: it changes {called(change.original)} of {later.name}, which comes later: "
                                      f"{', '.join(t.name for t in self.series)}")
            chain = Chain(change.original)
        self.chains[id(change.original)] = chain
        return chain

    def _edit(self, s: Series, change: Change, chain: Chain) -> Version:
        name = called(change.original)
        if not chain.versions and change.made is not None:
            return Version(s, change.made, change.text)
        before = list(dict.fromkeys(v.by.name for v in chain.versions if v.by is not s))
        try:
            old = chain.text
        except SeriesError as e:
            raise SeriesError(f"{s.name}: {e}" + (f"; {chain.versions[-1].by.name} put it there" if before else "")) from None
        text = patched(old, change.hunks, s.name, name, " and ".join(before))
        return Version(s, s.on(change, chain.value, lambda: compiled(text, chain.value, s.name, before, name)), text)

    def _replace(self, s: Series, change: Change, chain: Chain) -> Version:
        if chain.versions:
            last = chain.versions[-1]
            against = change.original is chain.value or (change.against is not None and change.against[0] is last.by)
            if not against and last.by is s:
                name = called(change.original)
                raise SeriesError(f"{s.name}: it replaces {name}, and has changed it before, which would be lost")
            if not against:
                name = called(change.original)
                raise SeriesError(f"{s.name}: it replaces {name} as a whole, which {last.by.name} has changed: that would be "
                                  f"lost; write it against what that one made (replaces(SERIES.made({name}))), or give the lines "
                                  f"as edits()")
        self._whole |= not callable(change.made)
        return Version(s, change.made, None)

    def _add_names(self, s: Series, change: Change, chain: Chain) -> None:
        """The new names that the new lines use. One that means something else there already would not be what they mean."""
        space = space_of(chain.value)
        where = f"{s.name}: names= of {called(change.original)}"
        for name, value in change.names.items():
            theirs = next(((v, by) for sp, n, v, by in self._names if n == name and sp is space), None)
            if theirs is not None:
                if not _same(theirs[0], value):
                    raise SeriesError(f"{where}: {name} is there already, of {theirs[1].name} and with another value: give it "
                                      f"another name")
                continue
            if (id(space), name) in names_added or name not in space:
                names_added.add((id(space), name))
                self._names.append((space, name, value, s))
            elif not _same(space[name], value):
                raise SeriesError(f"{where}: {space.get('__name__', '?')} has {name} already, with another value: give it "
                                  f"another name, or replaces() it")

    # ------------------------------------------------------------ where it is put

    def apply(self) -> None:
        """Put everything in its place. Raises SeriesError for what reaches none; then nothing is changed."""
        for space, name, value, _ in self._names:
            space[name] = value
        if self._sites_for != len(sys.modules):
            self._find_sites()
        else:
            for put, key, _, new in self._sites:
                put(key, new)

    def revert(self) -> None:
        """Put the originals back, also into modules that were imported meanwhile."""
        for put, key, old, _ in self._sites:
            put(key, old)
        if self._sites_for != len(sys.modules):
            self._clean(list(sys.modules.values())[self._sites_for:])

    def _clean(self, modules: Sequence[ModuleType]) -> None:
        """Modules that came while this was applied have taken names from others."""
        roots = {id(v.value): (v, chain.root) for chain in self.chains.values() for v in chain.versions}
        for mod in modules:
            if not isinstance(mod, ModuleType) or holds(mod, *self.series):
                continue
            for name, value in list(vars(mod).items()):
                hit = roots.get(id(value))
                if hit is None or hit[0].value is not value:
                    continue
                here = vars(sys.modules.get(_module_of(value), mod)).get(getattr(value, "__name__", ""))
                if hit[0].by.shallow or here is not value:          # else it may have come from the series itself
                    setattr(mod, name, hit[1])

    def _find_sites(self) -> None:
        """Find the places, and put everything there."""
        deep = [s for s in self.series if not s.shallow]
        homes = [(s, m) for m in (all_modules() if len(deep) > 1 else []) if holds(m, *deep) for s in deep if holds(m, s)]
        done: dict[tuple[int, Any], Site] = {}
        try:
            for _ in range(2 if self._whole and len(deep) > 1 else 1):
                for layer in self.layers:
                    self._put_layer(layer, homes, done)
            for layer in self.layers:
                self._check_reached(layer)
        except BaseException:
            for site in done.values():
                site.put(site.key, site.old)
            raise
        self._sites = [(s.put, s.key, s.old, s.new) for s in done.values() if s.old is not s.new]
        self._sites_for = len(sys.modules)

    def _put_layer(self, layer: Layer, homes: Sequence[tuple[Series, ModuleType]], done: dict[tuple[int, Any], Site]) -> None:
        s = layer.series
        modules = s.modules()
        if not s.shallow:                           # what is new in another series calls what this one has changed
            modules += [m for other, m in homes if other is not s and all(m is not k for k in modules)]
        for site in list(places(s, layer.new, modules)):
            first = done.get(site.place)
            done[site.place] = site if first is None else site._replace(old=first.old)
            site.put(site.key, site.new)
            layer.reached.add(id(site.new))

    def _check_reached(self, layer: Layer) -> None:
        if layer.series.shallow:
            return
        for new, chain in layer.chains.items():
            if new not in layer.reached:
                raise SeriesError(f"{layer.series.name}: it changes {called(chain.root)} of {_module_of(chain.root)}, to which "
                                  f"nothing in {' or '.join(layer.series.packages) or 'no package'} refers: it reaches no place")


def _module_of(value: Any) -> str:
    return str(getattr(value, "__module__", None) or type(value).__module__)


def _same(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, PLAIN[:5]) and type(a) is type(b) and bool(a == b))


# ---------------------------------------------------------------- the one that is applied

_active: list[Stack] = []                               # none or one
_stacks: dict[tuple[tuple[Series, int], ...], Stack] = {}


def stack_of(series: Sequence[Series]) -> Stack:
    """The stack of these series, made if it is not kept. Raises SeriesError."""
    key = tuple((s, len(s.changes)) for s in series)
    stack = _stacks.get(key)
    if stack is None:
        with lifted():
            stack = Stack(series)
        while len(_stacks) >= KEPT:
            del _stacks[next(iter(_stacks))]
        _stacks[key] = stack
    return stack


@contextmanager
def lifted() -> Iterator[None]:
    """Everything is the port's own meanwhile, whatever is applied."""
    there = list(_active)
    for stack in there:
        stack.revert()
    _active.clear()
    try:
        yield
    finally:
        for stack in there:
            stack.apply()
        _active[:] = there


def activate(wanted: Sequence[Series]) -> None:
    """Make exactly ``wanted`` the applied series, each on top of those before it. Raises SeriesError; then nothing is changed."""
    if (_active[0].series if _active else ()) == tuple(wanted):
        return
    stack = stack_of(wanted) if wanted else None
    before = list(_active)
    for old in before:
        old.revert()
    _active.clear()
    if stack is None:
        return
    try:
        stack.apply()
    except SeriesError:
        for old in before:
            old.apply()
        _active[:] = before
        raise
    _active[:] = [stack]
