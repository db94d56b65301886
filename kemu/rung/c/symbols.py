# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of a shared object as functions and lines of C."""
from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from kemu.rung.uml.lines import Frame, frames

_INITCALL = re.compile(r"^__initcall__kmod_\w+?__\d+_\d+_(\w+?)(?:\d|\ds|rootfs)$")
_COUNTERS = re.compile(r"gcov|LPBX")            # of a flavour, not of the code
_SETUP = re.compile(r"^__setup_(?!str_)\w+$")


class Symbols:
    """The symbols of one shared object; offsets are from where it is loaded."""

    def __init__(self, path: Path, source: Path):
        self.path = path
        self.source = source
        self.offsets: dict[str, int] = {}
        done = subprocess.run(["nm", str(path)], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            words = line.split()
            if len(words) == 3:
                self.offsets.setdefault(words[2], int(words[0], 16))

    @property
    def end(self) -> int:
        """Nothing of it is behind this offset."""
        return max(self.offsets.values(), default=0) + 1

    @cached_property
    def initcalls(self) -> dict[str, int]:
        """Function -> offset, of all initcalls that are linked."""
        out = {}
        for name in self.offsets:
            m = _INITCALL.match(name)
            if m and m[1] in self.offsets:
                out[m[1]] = self.offsets[m[1]]
        return out

    @cached_property
    def module_data(self) -> list[tuple[int, int]]:
        """Offset and size of every variable of fs/erofs, whose files are those with a function of its name: what a module that is
        loaded again has afresh.
        """
        files: list[list[tuple[str, int, int, str]]] = [[]]
        out = []
        named = False
        for line in subprocess.run(["nm", "-apS", str(self.path)], capture_output=True, text=True).stdout.splitlines():
            words = line.split()
            if words[1:2] == ["a"]:
                files.append([])
                named = len(words) == 3                # what is hidden and not static comes behind all files
            elif len(words) == 4 and not _COUNTERS.search(words[3]):
                if named:
                    files[-1].append((words[2], int(words[0], 16), int(words[1], 16), words[3]))
                elif words[2] in "dbDB" and "erofs" in words[3]:
                    out.append((int(words[0], 16), int(words[1], 16)))
        for symbols in files:
            if any(kind == "t" and "erofs" in name for kind, _, _, name in symbols):
                out += [(at, size) for kind, at, size, _ in symbols if kind in "db"]
        return sorted(set(out))

    def parameters(self) -> list[int]:
        """Offsets of the entries of .init.setup, of all parameters of the command line that are linked, in their order."""
        return sorted(offset for name, offset in self.offsets.items() if _SETUP.match(name))

    def frames(self, offsets: Sequence[int]) -> list[list[Frame]]:
        """For each offset its frames, innermost first."""
        return frames(self.path, self.source, offsets)

    def trace(self, offsets: Iterable[int]) -> list[Frame]:
        """A call trace without the runtime's own frames at its top, and without those of the process that called."""
        frames = [f for some in self.frames([o for o in offsets if 0 <= o < self.end]) for f in some]
        while frames and frames[0].function in _OWN:
            frames.pop(0)
        return [f for f in frames if f.function != "??"]


_OWN = {"kemu_trap", "panic", "kemu_signal", "host_stack", "say_stack", "on_signal", "report", "kemu_report_access"}
