# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of what the kernel's C was compiled to, as functions and lines of it."""
from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.uml.listing import BUILD_PREFIX


@dataclass(frozen=True)
class Frame:
    """One frame: the function, and ``FILE:LINE`` with the file as the kernel tree names it."""

    function: str
    place: str

    def __str__(self) -> str:
        return f"{self.function} at {self.place}"


def frames(binary: Path, source: Path, addresses: Sequence[int]) -> list[list[Frame]]:
    """For each address of ``binary``, made from the tree ``source``, its frames, innermost first: more than one where functions
    are inlined.
    """
    if not addresses:
        return []
    done = subprocess.run(["addr2line", "-afie", str(binary), *map(hex, addresses)], capture_output=True, text=True)
    out: list[list[Frame]] = []
    lines = iter(done.stdout.splitlines())
    for line in lines:
        if line.startswith("0x"):
            out.append([])
            continue
        place = next(lines, "?").split(" ")[0]
        out[-1].append(Frame(line, _relative(place, source)))
    return out


def _relative(place: str, source: Path) -> str:
    """The path in the kernel tree."""
    path, _, line = place.rpartition(":")
    if f"/{BUILD_PREFIX}" in path and "/../" in path:      # an object that came from the plain tree's build
        path = "../" + path.rpartition("/../")[2]
    for folder in ("kernel", "fs", "mm", "block", "lib", "init", "include", "drivers", "security", "arch"):
        i = path.rfind(f"/{folder}/")
        if path.startswith(f"../{folder}/"):
            return f"{path[3:]}:{line}"
        if i >= 0 and (source.name in path or path.startswith(str(source))):
            return f"{path[i + 1:]}:{line}"
    return place
