# SPDX-License-Identifier: GPL-2.0-only
"""Functions that stand in a ported file and whose name the C file has not. A file is ported if most of what it defines is."""
from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kemu.linux.port import honesty
from kemu.report.samecheck import ctext
from tests.counterparts.ported import module_tree


@dataclass(frozen=True)
class Stranger:
    """A function ``name`` (``Class.method`` too) of a module whose ports are of ``paths``."""

    module: str
    name: str
    line: int
    paths: tuple[str, ...]


def _definitions(module: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of a module, and methods of its classes; what Python itself calls, and what hangs on a property, is no function
    of the port.
    """
    for node in module_tree(module).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for x in node.body:
                if isinstance(x, ast.FunctionDef) and not x.name.startswith("__"):
                    yield f"{node.name}.{x.name}", x


def strangers(ported: Iterable[honesty.Port], tree: Path) -> list[Stranger]:
    """Those of every file that has a ported function."""
    paths: dict[str, set[str]] = defaultdict(set)
    tagged: set[tuple[str, str]] = set()
    for p in ported:
        tagged.add((p.module, p.name))
        if (tree / p.path).is_file():
            paths[p.module].add(p.path)
    out = []
    for module in sorted(paths):
        text = "".join(ctext.blank(ctext.read(tree / f)) for f in sorted(paths[module]))
        names = set(re.findall(r"[A-Za-z_]\w*", text)) | {"copy"}       # C's assignment of a structure
        defined = list(_definitions(module))
        if sum((module, name) in tagged for name, _ in defined
               if "." not in name) * 2 < len([name for name, _ in defined if "." not in name]):
            continue                                    # of the emulated kernel: a part of it is ported
        for name, node in defined:
            last = name.rpartition(".")[2]
            known = honesty.symbols.get((module, name))
            if last in names or (module, name) in tagged:
                continue
            if known is not None and ctext.function(tree / known.path, known.c_name):
                continue                                # tagged with the place of another file
            out.append(Stranger(module, name, node.lineno, tuple(sorted(paths[module]))))
    return out
