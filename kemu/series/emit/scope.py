# SPDX-License-Identifier: GPL-2.0-only
"""What a name means inside one function: a parameter, a local, a global of C, a constant of Python, a structure."""
from __future__ import annotations

import ast
import builtins
import keyword
import re
from dataclasses import dataclass, field

from kemu.series.emit import source
from kemu.series.emit.ctype import CType, base, ptr
from kemu.series.emit.declarations import Declarations

# where the emulation calls a structure by a name that is not its C tag in CapWords
STRUCTS = {"Page": "page", "VfsMount": "vfsmount", "BlockDevice": "block_device", "GenDisk": "gendisk"}


def snake(name: str) -> str:
    """``SuperBlock`` -> ``super_block``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@dataclass
class Scope:
    """Of one function. ``types``: its locals and parameters; ``refs``: locals that are ``Ref`` cells; ``names``: how C spells
    them; ``cells``: parameters that are ``Ref``; ``numbers``: parameters that Python says are numbers and C says are ``void *``.
    """

    declarations: Declarations
    module: source.Module
    types: dict[str, CType | None] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    refs: set[str] = field(default_factory=set)
    cells: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    locals: list[str] = field(default_factory=list)
    statics: dict[str, str] = field(default_factory=dict)
    extra: dict[str, CType] = field(default_factory=dict)      # what a series declares itself
    converted: list[str] = field(default_factory=list)         # declarations of what a void * parameter is
    near: str = ""                                             # the C file
    lengths: dict[str, str] = field(default_factory=dict)
    reads: dict[str, ast.expr] = field(default_factory=dict)   # name = mem_read(p, n): n

    def spell(self, name: str) -> str:
        """A local's or parameter's name in C."""
        if name in self.names:
            return self.names[name]
        out = name
        if name.endswith("_") and (keyword.iskeyword(name[:-1]) or name[:-1] in dir(builtins)) and name[:-1] not in self.types:
            out = name[:-1]
        return out

    def is_local(self, name: str) -> bool:
        """Whether the function itself declares it."""
        return name in self.types

    def global_type(self, name: str) -> CType | None:
        """The type of a function or variable of C."""
        return self.extra.get(name) or self.declarations.type_of(name)

    def is_module(self, name: str) -> bool:
        """Whether it is a module, or the namespace of statics of one (``g``): what stands before its dot says nothing in C."""
        if self.is_local(name):
            return False
        if name == "g" or name == "arch":
            return True
        found = self.module.imports.get(name)
        if found is None:
            return False
        return found[1] in ("g", "arch") or found[1] == "" or source.module(f"{found[0]}.{found[1]}") is not None

    def struct(self, name: str) -> str | None:
        """``struct inode`` for ``Inode``, ``struct erofs_buf`` for ``erofs_buf``; None for what is no structure."""
        if self.is_local(name):
            return None
        name = name.removeprefix("struct_")
        d = self.declarations
        if name in STRUCTS:
            return f"struct {STRUCTS[name]}"
        if f"struct {name}" in self.extra:
            return f"struct {name}"
        found = d.has_struct(name)
        if found:
            return found
        if name in d.macros and d.macros[name][0] is None and d.has_struct(d.macros[name][1]):
            return d.has_struct(d.macros[name][1])
        if re.match(r"[A-Z][a-z]", name):
            return d.has_struct(snake(name)) or d.has_struct(name.lower())
        if name.endswith("_t") and d.has_struct(name[:-2]):
            return d.has_struct(name[:-2])
        return None

    def port_function(self, name: str) -> ast.FunctionDef | None:
        """The Python of a function of the port that the module has, or imports."""
        if name in self.module.functions:
            return self.module.functions[name]
        found = source.module(self.module.imports[name][0]) if name in self.module.imports else None
        return found.functions.get(self.module.imports[name][1]) if found is not None else None

    def constant(self, name: str) -> ast.expr | None:
        """The value of a name that only Python has."""
        seen = [self.module]
        if name in self.module.imports:
            mod = source.module(self.module.imports[name][0])
            seen = [mod] if mod else []
        for m in seen:
            if name in m.constants:
                return m.constants[name]
        for star in (mod for n, (mod, _) in self.module.imports.items() if n.startswith("*")):
            m2 = source.module(star)
            if m2 and name in m2.constants:
                return m2.constants[name]
        return None


__all__ = ["Scope", "base", "ptr", "snake"]
