# SPDX-License-Identifier: GPL-2.0-only
"""What attaches detectors to a machine: one Watch that tells each detector only what it listens to.

A detector is a small class with some of the Watch's methods (``alloc``, ``free``, ``ref``, ...), ``on_NAME`` methods for events,
and, if it judges a whole operation, ``mark()`` before and ``finish()`` after it. It raises :class:`~kemu.machine.splat.Splat`
when it sees a fault, and ``explain()`` adds what it knows to a report that another raised.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from kemu.check.where import ALONE, ASKED, tellers, told
from kemu.machine.splat import Splat

if TYPE_CHECKING:
    from kemu.machine.machine import Machine

D = TypeVar("D", bound="Detector")
HOOKS = ("alloc", "free", "page_alloc", "page_free", "ref", "lock", "unlock", "uninit_use")


class Detector:
    """Base of detectors; every method is optional but these."""

    name = "detector"

    def attach(self, machine: Machine, others: Detectors) -> None:
        """The machine is about to run; ``others`` are all detectors attached to it."""

    def mark(self) -> None:
        """An operation begins that must leave nothing behind."""

    def finish(self) -> None:
        """The operation is over: raise a Splat for what it left behind."""

    def explain(self, splat: Splat) -> list[str]:
        """Lines to add to a report of any kind."""
        return []


def _nothing(*args: Any, **facts: Any) -> None:
    return None


def _fan(fns: list[Callable[..., None]]) -> Callable[..., None]:
    if not fns:
        return _nothing
    if len(fns) == 1:
        return fns[0]
    if len(fns) == 2:
        first, second = fns

        def both(*args: Any) -> None:
            told.site = ASKED
            try:
                first(*args)
                second(*args)
            finally:
                told.site = ALONE
        tellers.add(id(both.__code__))
        return both

    def each(*args: Any) -> None:
        told.site = ASKED
        try:
            for fn in fns:
                fn(*args)
        finally:
            told.site = ALONE
    tellers.add(id(each.__code__))
    return each


@cache
def _event_methods(cls: type) -> tuple[str, ...]:
    return tuple(name for name in dir(cls) if name.startswith("on_"))


class Detectors:
    """Implements :class:`kemu.machine.chooser.Watch` for a set of detectors."""

    __slots__ = ("_events", "all", "passed", *HOOKS)
    passed: Callable[[Splat], bool] | None          # whether a report at the end is passed over
    alloc: Callable[..., None]
    free: Callable[..., None]
    page_alloc: Callable[..., None]
    page_free: Callable[..., None]
    ref: Callable[..., None]
    lock: Callable[..., None]
    unlock: Callable[..., None]
    uninit_use: Callable[..., None]

    def __init__(self, detectors: Iterable[Detector]):
        self.all = list(detectors)
        self.passed = None
        for hook in HOOKS:
            setattr(self, hook, _fan([getattr(d, hook) for d in self.all if hasattr(d, hook)]))
        self._events: dict[str, list[Callable[..., None]]] = {}
        for d in self.all:
            cls: type = type(d)
            for name in (*_event_methods(cls), *(n for n in vars(d) if n.startswith("on_"))):
                self._events.setdefault(name[3:], []).append(getattr(d, name))

    def event(self, name: str, **facts: Any) -> None:
        """Something happened that only some detectors care about."""
        fns = self._events.get(name)
        if fns is not None:
            for fn in fns:
                fn(**facts)

    def attach(self, machine: Machine) -> None:
        """Every detector learns the machine that it watches."""
        for d in self.all:
            d.attach(machine, self)

    def get(self, cls: type[D]) -> D | None:
        """The attached detector of a class."""
        for d in self.all:
            if isinstance(d, cls):
                return d
        return None

    def mark(self) -> None:
        for d in self.all:
            d.mark()

    def finish(self) -> None:
        for d in self.all:
            try:
                d.finish()
            except Splat as splat:
                if self.passed is None or not self.passed(splat):
                    raise

    def explain(self, splat: Splat) -> list[str]:
        """What the detectors can add to a report."""
        return [line for d in self.all for line in d.explain(splat)]
