# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel has the functions that stand in a room without a tag: ``untagged.txt``, which
``python -m tests.integration.linux.untagged`` writes from a kernel tree.

``NAME FILE...``: the files of the tree, among those of the rooms' folders and include/, that define a function or a macro of that
name; ``NAME -``: none does, it is of this project.
"""
from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from kemu.check.location import default_tree
from kemu.cli.api import load as symbols
from kemu.report.csource import find_function

TOP = Path(__file__).parents[3]
TABLE = Path(__file__).with_name("untagged.txt")
ROOMS = ("arch", "lib", "kernel", "mm", "block", "fs", "drivers", "security", "init")


def functions() -> Iterator[tuple[str, str]]:
    """(module, name) of the functions of the rooms that have no tag; what Python itself calls is none."""
    tagged = {(s.module, s.name) for s in symbols()}
    for room in ROOMS:
        for path in sorted((TOP / "kemu/linux" / room).rglob("*.py")):
            parts = path.relative_to(TOP).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and not node.name.endswith("__") and (module, node.name) not in tagged:
                    yield module, node.name


def folders(tree: Path) -> Iterator[Path]:
    """The folders of the tree that the rooms have, and the headers."""
    for room in ROOMS:
        for here in [TOP / "kemu/linux" / room, *(TOP / "kemu/linux" / room).rglob("*/")]:
            there = tree / here.relative_to(TOP / "kemu/linux")
            if there.is_dir():
                yield there
    yield tree / "include/linux"


def defined(tree: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """name -> the files that define it."""
    out: dict[str, list[str]] = {n: [] for n in sorted(set(names))}
    word = re.compile(r"^(?:[A-Za-z_].*?|#define\s+)?\b([A-Za-z_]\w*)\s*\(", re.M)
    for folder in folders(tree):
        for path in sorted(folder.glob("*.[ch]")):
            text = path.read_text(errors="replace")
            for name in {m[1] for m in word.finditer(text)} & out.keys():
                fn = find_function(text, name)
                if fn is not None and not re.match(r"(struct|union)\s+\w+\s*\{", fn.text):
                    out[name].append(str(path.relative_to(tree)))
    return out


def read(path: Path = TABLE) -> dict[str, list[str]]:
    """The table."""
    return {n: [f for f in files if f != "-"] for n, *files in (line.split() for line in path.read_text().splitlines())}


def lines(table: dict[str, list[str]]) -> str:
    """The table as text."""
    return "".join(f"{n} {' '.join(files) or '-'}\n" for n, files in sorted(table.items()))


if __name__ == "__main__":
    tree = Path(sys.argv[1]) if len(sys.argv) > 1 else default_tree()
    if not (tree / "Makefile").is_file():
        sys.exit(f"untagged: {tree} is no kernel tree; give one, or run: kemu linux fetch")
    TABLE.write_text(lines(defined(tree, (name for _, name in functions()))))
