# SPDX-License-Identifier: GPL-2.0-only
"""Which lines and branches of the C the cases reach: flavour gcov, judged by the host's gcov."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from kemu.rung.c.build import NOTES, Library
from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.c.sources import UNDER_TEST
from kemu.rung.uml.errors import ConfigError, RungError


@dataclass
class File:
    """One C file: line -> how often it ran; branch -> how often it was taken; function -> its first line."""

    lines: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    branches: dict[tuple[int, str, int], int] = field(default_factory=lambda: defaultdict(int))
    functions: dict[str, int] = field(default_factory=dict)

    def figures(self) -> tuple[int, int, int, int]:
        """Lines reached, lines, branches taken, branches."""
        return (sum(map(bool, self.lines.values())), len(self.lines), sum(map(bool, self.branches.values())),
                len(self.branches))


class Lines:
    """Counters of all instances of a kernel of flavour gcov, added up."""

    def __init__(self, kernel: Kernel):
        if not (kernel.library.path.parent / NOTES).is_dir():
            raise ConfigError(f"flavour {kernel.library.flavour} counts nothing: gcov does")
        if not shutil.which("gcov"):
            raise ConfigError("gcov not found: apt-get install gcc")
        self.kernel = kernel
        self.files: dict[str, File] = defaultdict(File)
        kernel.ending = self.add

    def add(self, instance: Instance) -> None:
        """Add what an instance has counted. A kernel that died has counted, too."""
        with tempfile.TemporaryDirectory(prefix="kemu-gcov-") as name:
            for path, data in instance.counted().items():
                unit = _unit(path)
                notes = self.kernel.library.path.parent / NOTES / f"{unit}.gcno"
                if not notes.exists():
                    continue
                work = Path(name) / unit.replace("/", "-")
                shutil.copyfile(notes, work.with_suffix(".gcno"))
                work.with_suffix(".gcda").write_bytes(data)
                self._judge(work.with_suffix(".gcda"))

    def _judge(self, gcda: Path) -> None:
        done = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", gcda.name], cwd=gcda.parent,
                              capture_output=True, text=True)
        if done.returncode:
            raise RungError(f"gcov {gcda.name}: {done.stderr.strip()}")
        for text in done.stdout.splitlines():
            for one in json.loads(text)["files"]:
                source = os.path.normpath(one["file"]).removeprefix("../")
                if not (source.startswith(UNDER_TEST) and source.endswith(".c")):
                    continue
                file = self.files[source]
                for function in one["functions"]:
                    file.functions.setdefault(function["name"], int(function["start_line"]))
                for line in one["lines"]:
                    number = int(line["line_number"])
                    file.lines[number] += int(line["count"])
                    for i, branch in enumerate(line["branches"]):
                        file.branches[number, line.get("function_name", ""), i] += int(branch["count"])

    def total(self) -> tuple[int, int, int, int]:
        """As ``File.figures``, of all."""
        rows = [f.figures() for f in self.files.values()]
        return (sum(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows), sum(r[3] for r in rows))

    def table(self) -> list[str]:
        """One line for each file, and the sum."""
        rows = [(name, f.figures()) for name, f in sorted(self.files.items())]
        out = []
        for name, (lines, all_lines, branches, all_branches) in [*rows, ("all", self.total())]:
            out.append(f"{100 * lines / max(all_lines, 1):5.1f} % of {all_lines:5} lines  "
                       f"{100 * branches / max(all_branches, 1):5.1f} % of {all_branches:5} branches  {name}")
        return out

    def unreached(self) -> list[tuple[str, int, str, str]]:
        """File, line, function and text of every line with code that never ran."""
        out = []
        for name, file in sorted(self.files.items()):
            text = source_text(self.kernel.library, name)
            starts = sorted((line, function) for function, line in file.functions.items())
            for number, count in sorted(file.lines.items()):
                if not count:
                    function = next((f for line, f in reversed(starts) if line <= number), "?")
                    out.append((name, number, function, text[number - 1].strip() if number <= len(text) else ""))
        return out


def source_text(library: Library, name: str) -> list[str]:
    """The lines of a file of the tree."""
    try:
        return (library.source / name).read_text(errors="replace").splitlines()
    except OSError:
        return []


def _unit(path: str) -> str:
    """The object, as kbuild names it."""
    for start in UNDER_TEST:
        at = path.rfind(f"/{start}")
        if at >= 0:
            return path[at + 1:].removesuffix(".gcda")
    return path
