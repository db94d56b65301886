# SPDX-License-Identifier: GPL-2.0-only
"""What the C rung's kernel is made of: whose function answers to a name, and how honestly.

Most are Linux's own. What stands in for the rest is the runtime: a function with a body that does something is ``custom``, one
that does nothing, or says always the same, is a ``stub``; the compiler has compared their prototypes with the kernel's headers.
Whatever else is called ends the call, with its name: a ``trap``.
"""
from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from kemu.rung.c.build import RUNTIME
from kemu.rung.c.sources import FOLDERS, OBJECTS

# a definition at the left edge: its last name before the parameters, and the body up to the brace at the left edge
_DEFINITION = re.compile(r"^(?!static|typedef|extern|struct|#|/|\s)[\w\s*]*?\b(\w+)\(([^;{]*?)\)\n\{\n(.*?)^\}", re.M | re.S)
_NOTHING = re.compile(r"\A\s*(return\s+[\w()\-\s]*;)?\s*\Z")
_OURS = ("kemu_", "host_", "slab_", "pages_", "tasks_", "disks_", "shadow_", "region_", "__asan", "__ubsan", "__sanitizer")
# files that are compiled with the kernel's headers and define what the kernel calls
_FILES = ("trap", "slab", "pages", "tasks", "disks", "arch", "misc", "unpack")


@dataclass(frozen=True)
class Symbol:
    """One name: ``honesty`` is linux, custom, stub or trap; ``place`` the file that has it."""

    name: str
    honesty: str
    place: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def objects() -> list[Symbol]:
    """The kernel's files that are linked as they are."""
    return [Symbol(name.removesuffix(".o") + ".c", "linux", name.rpartition("/")[0]) for name in OBJECTS] + [
        Symbol(f"{folder}/*.c", "linux", folder) for folder in FOLDERS]


def runtime() -> list[Symbol]:
    """The functions of the runtime that stand in for Linux's."""
    out = []
    for file in _FILES:
        text = (RUNTIME / f"{file}.c").read_text()
        for m in _DEFINITION.finditer(text):
            if not m[1].startswith(_OURS):
                line = text.count("\n", 0, m.start()) + 1
                out.append(Symbol(m[1], "stub" if _NOTHING.match(m[3]) else "custom", f"kemu/rung/c/runtime/{file}.c:{line}"))
    return sorted(out, key=lambda s: (s.place.rpartition(":")[0], s.name))


def traps(names: tuple[str, ...]) -> list[Symbol]:
    """What nobody stands for, of a library."""
    return [Symbol(name, "trap", "") for name in names]
