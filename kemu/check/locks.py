# SPDX-License-Identifier: GPL-2.0-only
"""Locks: still held when the operation is over, taken in opposite orders, folio locks that nobody gives back."""
from __future__ import annotations

from typing import Any

from kemu.check.watch import Detector
from kemu.check.where import Site, site
from kemu.machine.current import this
from kemu.machine.splat import Splat

WORDS = {"mutex": "mutex", "spinlock": "spinlock", "rwsem-read": "rw_semaphore (read)", "rwsem-write": "rw_semaphore (write)",
         "folio": "folio lock", "bit": "bit lock"}


def _key(kind: str, obj: Any) -> tuple[Any, ...]:
    if type(obj) is tuple:
        return kind, id(obj[0]), obj[1]
    return kind, id(obj)


class HeldLocks(Detector):
    """Every lock that an operation takes is released when it is over."""

    name = "locks"

    def __init__(self) -> None:
        self.held: dict[tuple[Any, ...], list[tuple[Any, Site | None, str]]] = {}

    def lock(self, kind: str, obj: Any) -> None:
        self.held.setdefault(_key(kind, obj), []).append((obj, site(), f"{this.task.comm}/{this.task.pid}"))

    def unlock(self, kind: str, obj: Any) -> None:
        key = _key(kind, obj)
        entry = self.held.get(key)
        if entry:
            entry.pop()
            if not entry:
                del self.held[key]

    def finish(self) -> None:
        if not self.held:
            return
        lines = []
        first: tuple[str, Site | None] | None = None
        for key, entries in self.held.items():
            for obj, where, task in entries:
                if first is None:
                    first = (WORDS.get(key[0], key[0]), where)
                lines.append(f"{WORDS.get(key[0], key[0])} {_what(obj)} taken by {task} in {where or '?'}")
        self.held = {}
        assert first is not None
        what, where = first
        func = where.function if where else "?"
        raise Splat(f"WARNING: {what} still held after the operation, taken in {func}",
                    [*lines[:8], f"Virtual time: {this.machine.clock.now_ns} ns"],
                    function=func)

    def explain(self, splat: Splat) -> list[str]:
        """Who holds what, where tasks wait for each other."""
        if type(splat).__name__ not in ("Deadlock", "HungTask"):
            return []
        return [f"held: {WORDS.get(key[0], key[0])} {_what(obj)} by {task}, taken in {where or '?'}"
                for key, entries in self.held.items() for obj, where, task in entries]


def _what(obj: Any) -> str:
    if type(obj) is tuple:
        return f"{obj[1]}"
    return getattr(obj, "name", "") or (repr(obj) if hasattr(obj, "pfn") else "")


class LockOrder(Detector):
    """Two locks taken in one order here and in the other there: they will meet one day. Locks of one class count as one lock.

    A lock's class is its name (mutex, rwsem) or the place where it was first taken.
    """

    name = "lock order"

    def __init__(self) -> None:
        self.stacks: dict[int, list[tuple[str, Any, Site | None]]] = {}     # pid -> locks held
        self.after: dict[str, dict[str, tuple[Site | None, Site | None]]] = {}      # class -> classes taken while it was held
        self.classes: dict[int, tuple[Any, str]] = {}

    def _class(self, kind: str, obj: Any) -> str:
        known = self.classes.get(id(obj))
        if known is not None and known[0] is obj:
            return known[1]
        name = getattr(obj, "name", "")
        if not name or name in ("mutex", "rwsem"):
            s = site()
            name = f"lock of {s.function}" if s is not None else kind
        self.classes[id(obj)] = (obj, name)
        return name

    def lock(self, kind: str, obj: Any) -> None:
        if kind in ("folio", "bit", "rwsem-read"):
            return
        name = self._class(kind, obj)
        stack = self.stacks.setdefault(this.task.pid, [])
        here = site()
        tried = here is not None and "trylock" in here.api         # it never waits, so it closes no circle
        for held, _, where in stack:
            if held == name or tried:
                continue
            after = self.after.setdefault(held, {})
            if name in after:           # a circle is closed by an order that is new
                continue
            after[name] = where, here
            path = self._path(name, held)
            if path:
                self._report(held, name, where, here, path)
        stack.append((name, obj, here))

    def unlock(self, kind: str, obj: Any) -> None:
        stack = self.stacks.get(this.task.pid, [])
        for i in reversed(range(len(stack))):
            if stack[i][1] is obj:
                del stack[i]
                return

    def _path(self, frm: str, to: str) -> list[str]:
        seen = {frm: ""}
        todo = [frm]
        while todo:
            c = todo.pop()
            if c == to:
                path = [c]
                while seen[c]:
                    c = seen[c]
                    path.append(c)
                return path[::-1]
            for n in self.after.get(c, ()):
                if n not in seen:
                    seen[n] = c
                    todo.append(n)
        return []

    def _report(self, held: str, name: str, where: Site | None, here: Site | None, path: list[str]) -> None:
        lines = [f"{this.task.comm}/{this.task.pid} is trying to acquire {name} in {here or '?'}",
                 f"but already holds {held}, taken in {where or '?'}",
                 "the existing order is:"]
        for a, b in zip(path, path[1:]):
            w, h = self.after[a][b]
            lines.append(f"  {a} (taken in {w or '?'}) -> {b} (taken in {h or '?'})")
        func = here.function if here else "?"
        raise Splat(f"WARNING: possible circular locking dependency detected in {func}", lines, function=func)
