# SPDX-License-Identifier: GPL-2.0-only
"""Which source files a tree has: one line each, read once. What builds leave behind is left out."""
from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterable, Set
from pathlib import Path

# what a build inside the user's tree leaves behind; with it in the copy kbuild refuses to build elsewhere
_BUILT_DIRS = {"include/config", "include/generated", "tools/testing/kunit/__pycache__"}
_BUILT_SUFFIXES = (".o", ".a", ".cmd", ".ko", ".mod", ".order", ".gcno", ".gcda", ".pyc", ".orig", ".rej")
_BUILT_FILES = {".config", ".config.old", "vmlinux", "linux", "System.map", "Module.symvers", "modules.builtin"}
_TOP_SKIP = {".git", ".kunit", "debian"}
BUILD_PREFIX = "kemu-build-"
_FEW = 4                               # folders, up to which lines are looked at before they are taken apart

_LETTERS = {stat.S_IFREG: "f", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFSOCK: "s", stat.S_IFCHR: "c", stat.S_IFBLK: "b"}


class Listing:
    """The source files of a tree. ``lines``: ``TYPE MODE SIZE TIME PATH``, sorted, as find(1) prints them; the time in seconds
    with the nanoseconds.
    """

    def __init__(self, lines: Iterable[bytes]):
        self.lines = sorted(lines)

    @classmethod
    def of(cls, top: Path) -> Listing:
        """What is there now; by find(1), which takes a quarter of a second for a kernel tree."""
        found = _found(top)
        return cls(_scanned(top) if found is None else found)

    def identity(self) -> str:
        """A short name for the contents: changes when a file is added, removed, touched, or gets another mode."""
        return hashlib.sha256(b"\0".join(self.lines)).hexdigest()[:16]

    def choices(self) -> str:
        """A short name for what a configuration is made of: the Kconfig files, and the tools that Kconfig asks."""
        asked = [line for line in self.lines if b" scripts/" in line or b"Kconfig" in line]
        asked = [line for line in asked if (path := path_of(line)).startswith("scripts/")
                 or path.rpartition("/")[2].startswith("Kconfig")]
        return hashlib.sha256(b"\0".join(asked)).hexdigest()[:16]

    def within(self, folders: Set[str]) -> set[str]:
        """The files of some folders, without those of folders inside of them."""
        lines = self.lines
        if len(folders) <= _FEW:
            lines = [line for folder in folders for begin in (os.fsencode(folder) + b"/",) for line in self.lines
                     if (begin in line if folder else b"/" not in line)]
        return {path for path in map(path_of, lines) if os.path.dirname(path) in folders}

    def changed(self, old: Listing) -> tuple[set[str], set[str], set[str]]:
        """What has been added since an older listing, what is another file or may have other contents, and what is gone."""
        before = set(old.lines)
        here = {path_of(line) for line in self.lines if line not in before}
        before.difference_update(self.lines)
        there = {path_of(line) for line in before}
        return here - there, here & there, there - here


def path_of(line: bytes) -> str:
    """The path of a line."""
    return os.fsdecode(line.split(b" ", 4)[4])


def time_of(line: bytes) -> int:
    """The time of a line, in nanoseconds."""
    seconds, _, rest = line.split(b" ", 4)[3].partition(b".")
    return int(seconds) * 10**9 + int(rest[:9])


def line_of(path: str, st: os.stat_result) -> bytes:
    """The line of a file."""
    seconds, rest = divmod(st.st_mtime_ns, 10**9)
    return os.fsencode(f"{_LETTERS.get(stat.S_IFMT(st.st_mode), '?')} {st.st_mode & 0o7777:o} {st.st_size} {seconds}.{rest:09d}0 "
                       f"{path}")


def is_source(path: str) -> bool:
    """Whether a file is none that a build leaves behind."""
    return not (path.endswith(_BUILT_SUFFIXES) or path in _BUILT_FILES)


def is_source_folder(path: str, full: str) -> bool:
    """Whether there is source in a folder. Of the top level git's own are left out, and those that someone built in (O=build)."""
    if "/" not in path and (path in _TOP_SKIP or path.startswith(BUILD_PREFIX) or os.path.exists(os.path.join(full, ".config"))):
        return False
    return path not in _BUILT_DIRS and not path.endswith("/include/generated")


def _found(top: Path) -> list[bytes] | None:
    skip = [re.sub(r"([*?\[\\])", r"\\\1", e.name) for e in os.scandir(top)
            if e.is_dir(follow_symlinks=False) and not is_source_folder(e.name, e.path)]
    pruned = [word for path in [*(f"./{d}" for d in skip), *(f"./{d}" for d in sorted(_BUILT_DIRS)), "*/include/generated"]
              for word in ("-path", path, "-prune", "-o")]
    left_out = [word for suffix in _BUILT_SUFFIXES for word in ("!", "-name", f"*{suffix}")]
    left_out += [word for name in sorted(_BUILT_FILES) for word in ("!", "-path", f"./{name}")]
    try:
        done = subprocess.run(["find", ".", *pruned, "!", "-type", "d", *left_out, "-printf", "%y %m %s %T@ %P\\0"], cwd=top,
                              env=os.environ | {"LC_ALL": "C"}, capture_output=True)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.split(b"\0")[:-1]


def _scanned(top: Path) -> list[bytes]:
    out: list[bytes] = []
    stack = [""]
    while stack:
        rel = stack.pop()
        with os.scandir(top / rel if rel else top) as it:
            for e in it:
                name = f"{rel}/{e.name}" if rel else e.name
                if e.is_dir(follow_symlinks=False):
                    if is_source_folder(name, e.path):
                        stack.append(name)
                elif is_source(name):
                    out.append(line_of(name, e.stat(follow_symlinks=False)))
    return out
