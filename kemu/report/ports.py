# SPDX-License-Identifier: GPL-2.0-only
"""The registry of ported functions, and of those that say @dup: which there are, which C they were written from, and what has
changed since.

Each package carries ``pins.json``: ``{"fs/erofs/zmap.c:z_erofs_map_blocks_fo": "hash"}``, written by
``kemu port pin --tree LINUX`` from the tree that the code was read from. A @dup whose C is no function or macro (a type, a
constant, a table) has ``-`` there.
"""
from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from kemu.linux.port import honesty
from kemu.plugins import ported_packages
from kemu.report.csource import CFunction, find_function, pin

NO_FUNCTION = "-"           # in pins.json: the tree has no function or macro of that name


def port_packages() -> tuple[str, ...]:
    """The packages of ported functions: the emulated API's own, and those that are installed (entry points ``kemu.ports``)."""
    return ("kemu.linux", *ported_packages())


@dataclass(frozen=True)
class Ported:
    """One ported function and the hash of the C that it was written from ('' if it is not pinned)."""

    package: str
    module: str
    name: str
    path: str
    c_name: str
    posted: str
    hash: str


@dataclass(frozen=True)
class Cited:
    """One symbol that says @dup, and the hash of the C that it cites ('-': the C is no function, '': it is not pinned)."""

    module: str
    name: str
    path: str
    c_name: str
    hash: str
    package: str = "kemu.linux"
    posted: str = ""


def load_packages(packages: tuple[str, ...] | None = None) -> list[str]:
    """Import every module of the port packages, so that their functions are registered; returns the packages that exist."""
    found = []
    for package in packages or port_packages():
        try:
            pkg = importlib.import_module(package)
        except ModuleNotFoundError:
            continue
        found.append(package)
        for info in pkgutil.walk_packages(pkg.__path__, package + "."):
            importlib.import_module(info.name)
    return found


def pins_file(package: str) -> Path:
    """Where the hashes of a package's functions are kept."""
    pkg = importlib.import_module(package)
    return Path(next(iter(pkg.__path__))) / "pins.json"


def ported(packages: tuple[str, ...] | None = None) -> list[Ported]:
    """All ported functions, sorted by C file and name."""
    pins: dict[str, dict[str, str]] = {}
    for package in load_packages(packages):
        f = pins_file(package)
        pins[package] = json.loads(f.read_text()) if f.exists() else {}
    out = []
    for p in honesty.ports:
        package = next((n for n in pins if p.module == n or p.module.startswith(n + ".")), "")
        if package:
            out.append(Ported(package, p.module, p.name, p.path, p.c_name, p.posted,
                              pins[package].get(f"{p.path}:{p.c_name}", "")))
    return sorted(set(out), key=lambda x: (x.path, x.c_name, x.module))


def cited(packages: tuple[str, ...] | None = None) -> list[Cited]:
    """Every @dup of the API that is no port, sorted by C file and name."""
    load_packages(packages)
    f = pins_file("kemu.linux")
    pins: dict[str, str] = json.loads(f.read_text()) if f.exists() else {}
    ported_too = {(p.module, p.name) for p in honesty.ports}
    out = [Cited(s.module, s.name, s.path, s.c_name, pins.get(f"{s.path}:{s.c_name}", ""))
           for s in honesty.symbols.values() if s.honesty == "dup" and (s.module, s.name) not in ported_too]
    return sorted(out, key=lambda x: (x.path, x.c_name, x.module, x.name))


def c_function(tree: Path, port: Ported | Cited) -> CFunction | None:
    """The C of a port in a tree; None if the file or the function is not there."""
    f = tree / port.path
    if not f.is_file():
        return None
    return find_function(f.read_text(errors="replace"), port.c_name)


def write_pins(tree: Path, packages: tuple[str, ...] | None = None) -> tuple[int, list[Ported]]:
    """Pin every function to the tree's C; returns how many were pinned and those whose C was not found."""
    missing = []
    per_package: dict[str, dict[str, str]] = {}
    for c in cited(packages):
        fn = c_function(tree, c)
        per_package.setdefault(c.package, {})[f"{c.path}:{c.c_name}"] = NO_FUNCTION if fn is None else pin(fn.text)
    for p in ported(packages):
        fn = c_function(tree, p)
        if fn is None:
            if not p.posted:
                missing.append(p)
            continue
        per_package.setdefault(p.package, {})[f"{p.path}:{p.c_name}"] = pin(fn.text)
    for package, table in per_package.items():
        pins_file(package).write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n")
    return sum(len(t) for t in per_package.values()), missing


def python_source(port: Ported | Cited) -> tuple[str, int]:
    """The port's Python and its first line."""
    module = importlib.import_module(port.module)
    lines, first = inspect.getsourcelines(getattr(module, port.name))
    return "".join(lines), first
