# SPDX-License-Identifier: GPL-2.0-only
"""History of kernel objects, and use after free of those that are Python objects.

The shadow guards bytes. A structure that ported code uses by field is a Python object: when it is freed its class is exchanged
for one of the same layout that reports every access, and the object itself is kept (quarantine), so nothing else can take its
place.
"""
from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from kemu.check.watch import Detector, Detectors
from kemu.check.where import Site, site
from kemu.machine.current import this
from kemu.machine.splat import KernelBug, Splat, call_trace, caller_function

if TYPE_CHECKING:
    from kemu.machine.machine import Machine


class Record:
    """One object's life."""

    __slots__ = ("allocated_at", "allocated_by", "allocated_in", "freed_at", "freed_by", "freed_in", "kind", "label", "number",
                 "obj", "parts", "size")

    def __init__(self, number: int, kind: str, obj: Any, size: int, now: int):
        self.number = number
        self.kind = kind
        self.obj = obj
        self.size = size
        self.label = f"{size} bytes at {obj:016x}" if type(obj) is int else f"struct {type(obj).__name__}"
        self.allocated_in: Site | None = site()
        self.allocated_by = f"{this.task.comm}/{this.task.pid}"
        self.allocated_at = now
        self.freed_in: Site | None = None
        self.freed_by = ""
        self.freed_at = -1
        self.parts: list[Any] = []          # embedded structures, when it is freed

    def lines(self) -> list[str]:
        """The history in KASAN's words."""
        out = [f"Allocated by task {self.allocated_by} at {self.allocated_at} ns in {self.allocated_in or '?'}"]
        if self.freed_at >= 0:
            out.append(f"Freed by task {self.freed_by} at {self.freed_at} ns in {self.freed_in or '?'}")
        return out


# handles of the API that its own tasks still look at while they wind down; what ported code does with them then the API itself
# reports
_HANDLES = ("work_struct", "delayed_work", "rcu_head", "callback_head")
_OWN_AFTERLIFE = ("kmem_cache", "workqueue", "shrinker")

_records: dict[int, Record] = {}        # id(freed Python object) -> its record, for the poisoned classes
_poisoned: dict[type, type] = {}


def _report(obj: Any, what: str) -> Splat:
    func, line = caller_function()
    rec = _records.get(id(obj))
    details = [f"{what} of freed {rec.label if rec else type(obj).__name__} by task {this.task.comm}/{this.task.pid}"]
    if rec is not None:
        details += rec.lines()
    details += [f"Virtual time: {this.machine.clock.now_ns} ns", "Call Trace:", *call_trace()]
    return Splat(f"BUG: KASAN: slab-use-after-free in {func}", details, function=func, line=line, object=rec.label if rec else "")


def is_freed(obj: Any) -> bool:
    """Whether a Python object was freed; looks at nothing of it."""
    rec = _records.get(id(obj))
    return rec is not None and (rec.obj is obj or any(p is obj for p in rec.parts))


def _poison_class(cls: type) -> type:
    """A subclass with the same layout that reports every attribute access."""
    made = _poisoned.get(cls)
    if made is None:
        def get(self: Any, name: str) -> Any:
            if name == "__class__":
                return cls
            raise _report(self, f"Read of {name}")

        def put(self: Any, name: str, value: Any) -> None:
            raise _report(self, f"Write to {name}")

        ns: dict[str, Any] = {"__slots__": (), "__getattribute__": get, "__setattr__": put,
                              "__repr__": lambda self: f"<freed {cls.__name__}>"}
        for name in ("__getitem__", "__setitem__", "__iter__", "__len__"):
            if hasattr(cls, name):
                ns[name] = lambda self, *args, _what=name: _raise(_report(self, _what))
        made = _poisoned[cls] = type(cls.__name__, (cls,), ns)
    return made


def _raise(splat: Splat) -> None:
    raise splat


def _poison(obj: Any) -> None:
    try:
        obj.__class__ = _poison_class(type(obj))
    except TypeError:                               # a layout that Python cannot exchange: history only
        pass


def _embedded(obj: Any) -> list[Any]:
    """The structures that are a part of ``obj`` in C: those that name it as their container. Not what the API's own queues still
    look at.
    """
    cls: type = type(obj)
    values: list[Any] = [getattr(obj, name, None) for name in _members(cls)]
    return [v for v in values
            if _can_be_part(type(v)) and _container(v) is obj and type(v).__name__ not in _HANDLES]     # type: ignore[arg-type]


@cache
def _members(cls: type) -> tuple[str, ...]:
    return tuple(name for c in cls.__mro__ for name in c.__dict__.get("__slots__", ()) if name != "container")


@cache
def _can_be_part(cls: type) -> bool:
    return hasattr(cls, "container") or cls.__dictoffset__ != 0


def _container(part: Any) -> Any:
    try:
        return object.__getattribute__(part, "container")       # of what is freed already as well
    except AttributeError:
        return None


def _unrecord(key: int, rec: Record) -> None:
    _records.pop(key, None)
    for part in rec.parts:
        _records.pop(id(part), None)


class Objects(Detector):
    """Knows every live object since the machine began, and the ``quarantine`` most recently freed ones."""

    name = "objects"

    def __init__(self, quarantine: int = 4096):
        self.live: dict[int, Record] = {}           # address, or id() of a Python object
        self.freed: dict[int, Record] = {}
        self.number = 0
        self.quarantine = quarantine
        self.machine: Machine | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine
        machine.exit_hooks.append(self._forget)

    def _forget(self) -> None:
        for key, rec in self.freed.items():
            if type(rec.obj) is not int:
                _unrecord(key, rec)
        self.freed.clear()
        self.live.clear()

    def alloc(self, what: str, obj: Any, size: int) -> None:
        self.number += 1
        key = obj if type(obj) is int else id(obj)
        self.live[key] = Record(self.number, what, obj, size, this.machine.clock.now_ns)

    def free(self, what: str, obj: Any) -> None:
        is_int = type(obj) is int
        key = obj if is_int else id(obj)
        rec = self.live.pop(key, None)
        if rec is None:
            if not is_int and key in self.freed:
                func, line = caller_function()
                raise KernelBug(f"BUG: KASAN: double-free in {func}",
                                [f"Free of {self.freed[key].label}", *self.freed[key].lines(),
                                "Call Trace:", *call_trace()], function=func, line=line)
            return
        rec.freed_in = site()
        rec.freed_by = f"{this.task.comm}/{this.task.pid}"
        rec.freed_at = this.machine.clock.now_ns
        self.freed[key] = rec
        if not is_int and what not in _OWN_AFTERLIFE:
            _records[key] = rec
            parts = _embedded(obj)
            _poison(obj)
            for part in parts:                      # pointers to them are pointers into it
                _records[id(part)] = rec
                rec.parts.append(part)
                _poison(part)
        if len(self.freed) > self.quarantine:
            old = next(iter(self.freed))
            gone = self.freed.pop(old)
            if type(gone.obj) is not int:
                _unrecord(old, gone)

    def explain(self, splat: Splat) -> list[str]:
        """History of the object that a byte access hit."""
        addr = splat.facts.get("first_bad", splat.facts.get("addr"))
        if not isinstance(addr, int) or splat.facts.get("object") is not None:
            return []
        machine = self.machine
        o = machine.slab.find(addr) if machine is not None else None
        if o is None:
            return []
        rec = self.live.get(o.addr) or self.freed.get(o.addr)
        return rec.lines() if rec is not None else []
