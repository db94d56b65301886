# SPDX-License-Identifier: GPL-2.0-only
"""What the ports add, by entry points: nothing in kemu names a port.

    kemu.commands       NAME = module with HELP, add_arguments(parser) and run(args) -> exit code: a command of ``kemu``
    kemu.experiments    NAME = module whose import registers experiments
    kemu.backends       NAME = module:object, what an image can be read through (the port's own command says what the object has)
    kemu.ports          NAME = package of ported functions, with a pins.json

Entry points and versions are read from the installed distributions' files:
importlib.metadata gives the same, but imports a mail parser and sockets for it, which every command would wait for.
"""
from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator


def _distributions() -> Iterator[tuple[str, str]]:
    """(normalised name, folder) of everything that is installed. Of two of one name the first on sys.path counts, as in an import."""
    seen: set[str] = set()
    for place in dict.fromkeys(sys.path):
        try:
            folders = [e for e in os.listdir(place or ".") if e.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for folder in sorted(folders):
            name = re.sub(r"[-_.]+", "-", folder.rpartition(".")[0].partition("-")[0]).lower()
            if name not in seen:
                seen.add(name)
                yield name, os.path.join(place, folder)


def _read(folder: str, *names: str) -> str:
    for name in names:
        try:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            continue
    return ""


def installed_modules(group: str) -> list[tuple[str, str]]:
    """(name, module) of every entry point of a group."""
    return [found for _, folder in _distributions() for found in of_text(_read(folder, "entry_points.txt"), group)]


def ported_packages() -> tuple[str, ...]:
    """The packages of ported functions that are installed, sorted."""
    return tuple(sorted({module for _, module in installed_modules("kemu.ports")}))


def installed_version(name: str) -> str:
    """The version of a distribution; empty if it is not installed."""
    for known, folder in _distributions():
        if known == name:
            for line in _read(folder, "METADATA", "PKG-INFO").splitlines():
                if line.startswith("Version: "):
                    return line[9:].strip()
    return ""


def of_text(text: str, group: str) -> list[tuple[str, str]]:
    """The same of the text of one entry_points.txt; ``module:object`` counts as its module."""
    out = []
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            out.append((name.strip(), re.split(r"[\s:\[]", value.strip(), maxsplit=1)[0]))
    return out
