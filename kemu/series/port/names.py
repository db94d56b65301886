# SPDX-License-Identifier: GPL-2.0-only
"""What a name of C is called in Python, where the emulated kernel or a port has it; and what has to be imported for it."""
from __future__ import annotations

import importlib
import keyword
import pkgutil
from functools import cache
from typing import Any

from kemu.series.emit import source
from kemu.series.emit.scope import STRUCTS

_NEVER = {"len", "range", "bool", "mem_read", "ord"}    # of Python, and used by what is written


def _camel(tag: str) -> str:
    known = {v: k for k, v in STRUCTS.items()}
    return known.get(tag) or "".join(w.title() for w in tag.split("_"))


@cache
def emulated() -> dict[str, str]:
    """Each name of the emulated kernel -> the module of the header that has it."""
    import kemu.linux  # noqa: PLC0415  (start-up)

    out: dict[str, str] = {}
    for info in sorted(pkgutil.walk_packages(kemu.linux.__path__, "kemu.linux."), key=lambda i: (i.name.count("."), i.name)):
        if info.ispkg or ".port" in info.name or "._" in info.name or ".short" in info.name:
            continue
        mod = importlib.import_module(info.name)
        for name, value in vars(mod).items():
            own = getattr(value, "__module__", info.name)
            if not name.startswith("__p") and (isinstance(value, int | str) or str(own).startswith("kemu")):
                out.setdefault(name, info.name)
    return out


def _assigns(mod: Any, name: str) -> bool:
    """Whether a module itself gives a name its value."""
    made = source.module(mod.__name__)
    return made is not None and name in made.constants


class Names:
    """Of one function: its module's own names, those of the ported package, those of the emulated kernel."""

    def __init__(self, packages: tuple[str, ...], module: str = "", own: set[str] | None = None):
        self.packages = packages
        self.module = importlib.import_module(module) if module else None
        self.own = own or set()                         # what the series brings itself
        self.needed: dict[str, tuple[str, str]] = {}    # name -> (module, name there)

    @property
    def space(self) -> dict[str, Any]:
        """What the function's module sees."""
        return vars(self.module) if self.module is not None else {}

    def find(self, name: str) -> tuple[str, Any] | None:
        """(how Python writes it, what it is); None where there is nothing of that name."""
        if name in self.own:
            return name, None
        arch = importlib.import_module("kemu.linux.page").arch
        if hasattr(type(arch), name) or hasattr(arch, name):
            self._need("arch", "kemu.linux.page")
            return f"arch.{name}", getattr(arch, name)
        if name in self.space:
            return name, self.space[name]
        statics = self.space.get("g")
        if statics is not None and hasattr(statics, name):
            return f"g.{name}", None
        for mod in self._ports():
            other = vars(mod).get("g")
            if other is not None and other is not statics and hasattr(other, name):
                self._need(f"{mod.__name__.rpartition('.')[2]}_statics", mod.__name__, "g")
                return f"{mod.__name__.rpartition('.')[2]}_statics.{name}", None
            if name in vars(mod) and not name.startswith("__"):
                value = vars(mod)[name]
                own = getattr(value, "__module__", mod.__name__) in (mod.__name__, None)
                if own or isinstance(value, int) or _assigns(mod, name):
                    self._need(name, mod.__name__)
                    return name, value
        where = emulated().get(name)
        if where is not None:
            self._need(name, where)
            return name, vars(importlib.import_module(where))[name]
        return None

    def struct(self, tag: str) -> tuple[str, Any] | None:
        """The class of ``struct tag``."""
        tag = tag.removeprefix("struct ").removeprefix("union ")
        for name in (f"struct_{tag}", tag, _camel(tag)):
            if name in self.own:
                return name, None
            found = self.find(name)
            if found is not None and isinstance(found[1], type):
                return found
        return None

    def is_view(self, tag: str) -> bool:
        """Whether a structure is one on disk, which Python sees through a view."""
        from kemu.linux.port.layout import View  # noqa: PLC0415  (start-up)

        before = dict(self.needed)
        found = self.struct(tag)
        self.needed = before
        return found is not None and isinstance(found[1], type) and issubclass(found[1], View)

    def _ports(self) -> list[Any]:
        out = []
        for package in self.packages:
            top = importlib.import_module(package)
            out += [importlib.import_module(f"{package}.{m.name}") for m in pkgutil.iter_modules(top.__path__)
                    if not m.ispkg and not m.name.startswith(("_", "memback"))]
        return out

    def _need(self, name: str, module: str, there: str = "") -> None:
        if self.space.get(name) is None:
            self.needed[name] = module, there or name


def spelt(name: str) -> str:
    """A local of C."""
    return f"{name}_" if keyword.iskeyword(name) or name in _NEVER else name
