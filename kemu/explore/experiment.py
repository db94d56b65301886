# SPDX-License-Identifier: GPL-2.0-only
"""Experiments: properties that are run with choices, found by name.

    @experiment("memback.same-bytes", series="erofs-memback")
    def same_bytes(run: Run) -> None:
        '''Reading through memback gives the bytes that the block device gives.'''
        image = choose_image(run.pick)
        with run.machine() as m: ...

An experiment may have variants, one per series that it judges: ``variants={"erofs-memback": {"backend": "memback"}, ...}``; the
name then is a format (``"{backend}.same-bytes"``) and the parameters come as keyword arguments.

They are found in the packages that declare the entry point group ``kemu.experiments``, and in modules given by name.
"""
from __future__ import annotations

import fnmatch
import importlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from kemu.explore import modules
from kemu.plugins import installed_modules

GROUP = "kemu.experiments"
Feed = Callable[[str], Iterable[Sequence[int]]]


@runtime_checkable
class Dealt(Protocol):
    """A feed that several processes share by its own means: one that looks for the runs."""

    def deal(self, rung: str, seed: int, shard: tuple[int, int]) -> Iterable[Sequence[int]]:
        """The runs of one process; ``shard``: (number, of how many)."""


@dataclass(frozen=True)
class Experiment:
    """One property for one series. ``run_seconds``: the watchdog's limit for one example; ``weight``: share of the time of a
    search.
    """

    name: str
    series: str
    fn: Callable[..., None]
    params: dict[str, Any] = field(default_factory=dict)
    run_seconds: float = 20.0
    weight: float = 1.0
    rungs: tuple[str, ...] = ("py",)
    base: str = ""              # series that this one stands on: what that shows with the same choices is not this one's finding
    # recorded choices that a search runs instead of seeds, where somebody else has made the inputs; it is given the rung
    feed: Feed | None = None
    on_linux: tuple[str, ...] = ()      # names of the experiments that see the same on the booted kernel, every switch chosen

    @property
    def below(self) -> Experiment | None:
        """The same property of the base series."""
        return (next((e for e in registry.values() if e.fn is self.fn and e.series == self.base and e.rungs == self.rungs
                      and e is not self), None) if self.base else None)

    def on(self, rung: str) -> Experiment | None:
        """The same property on a rung; None if it is not there."""
        return self if rung in self.rungs else next((e for e in registry.values() if e.fn is self.fn and e.series == self.series
                                                     and e.params == self.params and rung in e.rungs), None)

    @property
    def doc(self) -> str:
        """First paragraph of the docstring, as one line: what holds."""
        return " ".join((self.fn.__doc__ or "").strip().split("\n\n")[0].split())


registry: dict[str, Experiment] = {}
bad_series: dict[str, str] = {}     # series -> why it is known to be bad
installed: set[str] = set()         # names of the experiments that came from entry points


class UnknownExperiment(LookupError):
    """No experiment, module or series of that name; the message says what there is."""


def experiment(name: str, *, series: str = "", variants: dict[str, dict[str, Any]] | None = None, run_seconds: float = 20.0,
               weight: float = 1.0,
               rungs: tuple[str, ...] = ("py",), base: str = "",
               feed: Feed | None = None, on_linux: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the decorated function; see the module's text. ``base``: the series that the other variants stand on. With
    ``{rung}`` in the name it is another experiment on each rung, so that a token says where it was found. ``on_linux``: the
    experiments of the rung sched that see the same.
    """
    def deco(fn: Callable[..., None]) -> Callable[..., None]:
        each = [(r,) for r in rungs] if "{rung}" in name else [rungs]
        for (s, params), on in itertools.product((variants or {series or name.partition(".")[0]: {}}).items(), each):
            e = Experiment(name.format(**params, rung=on[0]), s, fn, params, run_seconds, weight, on, base, feed, on_linux)
            known = registry.get(e.name)
            if known is not None and known.fn.__module__ != fn.__module__:
                raise ValueError(f"experiment {e.name!r} is defined in {known.fn.__module__} and in {fn.__module__}")
            registry[e.name] = e
        return fn
    return deco


def load_entry_points() -> list[str]:
    """Import every module of the entry point group; returns one line for each that could not be imported."""
    problems = []
    before = set(registry)
    for name, value in sorted(installed_modules(GROUP)):
        try:
            importlib.import_module(value)
        except Exception as exc:
            problems.append(f"experiments of {name!r} ({value}) cannot be imported: {type(exc).__name__}: {exc}")
    installed.update(set(registry) - before)
    return problems


def known_bad(series: str, why: str) -> None:
    """Say of a series that it is here to be found wrong (it was posted so): what is run without a name leaves it out."""
    bad_series[series] = why


def select(names: Iterable[str]) -> list[Experiment]:
    """Experiments by name, glob, series or module; for no name all but those of a series that is known to be bad.

    A module is an installed one, or a path (:func:`kemu.explore.modules.load`): the working folder is not searched.
    """
    names = list(names)
    if not names:
        return [registry[n] for n in sorted(registry) if registry[n].series not in bad_series]
    out: dict[str, Experiment] = {}
    for name in names:
        hits = [e for e in registry.values() if e.name == name or e.series == name or fnmatch.fnmatchcase(e.name, name)
                or e.name.startswith(name + ".")]
        if not hits:
            loaded = modules.load(name)
            hits = [e for e in registry.values() if e.fn.__module__ in loaded]
        if not hits:
            import difflib  # noqa: PLC0415  (start-up)

            near = difflib.get_close_matches(name, sorted({*registry, *(e.series for e in registry.values())}), 6, 0.5)
            raise UnknownExperiment(f"no experiment, series or module {name!r}" + modules.hint(name)
                                    + (f"; near: {', '.join(near[:6])}" if near
                                       else f"; there are: {', '.join(sorted(registry)[:8]) or 'none'}"))
        for e in sorted(hits, key=lambda e: e.name):
            out[e.name] = e
    return list(out.values())


def of_series(name: str) -> list[Experiment]:
    """The experiments that judge a series; a module's if ``name`` is one."""
    hits = [e for e in registry.values() if e.series == name]
    return sorted(hits, key=lambda e: e.name) if hits else select([name])


def all_series() -> list[str]:
    """Names of the series that some experiment judges."""
    return sorted({e.series for e in registry.values()})
