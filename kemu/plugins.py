# SPDX-License-Identifier: GPL-2.0-only
"""What the ports add, by entry points: nothing in kemu names a port.

    kemu.commands       NAME = module with HELP, add_arguments(parser) and run(args) -> exit code: a command of ``kemu``
    kemu.experiments    NAME = module whose import registers experiments
    kemu.backends       FILESYSTEM.NAME = module:object, a Backend (kemu.rung.py.backend): what an image can be read through
    kemu.ports          NAME = package of ported functions, with a pins.json

Entry points and versions are read from the installed distributions' files:
importlib.metadata gives the same, but imports a mail parser and sockets for it, which every command would wait for.
"""
from __future__ import annotations

import importlib
import os
import re
import sys
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=2)
def _found(path: tuple[str, ...]) -> dict[str, str]:
    """Normalised name -> folder of everything that is installed. Of two of one name the first on sys.path counts, as in an
    import; but what a
    build left in a source tree (.egg-info) counts only where nothing is installed: it may be of another day."""
    out: dict[str, str] = {}
    for ending in (".dist-info", ".egg-info"):
        for place in path:
            try:
                folders = sorted(e for e in os.listdir(place or ".") if e.endswith(ending))
            except OSError:
                continue
            for folder in folders:
                name = re.sub(r"[-_.]+", "-", folder.rpartition(".")[0].partition("-")[0]).lower()
                out.setdefault(name, os.path.join(place, folder))
    return out


def _distributions() -> dict[str, str]:
    return _found(tuple(dict.fromkeys(sys.path)))


@lru_cache(maxsize=2)
def _entry_points(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for folder in folders if (text := _read(folder, "entry_points.txt")))


def _read(folder: str, *names: str) -> str:
    for name in names:
        try:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            continue
    return ""


@lru_cache(maxsize=16)
def _objects(group: str, folders: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(found for text in _entry_points(folders) if group in text for found in of_text(text, group))


def installed_objects(group: str) -> list[tuple[str, str]]:
    """(name, "module" or "module:object") of every entry point of a group."""
    return list(_objects(group, tuple(_distributions().values())))


def installed_modules(group: str) -> list[tuple[str, str]]:
    """(name, module) of every entry point of a group."""
    return [(name, where.partition(":")[0]) for name, where in installed_objects(group)]


def load_object(where: str) -> Any:
    """What an entry point "module:object" stands for; raises what the import of the module raises."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def ported_packages() -> tuple[str, ...]:
    """The packages of ported functions that are installed, sorted."""
    return tuple(sorted({module for _, module in installed_modules("kemu.ports")}))


def installed_version(name: str) -> str:
    """The version of a distribution; empty if it is not installed."""
    for line in _read(_distributions().get(name, ""), "METADATA", "PKG-INFO").splitlines():
        if line.startswith("Version: "):
            return line[9:].strip()
    return ""


def of_text(text: str, group: str) -> list[tuple[str, str]]:
    """The same of the text of one entry_points.txt."""
    out = []
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            out.append((name.strip(), re.split(r"[\s\[]", value.strip(), maxsplit=1)[0]))
    return out
