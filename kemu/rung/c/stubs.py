# SPDX-License-Identifier: GPL-2.0-only
"""What nobody stands for: a function that says its name and ends the call, and data that may not be touched."""
from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kemu.rung.uml.errors import BuildError

_CALL = re.compile(r"R_X86_64_PLT32\s+\S+ (\w+)")
_NOT_OURS = ("_ITM_", "__gmon_start__", "__cxa_", "kemu_holes_")


def run(argv: Sequence[str], cwd: Path) -> str:
    """What a command prints. ``BuildError`` with its words if it fails."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise BuildError(f"{argv[0]} failed", "\n".join(done.stderr.splitlines()[:40]))
    return done.stdout


def missing(probe: Path) -> list[str]:
    """Symbols that a shared object without stubs leaves open and libc has not."""
    out = []
    for line in run(["nm", "-D", "-u", str(probe)], probe.parent).splitlines():
        kind, name = line.split()[-2:]
        if kind == "U" and "@" not in name and not name.startswith(_NOT_OURS):
            out.append(name)
    return sorted(out)


def called(names: Sequence[str], files: Sequence[Path], folder: Path) -> set[str]:
    """Which of the symbols are called as functions somewhere."""
    text = run(["readelf", "-rW", *map(str, files)], folder)
    return set(_CALL.findall(text)) & set(names)


def source(functions: Sequence[str], data: Sequence[str]) -> str:
    """The C of the stubs."""
    lines = ["/* made by kemu/rung/c/stubs.py */", "void kemu_trap(const char *, ...) __attribute__((noreturn));",
             '#define HIDDEN __attribute__((visibility("hidden")))',
             '#define HOLE(n) __attribute__((visibility("hidden"), section(".kemu_holes"), aligned(n)))',
             '#define FUNCTION(name) HIDDEN void name(void) { kemu_trap("unemulated: " #name "()"); }',
             "#define DATA(name) HOLE(64) char name[64] = { 1 };", "HOLE(4096) char kemu_holes_start[64] = { 1 };"]
    lines += [f"FUNCTION({name})" for name in functions]
    lines += [f"DATA({name})" for name in data]
    lines.append("HOLE(4096) char kemu_holes_end[4096] = { 1 };")
    return "\n".join(lines) + "\n"
