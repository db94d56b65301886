# SPDX-License-Identifier: GPL-2.0-only
"""Global state: what a call that failed, or an operation that was undone, left different from before.

Compared are the ported files' static variables and the tables that the API keeps for a machine (file systems, disks, mounts,
...).
"""
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kemu.check.objects import is_freed
from kemu.check.watch import Detector, Detectors
from kemu.machine import statics
from kemu.machine.current import this
from kemu.machine.sched import Task
from kemu.machine.splat import Splat

if TYPE_CHECKING:
    from kemu.machine.machine import Machine

_SIMPLE = (int, str, bytes, float, bool, type(None))
_names: dict[int, str] = {}


def namespace_name(obj: Any) -> str:
    """``erofs_memback.super`` for the statics object of that module."""
    known = _names.get(id(obj))
    if known is None:
        known = "?"
        for name, mod in list(sys.modules.items()):
            if mod is not None and any(v is obj for v in vars(mod).values()):
                known = name
                break
        _names[id(obj)] = known
    return known


def fingerprint(value: Any, depth: int = 3) -> Any:
    """A comparable picture of a value: numbers and text as they are, containers by their contents, objects by class and fields.
    """
    if isinstance(value, _SIMPLE):
        return value
    if is_freed(value):
        return "<freed>"
    if isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
        if depth == 0 or len(value) > 64:
            return f"<{len(value)} entries>"
        return (tuple(fingerprint(v, depth - 1) for v in value) if not isinstance(value, (set, frozenset))
                else f"<{len(value)} entries>")
    if isinstance(value, dict):
        if depth == 0 or len(value) > 64:
            return f"<{len(value)} entries>"
        return tuple((str(k), fingerprint(v, depth - 1)) for k, v in value.items())
    if isinstance(value, Task) or isinstance(value, type) or callable(value):
        return f"<{getattr(value, '__name__', type(value).__name__)}>"
    name = type(value).__name__
    if name == "list_head":
        return f"<list of {_list_length(value)}>"
    if name in ("mutex", "spinlock_t", "rw_semaphore"):
        return f"<{name} {'held' if getattr(value, 'owner', None) or getattr(value, 'writer', None) else 'free'}>"
    if depth == 0:
        return f"<{name}>"
    fields = []
    for cls in type(value).__mro__:
        s = cls.__dict__.get("__slots__", ())
        for attr in ((s,) if isinstance(s, str) else s):
            if not attr.startswith("__") and attr not in ("container", "wq", "waiters"):
                v = getattr(value, attr, None)
                fields.append((attr, fingerprint(v, depth - 1) if isinstance(v, _SIMPLE)
                               or type(v).__name__ in ("atomic_t", "refcount_t", "list_head")
                               else f"<{type(v).__name__}>"))
    return (name, tuple(fields))


def _list_length(head: Any) -> int:
    n, at = 0, head.next
    while at is not head and n < 10_000:
        n += 1
        at = at.next
    return n


def _table(value: Any) -> Any:
    """Of the API's own tables: how many entries the containers have."""
    if isinstance(value, (list, dict, set, tuple)):
        return f"<{len(value)} entries>"
    out = []
    for cls in type(value).__mro__:
        s = cls.__dict__.get("__slots__", ())
        for attr in ((s,) if isinstance(s, str) else s):
            v = getattr(value, attr, None)
            if isinstance(v, (list, dict, set)):
                out.append((attr, f"<{len(v)} entries>"))
    return tuple(out)


def snapshot(machine: Machine) -> dict[str, Any]:
    """Name -> picture of every static variable and table."""
    out: dict[str, Any] = {}
    for obj, values in statics.used(machine.static_values):
        module = namespace_name(obj)
        # the API's: sequence numbers and caches come and go, entries of its lists do not
        own = module.startswith("kemu.")
        for name, value in values.items():
            if not own:
                out[f"{module}.{name}"] = fingerprint(value)
            elif isinstance(value, (list, dict, set)):
                out[f"{module}.{name}"] = f"<{len(value)} entries>"
    for part in machine.made_parts():
        out[f"table {type(part).__module__}.{type(part).__name__}"] = _table(part)
    return out


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, before, after) of what is not the same; what is new and empty does not count."""
    out = []
    for name in sorted(before.keys() | after.keys()):
        b, a = before.get(name), after.get(name)
        if a != b and not (name not in before and name.startswith("table ")):
            out.append((name, b, a))
    return out


class GlobalState(Detector):
    """Between ``remember()`` and ``compare()`` nothing global may change. (Not at ``mark()``: loading a module may.)"""

    name = "state"

    def __init__(self, ignore: tuple[str, ...] = ()):
        self.ignore = ignore
        self.before: dict[str, Any] = {}
        self.machine: Machine | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine

    def remember(self) -> None:
        """Now is what must be again."""
        assert self.machine is not None
        self.before = snapshot(self.machine)

    def compare(self) -> None:
        """Is it?"""
        assert self.machine is not None
        changed = [d for d in differences(self.before, snapshot(self.machine)) if not any(i in d[0] for i in self.ignore)]
        if changed:
            name = changed[0][0]
            raise Splat(f"BUG: state left behind: {name} is not what it was before",
                        [f"{n}: {_short(b)} before, {_short(a)} after" for n, b, a in changed[:12]]
                        + [f"Virtual time: {this.machine.clock.now_ns} ns"], function="", variable=name)


def _short(value: Any) -> str:
    text = f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) and value > 9 else repr(value)
    return text if len(text) <= 90 else text[:87] + "..."
