# SPDX-License-Identifier: GPL-2.0-only
"""What the compiler sees before a C file's code: every declaration and macro, by gcc -E with kbuild's own saved command."""
from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from kemu.rung.c.objects import command
from kemu.rung.uml.errors import BuildError


def compiler(objects: Path, name: str) -> list[str]:
    """The words that an object is compiled with, but for what is read, what is written, and the list of what it depends on. Of a
    new file: those of another in its folder.
    """
    out: list[str] = []
    there = objects / os.path.dirname(name)
    if not (there / f".{os.path.basename(name)}.cmd").exists():
        others = [f"{os.path.dirname(name)}/{p.name}" for p in sorted(there.glob("*.o")) if (there / f".{p.name}.cmd").exists()]
        name = next((o for o in others if " -c " in command(objects, o)), name)
    words = iter(shlex.split(command(objects, name)))
    for word in words:
        if word == "-o":
            next(words)
        elif word != "-c" and not word.startswith("-Wp,-M") and not (word.endswith(".c") and not word.startswith("-")):
            out.append(word)
    return out


def preprocessed(objects: Path, name: str, source: Path) -> str:
    """The C file with its headers, and the macros' definitions."""
    done = subprocess.run([*compiler(objects, name), "-E", "-dD", str(source)], cwd=objects, capture_output=True, text=True,
                          errors="replace")
    if done.returncode:
        raise BuildError(f"{name}: the preprocessor refused it", done.stderr.strip())
    return done.stdout


_DEFINE = re.compile(r"#(define|undef) (\w+)(\([^)]*\))? ?(.*)$")


def split(text: str) -> tuple[list[tuple[str, str]], dict[str, tuple[list[str] | None, str]]]:
    """Runs of declarations as (file, text), and the macros: name -> (parameters or None, body)."""
    runs: list[tuple[str, str]] = []
    macros: dict[str, tuple[list[str] | None, str]] = {}
    file, lines = "", [""]
    for line in text.split("\n"):
        if not line.startswith("#"):
            lines.append(line)
            continue
        m = _DEFINE.match(line)
        if m is None:
            marker = re.match(r'# \d+ "([^"]*)"', line)
            if marker and marker[1] != file:
                runs.append((file, "\n".join(lines)))
                file, lines = marker[1], [""]
        elif m[1] == "undef":
            macros.pop(m[2], None)
        else:
            macros[m[2]] = ([p.strip() for p in m[3][1:-1].split(",") if p.strip()] if m[3] else None, m[4].strip())
    runs.append((file, "\n".join(lines)))
    return runs, macros
